"""Permutation importance ranks columns by what the model makes of them, at a bounded cost."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as reference

from tests.support.evaluation_data import binary_request, linear, multiclass_request, regression_request
from training.evaluation.importance import REPEATS, SCORED_ROWS, importance_rows, permutation_importance
from training.evaluation.sampling import stratified_rows


@pytest.mark.parametrize("make", [binary_request, multiclass_request, regression_request])
def test_order_follows_the_weights_and_useless_columns_lose_nothing(make):
    found = permutation_importance(make())
    assert [one.feature for one in found.importance[:2]] == ["x0", "x1"]
    by_name = {one.feature: one for one in found.importance}
    assert by_name["x0"].mean > 2 * by_name["x1"].mean > 0
    for useless in ("x2", "city"):
        assert (by_name[useless].mean, by_name[useless].std) == (0, 0)
    assert 0 < by_name["x0"].std < 0.2 * by_name["x0"].mean
    assert found.rows == 1000


def test_size_is_what_theory_says():
    """Shuffling x0 of y = 1.5 x0 + 0.7 x1 + noise adds 2 * 1.5^2 to the mean squared error of 1."""
    found = permutation_importance(regression_request(40_000))
    assert found.rows == 2000
    assert found.importance[0].mean == pytest.approx(np.sqrt(1 + 2 * 1.5**2) - 1, rel=0.05)


def test_loss_is_of_the_objective_metric():
    """With every other column constant, shuffling the only informative one leaves nothing."""

    def only_first(columns):
        positive = 1 / (1 + np.exp(-columns["x0"]))
        return np.column_stack([1 - positive, positive])

    request = binary_request()
    request = replace(request, predict=only_first, scores=only_first(request.columns_valid))
    whole = reference.roc_auc_score(request.y_valid, request.scores[:, 1])
    assert permutation_importance(request).importance[0].mean == pytest.approx(whole - 0.5, abs=0.02)


def test_one_call_of_the_model_for_each_column():
    asked = []

    def counted(columns):
        asked.append(len(columns["x0"]))
        return linear(columns)

    found = permutation_importance(replace(regression_request(), predict=counted))
    assert asked == [found.rows * REPEATS] * 4


@pytest.mark.parametrize("algorithm", SCORED_ROWS)
def test_cost_is_bounded_by_the_budget_or_the_fewest_rows(algorithm):
    for features in (1, 10, 30, 1000):
        for classes in (0, 2, 50):
            scored = importance_rows(algorithm, features, classes) * features * REPEATS
            assert scored <= max(SCORED_ROWS[algorithm], 200 * features * REPEATS)
    assert importance_rows("xgboost", 30, 2) == 444


def test_rare_class_is_in_the_sample():
    rare = np.where(np.arange(10_000) % 1000 == 0, 1, 0)
    assert rare[stratified_rows(rare, 1000, seed=3)].sum() == 1
    assert rare[stratified_rows(rare, 2000, seed=3)].sum() == 2
