"""A version is compared with the Ready one before it, and any two are when asked."""

import numpy as np
import pytest

from mlops_api.domain.errors import Conflict, NotFound
from mlops_contracts.comparison import DatasetDifference
from mlops_contracts.dataset import Column, DatasetReport, Quality
from mlops_contracts.statistics import (
    Categorical,
    CategoryBucket,
    CategoryDistribution,
    Common,
    DatasetFigures,
    FeatureStatistics,
    Kll,
    NumberBucket,
    NumberDistribution,
    NumericalStatistics,
    Statistics,
    StringStatistics,
)
from tests.support.platform import ANN, World, a_preview, a_profile, processing_job

ROWS = 1000


def number(name: str, mean: float = 0.0, seed: int = 0) -> FeatureStatistics:
    values = np.sort(np.random.default_rng(seed).normal(mean, size=ROWS))
    edges = values[np.linspace(0, ROWS - 1, 65).astype(int)]
    counts = np.histogram(values, edges)[0]
    rows = zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    buckets = tuple(NumberBucket(lower_bound=low, upper_bound=high, count=count) for low, high, count in rows)
    figures = NumericalStatistics(
        common=Common(num_present=ROWS, num_missing=0),
        mean=mean,
        sum=0,
        std_dev=1,
        min=edges[0],
        max=edges[-1],
        distribution=NumberDistribution(kll=Kll(buckets=buckets)),
    )
    return FeatureStatistics(name=name, inferred_type="Fractional", numerical_statistics=figures)


def words(name: str, **counts: int) -> FeatureStatistics:
    buckets = tuple(CategoryBucket(value=value, count=count) for value, count in counts.items())
    figures = StringStatistics(
        common=Common(num_present=sum(counts.values()), num_missing=ROWS - sum(counts.values())),
        distinct_count=len(counts),
        distribution=CategoryDistribution(categorical=Categorical(buckets=buckets)),
    )
    return FeatureStatistics(name=name, inferred_type="String", string_statistics=figures)


def unknown(name: str) -> FeatureStatistics:
    return FeatureStatistics(name=name, inferred_type="Unknown", common=Common(num_present=ROWS, num_missing=0))


TYPES = {"Fractional": "numeric", "String": "categorical", "Unknown": "text"}


def validated(here: World, *features: FeatureStatistics, statistics: bool = True) -> str:
    """A version with these columns; `statistics` False: as they were before there were any."""
    version = here.uploaded()
    columns = tuple(
        Column(name=each.name, type=TYPES[each.inferred_type], missing=_missing(each), distinct=9) for each in features
    )
    report = DatasetReport(rows=ROWS, columns=columns, quality=Quality(), sha256="0" * 64, format="csv")
    found = Statistics(dataset=DatasetFigures(item_count=ROWS), features=features) if statistics else None
    here.processing.complete(processing_job(version), report, a_profile(columns), a_preview(columns), found)
    here.tell("processing", processing_job(version))
    return version


def _missing(feature: FeatureStatistics) -> int:
    figures = feature.numerical_statistics or feature.string_statistics
    return figures.common.num_missing if figures else 0


def codes(found: DatasetDifference) -> list[tuple[str, str | None]]:
    return [(each.code, each.column) for each in found.findings]


def test_the_first_version_has_nothing_to_compare_with(here: World) -> None:
    version = validated(here, number("x"))
    assert here.platform.datasets.get(version).compared_with is None
    with pytest.raises(NotFound, match="No version before flights:1 was Ready"):
        here.platform.datasets.compare(version, None)


def test_what_changed_is_found_kept_and_warned_about(here: World) -> None:
    validated(here, number("still"), number("moved"), number("kind"), words("plan", a=600, b=400), number("gone"))
    later = validated(
        here, number("still", seed=1), number("moved", 0.5), words("kind", p=1000), words("plan", a=560, c=140),
        unknown("fresh"),
    )  # fmt: skip
    found = here.platform.datasets.compare(later, None)
    assert (found.version, found.reference, found.status) == ("flights:2", "flights:1", "CompletedWithViolations")
    assert codes(found) == [
        ("drift", "moved"),
        ("type_changed", "kind"),
        ("missing_rate_changed", "plan"),
        ("new_categories", "plan"),
        ("drift", "plan"),
        ("column_added", "fresh"),
        ("column_lost", "gone"),
    ]
    assert [each.change for each in found.columns] == ["same"] * 4 + ["added", "lost"]
    plan = next(each for each in found.columns if each.name == "plan")
    assert (plan.new_categories, plan.missing_rate, plan.missing_rate_before) == (("c",), 0.3, 0.0)
    for finding in found.findings:
        assert ". " in finding.message or "; " in finding.message
    version = here.platform.datasets.get(later)
    assert version.compared_with == "flights:1"
    assert version.quality.warnings == found.findings
    assert version.warning_count == len(found.findings)


def test_no_change_is_no_warning(here: World) -> None:
    validated(here, number("x", seed=1), words("w", a=500, b=500))
    later = validated(here, number("x", seed=2), words("w", a=510, b=490))
    found = here.platform.datasets.compare(later, None)
    assert (found.status, found.findings) == ("Completed", ())
    assert here.platform.datasets.get(later).quality.warnings == ()


def test_the_one_before_is_the_newest_ready_one(here: World) -> None:
    validated(here, number("x"))
    rejected = here.uploaded()
    here.processing.end(processing_job(rejected), "Failed", "out of memory")
    here.tell("processing", processing_job(rejected))
    assert here.platform.datasets.get(validated(here, number("x"))).compared_with == "flights:1"
    assert here.platform.datasets.get(validated(here, number("x"))).compared_with == "flights:3"


def test_any_two_are_compared_when_asked(here: World) -> None:
    for mean in (0.0, 0.4, 0.0):
        validated(here, number("x", mean))
    datasets = here.platform.datasets
    assert codes(datasets.compare("flights:3", "flights:1")) == []
    assert codes(datasets.compare("flights:3", "flights:2")) == [("drift", "x")]
    assert datasets.compare("flights:1", "flights:3").reference == "flights:3"
    assert datasets.compare("flights:latest", None).version == "flights:3"
    with pytest.raises(NotFound):
        datasets.compare("flights:3", "flights:9")
    here.uploaded()
    with pytest.raises(Conflict, match="not Ready"):
        datasets.compare("flights:3", "flights:4")


def test_versions_from_before_there_were_statistics(here: World) -> None:
    """Columns, types and missing cells are compared all the same."""
    validated(here, number("x"), words("w", a=1000), statistics=False)
    later = validated(here, words("w", a=700), number("y"))
    found = here.platform.datasets.compare(later, None)
    assert codes(found) == [("missing_rate_changed", "w"), ("column_added", "y"), ("column_lost", "x")]
    assert found.columns[0].not_compared is not None


def test_too_few_rows_are_said(here: World) -> None:
    validated(here, words("w", a=50))
    found = here.platform.datasets.compare(validated(here, words("w", b=50)), None)
    assert found.status == "InsufficientData"
    assert found.columns[0].not_compared == "not enough rows: 50 values, at least 100 are needed"


def test_a_verdict_does_not_wait_for_a_comparison(here: World) -> None:
    """What stands for the version before cannot be read."""
    validated(here, number("x"))
    here.objects.put("datasets/flights/1/table/dataset.json", b"{}")
    version = here.platform.datasets.get(validated(here, number("x")))
    assert (version.status, version.compared_with) == ("Ready", None)


def test_it_goes_with_the_version(here: World) -> None:
    validated(here, number("x"))
    later = validated(here, number("x", 1.0))
    assert here.objects.list("datasets/flights/2/table/comparison.json").objects
    here.platform.datasets.delete(ANN, later)
    assert not here.objects.list("datasets/flights/2/").objects
