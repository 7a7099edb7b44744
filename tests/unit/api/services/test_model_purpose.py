"""One model answers one question, and rankings and comparisons only rank and compare what can be."""

import pytest

from mlops_api.domain.errors import Conflict, Invalid
from mlops_api.domain.models import Reject, SetAlias
from mlops_contracts.dataset import Column
from tests.support.platform import ANN, COLUMNS, World, a_manifest, an_evaluation

REGRESSION = {"problem_type": "regression", "target": "delay", "classes": (), "threshold": None}


def ranked(here: World, descending: bool = True) -> list[float]:
    page = here.platform.registry.page(
        model="delays", status=None, by_metric=True, descending=descending, limit=10, token=None
    )
    return [version.metrics["rmse"] for version in page.models]


def regression(here: World, rmse: float) -> str:
    columns = (*COLUMNS, Column(name="delay", type="numeric", missing=0, distinct=90))
    job = here.start(here.ready(columns=columns).version, model="delays", target="delay").job
    manifest = a_manifest(**REGRESSION, metrics={"rmse": rmse})
    here.training.complete(job, manifest, an_evaluation(manifest, objective="rmse"))
    here.tell("training", job)
    version = here.platform.training.get(job).model_version
    assert version is not None
    return version


def test_the_best_is_first_also_where_less_is_better(here: World) -> None:
    for rmse in (3.0, 1.0, 2.0):
        regression(here, rmse)
    assert ranked(here) == [1.0, 2.0, 3.0]
    assert ranked(here, descending=False) == [3.0, 2.0, 1.0]
    jobs = here.platform.training.page(
        model="delays", status=None, by_metric=True, descending=True, limit=10, token=None
    ).jobs
    assert [job.model_version for job in jobs] == ["delays:2", "delays:3", "delays:1"]


def test_another_target_needs_another_model(here: World) -> None:
    here.trained()
    columns = (*COLUMNS, Column(name="delay", type="numeric", missing=0, distinct=90))
    dataset = here.ready(columns=columns).version
    with pytest.raises(Invalid, match=r"predict 'late' \(binary\), not 'delay'.*--model"):
        here.start(dataset, target="delay")
    assert here.start(dataset, target="delay", model="delays").status == "InProgress"


def test_two_first_jobs_with_different_targets_do_not_share_a_model(here: World) -> None:
    columns = (*COLUMNS, Column(name="delay", type="numeric", missing=0, distinct=90))
    dataset = here.ready(columns=columns).version
    first, second = here.start(dataset).job, here.start(dataset, target="delay").job
    here.completed(first)
    manifest = a_manifest(**REGRESSION)
    here.training.complete(second, manifest, an_evaluation(manifest))
    here.tell("training", second)
    failed = here.platform.training.get(second)
    assert failed.status == "Failed"
    assert "predict 'late'" in str(failed.failure_reason)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"algorithm": "random_forest", "seed": 5}, True),
        ({"validation_rows_sha256": "b" * 64}, False),
        ({"dataset_sha256": "1" * 64}, False),
        ({"validation_rows_sha256": ""}, False),
    ],
)
def test_metrics_compare_on_the_same_held_out_rows_only(here: World, changes: dict[str, object], same: bool) -> None:
    rows = {"validation_rows_sha256": "a" * 64}
    left = here.trained(**rows).version
    right = here.trained(**(rows | changes)).version
    assert here.platform.registry.compare(left, right).same_dataset is same


def test_split_settings_are_compared(here: World) -> None:
    left = here.trained(validation_fraction=0.2).version
    right = here.trained(validation_fraction=0.3, time_column="day", excluded=("zip",)).version
    names = {each.name for each in here.platform.registry.compare(left, right).parameters}
    assert {"validation_fraction", "time_column", "excluded"} <= names


def test_a_bundle_has_its_sha256(here: World) -> None:
    version = here.trained()
    assert len(version.bundle_sha256) == 64
    assert here.platform.registry.bundle(version.version).sha256 == version.bundle_sha256


def test_an_alias_does_not_name_a_rejected_version(here: World) -> None:
    version = here.trained().version
    here.platform.registry.reject(ANN, version, Reject())
    with pytest.raises(Conflict, match="Rejected"):
        here.platform.registry.set_alias(ANN, "flights", "shadow", SetAlias(version=version))


def test_an_algorithm_without_regression_is_refused_before_the_job(here: World) -> None:
    columns = (*COLUMNS, Column(name="delay", type="numeric", missing=0, distinct=90))
    dataset = here.ready(columns=columns).version
    with pytest.raises(Invalid, match="a regression, which logistic_regression does not do"):
        here.start(dataset, target="delay", algorithm="logistic_regression", model="delays")
    with pytest.raises(Invalid, match="binary needs two"):
        here.start(dataset, target="delay", problem_type="binary", model="delays")
