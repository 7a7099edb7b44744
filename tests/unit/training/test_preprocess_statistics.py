"""statistics.json: exact counts between quantile edges, and categories; good enough to see what changed."""

import json

import numpy as np
import pytest

from mlops_api.domain.dataset_comparison import Table, compare_tables
from mlops_contracts.comparison import DatasetDifference
from mlops_contracts.statistics import FeatureStatistics, Statistics
from mlops_statistics.distributions import Numbers
from tests.support.preprocessing import Outcome, preprocess


def table(*columns, names: str = "x") -> bytes:
    lines = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
    return ("\n".join([names, *lines]) + "\n").encode()


def statistics(outcome: Outcome) -> Statistics:
    return Statistics.model_validate_json((outcome.output / "statistics.json").read_bytes())


def feature(outcome: Outcome) -> FeatureStatistics:
    return statistics(outcome).features[0]


def numbers(found: FeatureStatistics) -> Numbers:
    assert found.numerical_statistics is not None
    buckets = found.numerical_statistics.distribution.kll.buckets
    return Numbers.of_buckets((each.lower_bound, each.upper_bound, each.count) for each in buckets)


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).lognormal(1, 2, 20_000)


def test_counts_between_quantiles_are_exact(values, tmp_path):
    found = feature(preprocess(tmp_path, table(values.tolist())))
    sketch = numbers(found)
    assert 500 <= len(sketch.counts) <= 514
    assert max(sketch.counts) <= len(values) / 512 + 2
    assert sketch.total == len(values)
    ascending = np.sort(values)
    for edge, share in zip(sketch.edges, sketch.shares, strict=True):
        assert share == np.searchsorted(ascending, edge, side="right") / len(values)
    figures = found.numerical_statistics
    assert figures is not None
    assert found.inferred_type == "Fractional"
    assert figures.mean == pytest.approx(values.mean(), rel=1e-12)
    assert figures.sum == pytest.approx(values.sum(), rel=1e-12)
    assert figures.std_dev == pytest.approx(values.std(), rel=1e-12)
    assert (figures.min, figures.max) == (values.min(), values.max())


def test_a_value_that_fills_buckets_has_its_own(tmp_path):
    random = np.random.default_rng(1)
    values = np.where(random.random(5000) < 0.6, 0.0, random.normal(size=5000))
    found = feature(preprocess(tmp_path, table(values.tolist())))
    assert found.numerical_statistics is not None
    alone = [each for each in found.numerical_statistics.distribution.kll.buckets if each.lower_bound == 0]
    assert alone[0].upper_bound == 0
    assert alone[0].count == int((values == 0).sum())
    assert numbers(found).share(0.0) == pytest.approx(float((values <= 0).mean()), abs=1e-12)


def test_few_values_have_a_bucket_each(tmp_path):
    found = feature(preprocess(tmp_path, table([1, 2, 2, 5], "abcd", names="x,y")))
    assert found.inferred_type == "Integral"
    assert found.numerical_statistics is not None
    buckets = found.numerical_statistics.distribution.kll.buckets
    assert [(each.lower_bound, each.upper_bound, each.count) for each in buckets] == [(1, 1, 1), (2, 2, 2), (5, 5, 1)]


def test_categories_booleans_and_the_rest(tmp_path):
    data = b"k,b,t,e,d\nx,true,2,,2024-01-01\ny,false,3,,2024-01-02\nx,,3,,2024-01-03\n"
    k, b, t, e, d = statistics(preprocess(tmp_path, data)).features
    assert k.string_statistics is not None
    assert [(each.value, each.count) for each in k.string_statistics.distribution.categorical.buckets] == [
        ("x", 2),
        ("y", 1),
    ]
    assert b.string_statistics is not None
    assert [each.value for each in b.string_statistics.distribution.categorical.buckets] == ["false", "true"]
    assert b.string_statistics.common.num_missing == 1
    assert t.inferred_type == "Integral"
    assert (e.inferred_type, d.inferred_type) == ("Unknown", "Unknown")
    assert e.common is not None
    assert (e.common.num_present, e.common.num_missing) == (0, 3)


def test_constraints_are_those_that_the_table_satisfies(tmp_path):
    outcome = preprocess(tmp_path, table([1, -2, 3], ["a", "", "b"], names="x,k"))
    constraints = json.loads((outcome.output / "constraints.json").read_bytes())
    assert constraints["features"] == [
        {"name": "x", "inferred_type": "Integral", "completeness": 1.0, "num_constraints": {"is_non_negative": False}},
        {
            "name": "k",
            "inferred_type": "String",
            "completeness": pytest.approx(2 / 3),
            "string_constraints": {"domains": ["a", "b"]},
        },
    ]


def test_very_many_columns_share_the_buckets(tmp_path, monkeypatch):
    monkeypatch.setattr("training.preprocess.number_columns.MOST_CELLS", 120)
    columns = [np.random.default_rng(each).normal(size=600).tolist() for each in range(4)]
    found = statistics(preprocess(tmp_path, table(*columns, names="a,b,c,d")))
    assert [len(numbers(each).counts) for each in found.features] == [31] * 4


# ---- what comparisons make of it


def compared(tmp_path, before: bytes, after: bytes) -> DatasetDifference:
    one, other = (preprocess(tmp_path, data) for data in (before, after))
    return compare_tables(
        Table("t:1", one.report, statistics(one)),
        Table("t:2", other.report, statistics(other)),
    )


def test_what_changed_between_two_files_is_seen(tmp_path):
    random = np.random.default_rng(2)

    def drawn(shift: float, plans: str, missing: float) -> bytes:
        n = 3000
        gaps = np.where(random.random(n) < missing, "", random.integers(0, 9, n).astype(str))
        plan = random.choice(list(plans), n)
        return table(random.normal(shift, 1, n).tolist(), random.normal(size=n).tolist(), plan, gaps, names="a,b,p,g")

    still = compared(tmp_path, drawn(0, "xyz", 0.1), drawn(0, "xyz", 0.1))
    assert (still.status, still.findings) == ("Completed", ())
    found = compared(tmp_path, drawn(0, "xyz", 0.1), drawn(0.5, "xyzw", 0.3))
    assert [(each.code, each.column) for each in found.findings] == [
        ("drift", "a"),
        ("new_categories", "p"),
        ("drift", "p"),
        ("missing_rate_changed", "g"),
    ]
