"""A planted weak spot is found and named; chance is not."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score, root_mean_squared_error

from mlops_contracts.bundle import Feature
from tests.support.evaluation_data import binary_request, categorical, multiclass_request, numeric, regression_request
from training.evaluation.grouping import group
from training.evaluation.slices import worst_slices

MAKERS = {"binary": binary_request, "multiclass": multiclass_request, "regression": regression_request}


def spoiled(request, where, seed=0):
    """The held-out target is shuffled among the rows `where`."""
    y = request.y_valid.copy()
    y[where] = np.random.default_rng(seed).permutation(y[where])
    return replace(request, y_valid=y)


@pytest.mark.parametrize("kind", MAKERS)
def test_spoiled_category_is_the_worst_slice(kind):
    request = MAKERS[kind](16_000)
    where = request.columns_valid["city"] == 1
    found = worst_slices(spoiled(request, where))
    assert (found[0].condition, found[0].rows) == ("city = Lund", where.sum())
    assert all("Bonn" not in one.condition and "Oslo" not in one.condition for one in found)


def test_metric_is_the_slices_own():
    for kind, metric in (
        ("binary", lambda y, s: roc_auc_score(y, s[:, 1])),
        ("multiclass", lambda y, s: accuracy_score(y, s.argmax(axis=1))),
        ("regression", root_mean_squared_error),
    ):
        request = MAKERS[kind](16_000)
        where = request.columns_valid["city"] == 2
        request = spoiled(request, where)
        worst = worst_slices(request)[0]
        assert worst.metric == pytest.approx(metric(request.y_valid[where], request.scores[where]))
        assert worst.overall == pytest.approx(metric(request.y_valid, request.scores))


def test_numeric_range_and_missing_cells_are_named():
    request = regression_request(16_000)
    x2 = request.columns_valid["x2"]
    x2[::10] = np.nan
    request = spoiled(request, np.isnan(x2))
    assert [one.condition for one in worst_slices(request)] == ["x2 is missing"]
    request = spoiled(regression_request(16_000), regression_request(16_000).columns_valid["x2"] > 1)
    condition = worst_slices(request)[0].condition
    assert condition.startswith("x2 >= 0.8")


@pytest.mark.parametrize("kind", MAKERS)
def test_chance_is_rarely_reported(kind):
    """The model is right about every row's distribution: any slice is a false alarm. Nominal rate 5%.

    Squared errors in the quantile bins of a column of a calibrated model differ by nature for classes, so only
    columns that say nothing are looked at.
    """
    useless = (numeric("x2"), categorical("city", "Bonn", "Lund", "Oslo"))
    alarms = sum(bool(worst_slices(MAKERS[kind](2000, seed, features=useless))) for seed in range(60))
    assert alarms <= 6


def test_small_slices_are_not_judged():
    request = regression_request(4000)
    city = request.columns_valid["city"]
    city[:] = 0
    city[:20] = 1
    scores = request.scores.copy()
    scores[:20] += 100
    assert all("Lund" not in one.condition for one in worst_slices(replace(request, scores=scores)))


def test_at_most_ten_worst_first():
    names = [f"c{i}" for i in range(40)]
    rng = np.random.default_rng(0)
    request = regression_request(40_000, features=(categorical("level", *names),))
    level = rng.integers(0, 40, 40_000).astype(np.int32)
    request = replace(request, columns_train={"level": level[:30_000]}, columns_valid={"level": level[30_000:]})
    scores = request.scores + np.where(level[30_000:] < 15, 5.0 + level[30_000:], 0)
    found = worst_slices(replace(request, scores=scores))
    assert [one.condition for one in found] == [f"level = c{i}" for i in range(14, 4, -1)]


def test_groups_partition_the_values_and_say_which():
    values = np.random.default_rng(0).exponential(1000, 5000)
    learned = group(numeric("distance"), values, 5)
    groups = learned.of(np.append(values, np.nan))
    assert np.bincount(groups)[:5] == pytest.approx([1000] * 5, abs=20)
    assert groups[-1] == learned.present == 5
    edges = learned.edges
    assert learned.condition(0) == f"distance < {edges[0]:.15g}"
    assert learned.condition(1) == f"{edges[0]:.15g} <= distance < {edges[1]:.15g}"
    assert learned.condition(4) == f"distance >= {edges[3]:.15g}"
    assert all(len(f"{edge:.15g}") <= 6 for edge in edges)
    assert (learned.of(edges) == np.arange(1, 5)).all()


def test_few_distinct_values_have_a_group_each():
    learned = group(numeric("stops"), np.array([0.0] * 97 + [1, 2, np.nan]), 5)
    assert learned.of(np.array([0.0, 1, 2])).tolist() == [0, 1, 2]
    assert learned.condition(2) == "stops = 2"
    flag = group(Feature(name="late", type="boolean", required=True), np.array([0.0, 1, 1]), 5)
    assert [flag.condition(g) for g in range(3)] == ["late = false", "late = true", "late is missing"]


def test_codes_of_missing_and_unseen_have_groups():
    learned = group(categorical("city", "Bonn", "Lund"), np.empty(0, dtype=np.int32), 5)
    assert learned.of(np.array([0, 1, -1, -2], dtype=np.int32)).tolist() == [0, 1, 2, 3]
    assert learned.condition(3) == "city is a rare or new category"
