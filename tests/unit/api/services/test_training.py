"""Training jobs: what is refused at once, what an ended job leaves, and that all of it happens once."""

import contextlib
import re
import threading

import pytest

from mlops_api.domain.errors import Conflict, Invalid, NotFound, StorageFull
from mlops_api.domain.training import TrainingJob
from mlops_api.ports import MetricValue
from mlops_contracts.bundle import EVALUATION, MANIFEST
from mlops_contracts.dataset import Column
from mlops_contracts.job import decode
from tests.support.manual_runners import bundle_files, event, tar_gz
from tests.support.platform import ANN, World, a_manifest, a_report, an_evaluation, at_once


def refused(here: World, dataset: str, **changes: object) -> Invalid:
    with pytest.raises(Invalid) as error:
        here.start(dataset, **changes)
    return error.value


def fields(error: Invalid) -> list[str]:
    return [item["field"] for item in error.extra["errors"]]


def activity(here: World, *actions: str) -> list[str]:
    entries = here.platform.activity.page(after=None, limit=200, token=None).activity
    return [entry.action for entry in reversed(entries) if entry.action in actions]


# ---- refusals


def test_an_unknown_target_is_refused_with_the_nearest_name(here: World) -> None:
    error = refused(here, here.ready().version, target="lat")
    assert fields(error) == ["target"]
    assert "Did you mean 'late'?" in error.detail


def test_a_name_with_nothing_near_lists_the_columns(here: World) -> None:
    assert "There are: late, delay, carrier" in refused(here, here.ready().version, target="zzzzz").detail


def test_every_complaint_is_told_at_once(here: World) -> None:
    error = refused(
        here,
        here.ready().version,
        exclude=["carier"],
        time_column="dai",
        hyperparameters={"max_depth": 99, "max_deth": 3},
        instance_count=2,
    )
    assert fields(error) == [
        "exclude",
        "time_column",
        "instance_count",
        "hyperparameters.max_depth",
        "hyperparameters.max_deth",
    ]
    assert "Did you mean 'max_depth'?" in error.extra["errors"][-1]["message"]


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"hyperparameters": {"learning_rate": 0}}, "hyperparameters.learning_rate", "greater than 0"),
        ({"hyperparameters": {"learning_rate": float("nan")}}, "hyperparameters.learning_rate", "finite"),
        ({"hyperparameters": {"max_depth": "deep"}}, "hyperparameters.max_depth", "integer"),
        ({"problem_type": "regression", "target": "carrier"}, "problem_type", "numeric target"),
        ({"problem_type": "regression", "algorithm": "logistic_regression", "target": "delay"}, "problem_type", "does"),
        ({"target": "remark"}, "target", "text column"),
        ({"target": "day"}, "target", "datetime column"),
        ({"target": "same"}, "target", "nothing to learn"),
        ({"exclude": ["late"]}, "target", "cannot be excluded"),
        ({"target": "delay", "time_column": "delay"}, "target", "time column"),
        ({"time_column": "carrier"}, "time_column", "datetime or numeric"),
        ({"instance_count": 2}, "instance_count", "aws mode"),
    ],
)
def test_what_cannot_work_is_refused_before_it_starts(
    here: World, changes: dict[str, object], field: str, message: str
) -> None:
    error = refused(here, here.ready().version, **changes)
    assert fields(error) == [field]
    assert message in error.extra["errors"][0]["message"]
    assert here.training.starts == {}
    assert jobs(here) == []


def jobs(here: World, **filters: object) -> list[TrainingJob]:
    found = {"model": None, "status": None, "by_metric": False, "descending": True, "limit": 100, "token": None}
    return here.platform.training.page(**(found | filters)).jobs  # type: ignore[arg-type] # a test's filters


def test_very_many_unknown_names_cost_little_and_are_not_all_told(here: World) -> None:
    wide = tuple(Column(name=f"column-{number}", type="numeric", missing=0, distinct=9) for number in range(3000))
    dataset = here.ready(columns=wide).version
    unknown = [f"colunm-{number}" for number in range(5000)]
    error = refused(here, dataset, target="column-1", exclude=unknown, hyperparameters=dict.fromkeys(unknown, 1))
    assert len(error.extra["errors"]) == 100
    assert sum("Did you mean" in item["message"] for item in error.extra["errors"]) == 5


def test_a_dataset_that_is_not_ready_is_refused(here: World) -> None:
    version = here.uploaded()
    with pytest.raises(Conflict, match="Validating, not Ready"):
        here.start(version)


def test_an_unknown_dataset_is_not_found(here: World) -> None:
    with pytest.raises(NotFound, match="nobody:1"):
        here.start("nobody:1")


# ---- starting


def test_a_job_starts_with_its_defaults_filled_in(here: World) -> None:
    version = here.ready().version
    job = here.start("flights:latest", hyperparameters={"max_depth": 3}, exclude=["day"], seed=7)
    assert re.fullmatch(r"flights-xgboost-20261122-\d{6}-[a-z2-9]{4}", job.job)
    assert (job.status, job.secondary_status, job.dataset, job.created_by) == ("InProgress", "Pending", version, "ann")
    assert (job.hyperparameters["max_depth"], job.hyperparameters["learning_rate"]) == (3, 0.1)
    spec = here.training.specs[job.job]
    config, parameters = decode(spec.hyperparameters)
    assert (config.dataset, config.target, config.exclude, config.seed) == (version, "late", ("day",), 7)
    assert config.dataset_sha256 == here.platform.datasets.get(version).sha256
    assert parameters.model_dump()["max_depth"] == 3
    assert spec.data_prefix == "datasets/flights/1/table"


def test_the_split_reaches_the_job_and_is_not_by_time_too(here: World) -> None:
    version = here.ready().version
    job = here.start(version, split="hash")
    assert job.split == "hash"
    assert decode(here.training.specs[job.job].hyperparameters)[0].split == "hash"
    assert fields(refused(here, version, split="hash", time_column="day")) == ["split"]


def test_the_same_key_starts_one_job(here: World) -> None:
    version = here.ready().version
    first = here.start(version, key="k")
    assert here.start(version, key="k").job == first.job
    assert sum(here.training.starts.values()) == 1
    with pytest.raises(Conflict, match="another request"):
        here.start(version, key="k", seed=1)


def test_the_same_key_at_the_same_time_starts_one_job(here: World) -> None:
    version = here.ready().version
    started = at_once(*[lambda: here.start(version, key="k").job] * 8)
    assert len(set(started)) == 1
    assert sum(here.training.starts.values()) == 1


def test_many_jobs_on_one_dataset_start_at_once(here: World) -> None:
    version = here.ready().version
    started = at_once(*[lambda: here.start(version).job] * 8)
    assert len({job for job in started if isinstance(job, str)}) == 8, started
    assert len(jobs(here)) == 8


# ---- following


def test_a_job_shows_what_its_runner_knows(here: World) -> None:
    job = here.start(here.ready().version).job
    here.training.set(job, progress=0.4, metrics={"validation:auc": 0.6}, secondary_status="Training", attempt=2)
    found = here.platform.training.get(job)
    assert (found.progress, found.metrics, found.secondary_status) == (0.4, {"validation:auc": 0.6}, "Training")
    assert found.attempt == 2
    assert jobs(here)[0].progress == 0.4


def test_a_job_is_not_completed_before_its_version_exists(here: World) -> None:
    job = here.start(here.ready().version).job
    manifest = a_manifest()
    here.training.complete(job, manifest, an_evaluation(manifest))
    assert here.platform.training.get(job).status == "InProgress"
    here.tell("training", job)
    found = here.platform.training.get(job)
    assert (found.status, found.model_version, found.progress) == ("Completed", "flights:1", 1.0)
    assert found.metrics["validation:auc"] == 0.7


def test_logs_go_on_where_they_were_left(here: World) -> None:
    job = here.start(here.ready().version).job
    here.training.lines[job] = ["one", "two", "three"]
    page = here.platform.training.logs(job, after=0, limit=2)
    assert (page.lines, page.complete) == (["one", "two"], False)
    page = here.platform.training.logs(job, after=page.next_after, limit=2)
    assert (page.lines, page.complete) == (["three"], False)
    here.training.end(job, "Failed", "no")
    here.tell("training", job)
    assert here.platform.training.logs(job, after=page.next_after, limit=2).complete


def test_metrics_are_listed_in_order(here: World) -> None:
    job = here.start(here.ready().version).job
    here.training.values[job] = [MetricValue("train:auc", 0.5, 1), MetricValue("train:auc", 0.6, 2)]
    points = here.platform.training.metrics(job).points
    assert [(point.step, point.value) for point in points] == [(1, 0.5), (2, 0.6)]


def test_an_unknown_job_is_not_found(here: World) -> None:
    training = here.platform.training
    for call in (
        lambda: training.get("no-job"),
        lambda: training.logs("no-job", after=0, limit=1),
        lambda: training.metrics("no-job"),
        lambda: training.stop(ANN, "no-job"),
    ):
        with pytest.raises(NotFound, match="no-job"):
            call()


# ---- ending


def test_a_failed_job_keeps_its_reason(here: World) -> None:
    job = here.start(here.ready().version).job
    here.training.end(job, "Failed", "the target has one class")
    here.tell("training", job)
    found = here.platform.training.get(job)
    assert (found.status, found.failure_reason, found.model_version) == ("Failed", "the target has one class", None)
    assert activity(here, "training.failed") == ["training.failed"]


def test_an_event_delivered_a_hundred_times_registers_one_version(here: World) -> None:
    job = here.start(here.ready().version).job
    manifest = a_manifest()
    here.training.complete(job, manifest, an_evaluation(manifest))
    told = at_once(*[lambda: [here.tell("training", job) for _ in range(10)]] * 10)
    assert told == [[None] * 10] * 10
    page = here.platform.registry.page(
        model="flights", status=None, by_metric=False, descending=True, limit=10, token=None
    )
    assert [item.version for item in page.models] == ["flights:1"]
    assert activity(here, "training.completed") == ["training.completed"]


def test_events_out_of_order_change_nothing(here: World) -> None:
    job = here.start(here.ready().version).job
    here.tell("training", job)
    assert here.platform.training.get(job).status == "InProgress"
    here.completed(job)
    here.training.end(job, "Failed", "a late and wrong word")
    here.tell("training", job)
    assert here.platform.training.get(job).status == "Completed"


@pytest.mark.parametrize(
    "other",
    [
        event("training", "not-ours"),
        {"source": "aws.s3", "detail-type": "Object Created", "detail": {}},
        {"source": "someone", "detail-type": "SageMaker Training Job State Change", "detail": {}},
        {},
    ],
)
def test_events_of_others_are_passed_over(here: World, other: dict[str, object]) -> None:
    here.platform.events.handle(other)
    assert jobs(here) == []


def files_without(name: str) -> dict[str, bytes]:
    manifest = a_manifest()
    files = bundle_files(manifest, an_evaluation(manifest))
    del files[name]
    return files


def files_with(name: str, content: bytes) -> dict[str, bytes]:
    return files_without(name) | {name: content}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "no object"),
        (b"not a tar", "not a model bundle"),
        (tar_gz(files_without(MANIFEST)), "lacks manifest.json"),
        (tar_gz(files_without(EVALUATION)), "lacks evaluation.json"),
        (tar_gz(files_with(MANIFEST, b"{}")), "Field required"),
        (tar_gz(files_with(MANIFEST, b"\xff")), "Invalid JSON"),
        (tar_gz(files_with(MANIFEST, b"[" * 100_000)), "recursion"),
        (tar_gz(files_with(EVALUATION, b"NaN")), "valid"),
        (tar_gz(files_with(EVALUATION, b" " * (33 << 20))), "more than"),
        (tar_gz(files_with("model-card.md", b"x" * 5000))[:-40], "lacks model-card.md"),
    ],
)
def test_a_broken_bundle_fails_the_job_and_says_why(here: World, content: bytes | None, reason: str) -> None:
    job = here.start(here.ready().version).job
    if content is not None:
        here.training.leave(job, content)
    here.training.end(job, "Completed")
    here.tell("training", job)
    found = here.platform.training.get(job)
    assert (found.status, found.secondary_status) == ("Failed", "Failed")
    assert found.failure_reason is not None
    assert "bundle cannot be registered" in found.failure_reason
    assert reason.lower() in found.failure_reason.lower()


def test_a_broken_bundle_takes_no_number(here: World) -> None:
    version = here.ready().version
    broken, good = here.start(version).job, here.start(version).job
    here.training.complete_with(broken, {})
    here.tell("training", broken)
    assert here.completed(good).version == "flights:1"


def test_jobs_of_one_model_that_end_at_once_are_numbered_without_gaps(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = here.ready().version
    started = [here.start(version).job for _ in range(8)]
    manifest = a_manifest()
    for job in started:
        here.training.complete(job, manifest, an_evaluation(manifest))
    barrier, met, info = threading.Barrier(8), set(), here.objects.info

    def info_when_all_have_taken_a_number(key: str) -> object:
        if key not in met:
            met.add(key)
            barrier.wait(30)
        return info(key)

    monkeypatch.setattr(here.objects, "info", info_when_all_have_taken_a_number)
    told = at_once(*[lambda job=job: here.tell("training", job) for job in started])
    assert told == [None] * 8
    made = {here.platform.training.get(job).model_version for job in started}
    assert made == {f"flights:{number}" for number in range(1, 9)}


# ---- stopping


def test_stopping_a_queued_job(here: World) -> None:
    job = here.start(here.ready().version).job
    assert here.platform.training.stop(ANN, job).status == "Stopping"
    here.training.end(job, "Stopped")
    here.tell("training", job)
    assert here.platform.training.get(job).status == "Stopped"


def test_stopping_twice_asks_and_notes_it_once(here: World) -> None:
    job = here.start(here.ready().version).job
    for _ in range(2):
        assert here.platform.training.stop(ANN, job).status == "Stopping"
    assert activity(here, "training.stop") == ["training.stop"]


def test_a_job_keeps_stopping_until_its_runner_has_ended_it(here: World) -> None:
    job = here.start(here.ready().version).job
    here.platform.training.stop(ANN, job)
    here.training.set(job, status="InProgress", progress=0.9)
    assert here.platform.training.get(job).status == "Stopping"


def test_a_job_that_completed_before_the_stop_arrived_is_completed(here: World) -> None:
    job = here.start(here.ready().version).job
    manifest = a_manifest()
    here.training.complete(job, manifest, an_evaluation(manifest))
    here.platform.training.stop(ANN, job)
    here.tell("training", job)
    assert here.platform.training.get(job).model_version == "flights:1"


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped"])
def test_an_ended_job_cannot_be_stopped(here: World, status: str) -> None:
    job = here.start(here.ready().version).job
    if status == "Completed":
        here.completed(job)
    else:
        here.training.end(job, status)  # type: ignore[arg-type] # parametrised
        here.tell("training", job)
    with pytest.raises(Conflict, match=f"is {status}: it has ended"):
        here.platform.training.stop(ANN, job)


def test_stop_and_end_at_once_leave_a_job_that_has_ended(here: World) -> None:
    version = here.ready().version
    for _ in range(5):
        job = here.start(version).job
        here.training.end(job, "Failed", "no")
        stopped, told = at_once(
            lambda job=job: here.platform.training.stop(ANN, job).status, lambda job=job: here.tell("training", job)
        )
        assert told is None
        assert isinstance(stopped, str | Conflict)
        here.tell("training", job)
        assert here.platform.training.get(job).status == "Failed"


# ---- crashes


def lost_start(here: World) -> str:
    """A job that was recorded, but could not be begun: it is accepted all the same."""
    version = here.ready().version
    here.training.lost = StorageFull("no space")
    assert here.start(version).status == "InProgress"
    here.training.lost = None
    return jobs(here)[0].job


def test_reconcile_starts_a_job_that_was_lost(here: World) -> None:
    job = lost_start(here)
    assert here.platform.training.get(job).status == "InProgress"
    assert here.platform.training.logs(job, after=0, limit=5).lines == []
    here.platform.reconcile()
    here.platform.reconcile()
    assert here.training.starts == {job: 1}


def test_a_job_whose_start_was_lost_can_be_stopped(here: World) -> None:
    job = lost_start(here)
    assert here.platform.training.stop(ANN, job).status == "Stopping"
    assert here.training.stops == {job: 1}


def test_reconcile_settles_a_job_whose_event_was_lost(here: World) -> None:
    job = here.start(here.ready().version).job
    manifest = a_manifest()
    here.training.complete(job, manifest, an_evaluation(manifest))
    here.platform.reconcile()
    assert here.platform.training.get(job).model_version == "flights:1"


def test_reconcile_stops_again_what_was_stopping(here: World) -> None:
    job = here.start(here.ready().version).job
    here.platform.training.stop(ANN, job)
    here.training.set(job, status="InProgress")  # the runner never heard of it
    here.platform.reconcile()
    assert here.training.stops == {job: 2}


def test_one_broken_job_does_not_hold_up_the_others(here: World) -> None:
    version = here.ready().version
    first, second = here.start(version).job, here.start(version).job
    del here.training.states[first]
    here.training.end(second, "Failed", "no")
    with contextlib.suppress(ExceptionGroup):
        here.platform.reconcile()
    assert here.platform.training.get(second).status == "Failed"


# ---- lists


def test_jobs_are_filtered_and_newest_first(here: World) -> None:
    version = here.ready().version
    first = here.start(version, model="a").job
    second = here.start(version, model="b").job
    third = here.start(version, model="a").job
    here.training.end(third, "Failed")
    here.tell("training", third)
    assert [job.job for job in jobs(here)] == [third, second, first]
    assert [job.job for job in jobs(here, model="a")] == [third, first]
    assert [job.job for job in jobs(here, status="Failed")] == [third]
    assert [job.job for job in jobs(here, model="a", status="InProgress")] == [first]
    assert [job.job for job in jobs(here, descending=False)] == [first, second, third]


def test_completed_jobs_are_ranked_by_their_objective(here: World) -> None:
    version = here.ready().version
    for auc in (0.6, 0.9, 0.75):
        here.completed(here.start(version).job, metrics={"auc": auc})
    here.start(version)
    ranked = jobs(here, model="flights", by_metric=True)
    assert [job.metrics["validation:auc"] for job in ranked] == [0.9, 0.75, 0.6]
    with pytest.raises(Invalid, match="give model"):
        jobs(here, by_metric=True)


def test_the_algorithms_publish_their_bounds(here: World) -> None:
    listed = {info.algorithm: info for info in here.platform.training.algorithms().algorithms}
    assert set(listed) == {"random_forest", "xgboost", "logistic_regression"}
    assert listed["xgboost"].hyperparameters["properties"]["max_depth"]["maximum"] == 16
    assert "regression" not in listed["logistic_regression"].problem_types


def test_a_constant_target_is_found_in_the_report(here: World) -> None:
    columns = (Column(name="late", type="boolean", missing=0, distinct=1),)
    assert a_report(columns).rows == 100
    assert "nothing to learn" in refused(here, here.ready(columns=columns).version).detail
