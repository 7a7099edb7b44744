"""Profile figures against numpy and hand-made tables."""

import itertools
import math

import numpy as np
import pytest

from tests.support.preprocessing import preprocess
from training.preprocess.figures import Moments


def _table(values) -> bytes:
    return ("x,k\n" + "".join(f"{value!r},{place % 3}\n" for place, value in enumerate(values))).encode()


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).normal(3, 2, 5000).tolist()


def test_numeric_figures_agree_with_numpy(values, tmp_path):
    outcome = preprocess(tmp_path, _table(values))
    column = outcome.profile.columns[0]
    figures = column.numeric
    assert (column.distinct, column.missing) == (5000, 0)
    assert (figures.min, figures.max) == (min(values), max(values))
    assert figures.mean == pytest.approx(np.mean(values), rel=1e-12)
    assert figures.std == pytest.approx(np.std(values, ddof=1), rel=1e-12)
    for level, value in figures.quantiles.items():
        assert value == pytest.approx(np.quantile(values, float(level)), rel=1e-12)
    counts, edges = np.histogram(values, 20)
    assert [each.count for each in figures.histogram] == counts.tolist()
    assert [each.lower for each in figures.histogram] == pytest.approx(edges[:-1], rel=1e-12)
    assert [each.upper for each in figures.histogram] == pytest.approx(edges[1:], rel=1e-12)
    assert figures.exact_quantiles


def test_few_values_have_a_bucket_each(values, tmp_path):
    histogram = preprocess(tmp_path, _table(values)).profile.columns[1].numeric.histogram
    assert [(each.lower, each.upper, each.count) for each in histogram] == [
        (0, 0, 1667),
        (1, 1, 1667),
        (2, 2, 1666),
    ]


def test_values_near_the_end_of_float64(tmp_path):
    values = [sign * 1.7e308 / place for place in range(1, 20) for sign in (1, -1)]
    figures = preprocess(tmp_path, _table(values)).profile.columns[0].numeric
    halves = np.array(values) / 2
    assert figures.mean == pytest.approx(2 * np.mean(halves), abs=1e295)
    assert figures.std == pytest.approx(2 * (1e308 * np.std(halves / 1e308, ddof=1)), rel=1e-9)
    assert sum(each.count for each in figures.histogram) == len(values)
    assert figures.quantiles["0.99"] <= figures.max == 1.7e308


def test_a_single_value(tmp_path):
    figures = preprocess(tmp_path, b"x\n4.5\n").profile.columns[0].numeric
    assert (figures.min, figures.max, figures.mean, figures.std) == (4.5, 4.5, 4.5, 0)
    assert set(figures.quantiles.values()) == {4.5}


def test_top_values_most_frequent_first_ties_by_text(tmp_path):
    lines = ["k,n", *itertools.chain(*([f"v{value:02d},1"] * (value // 2 + 1) for value in range(30)))]
    column = preprocess(tmp_path, "\n".join(lines).encode()).profile.columns[0]
    assert column.distinct == 30
    assert len(column.top_values) == 20
    assert [(each.value, each.count) for each in column.top_values[:3]] == [("v28", 15), ("v29", 15), ("v26", 14)]


def test_times_span_and_preview(tmp_path):
    data = b"t,z,b\n2024-01-02,2024-01-01T00:30+01:00,true\n2024-01-01,2024-01-01T00:00Z,false\n"
    outcome = preprocess(tmp_path, data)
    naive, zoned, boolean = outcome.profile.columns
    assert (naive.earliest, naive.latest) == ("2024-01-01T00:00:00.000000", "2024-01-02T00:00:00.000000")
    assert (zoned.earliest, zoned.latest) == ("2023-12-31T23:30:00.000000Z", "2024-01-01T00:00:00.000000Z")
    assert [(each.value, each.count) for each in boolean.top_values] == [("false", 1), ("true", 1)]
    assert outcome.preview.columns == ("t", "z", "b")
    assert outcome.preview.rows[0] == ("2024-01-02T00:00:00.000000", "2023-12-31T23:30:00.000000Z", True)
    assert str(outcome.table.schema.field("z").type) == "timestamp[us, tz=UTC]"
    assert str(outcome.table.schema.field("t").type) == "timestamp[us]"


def test_preview_has_the_first_hundred_rows(tmp_path):
    data = "n\n" + "".join(f"{row}\n" for row in range(300))
    assert preprocess(tmp_path, data.encode()).preview.rows == tuple((float(row),) for row in range(100))


@pytest.mark.parametrize(("rows", "type_"), [(20, "categorical"), (21, "text")])
def test_text_is_categorical_when_it_has_few_values(rows, type_, tmp_path):
    data = "k,n\n" + "".join(f"v{row},{row % 2}\n" for row in range(rows))
    assert preprocess(tmp_path, data.encode()).types["k"] == type_


def test_duplicates_are_counted_exactly(tmp_path):
    lines = [f"{row % 4000},{row % 3}," for row in range(12_500)]
    warning = preprocess(tmp_path, "\n".join(["a,b,c", *lines]).encode()).warning("duplicate_rows")
    assert f"{12_500 - len(set(lines)):,} of 12,500 rows" in warning.message


def test_moments_join_like_one_pass():
    parts = ([1.0, 2.0], [], [10.0, 20.0, 30.0])
    joined = Moments()
    for part in parts:
        mean = sum(part) / len(part) if part else 0.0
        joined = joined.joined(Moments(len(part), mean, sum((each - mean) ** 2 for each in part)))
    whole = list(itertools.chain(*parts))
    assert joined.mean == pytest.approx(np.mean(whole))
    assert joined.std == pytest.approx(np.std(whole, ddof=1))
    assert math.isclose(Moments(1, 5.0, 0.0).std, 0.0)
