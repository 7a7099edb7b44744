"""Every figure equals scikit-learn's; what is undefined is left out."""

import numpy as np
import pytest
from sklearn import metrics as reference

from tests.support.evaluation_data import binary_request, multiclass_request
from training.evaluation.classes import confusion, per_class
from training.evaluation.metrics import dummy_scores, metrics, objective


def tied(scores, decimals=2):
    """Rounded probabilities: real models give many equal scores."""
    rounded = np.round(scores[:, :-1], decimals)
    return np.column_stack([rounded, 1 - rounded.sum(axis=1)]).clip(0, 1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_binary_figures_equal_scikit_learn(dtype):
    request = binary_request()
    y, scores = request.y_valid, tied(request.scores).astype(dtype)
    predicted = scores[:, 1] >= 0.4
    assert metrics("binary", y, scores, 0.4) == pytest.approx(
        {
            "auc": reference.roc_auc_score(y, scores[:, 1]),
            "average_precision": reference.average_precision_score(y, scores[:, 1]),
            "logloss": reference.log_loss(y, scores),
            "brier": reference.brier_score_loss(y, scores[:, 1]),
            "accuracy": reference.accuracy_score(y, predicted),
            "f1": reference.f1_score(y, predicted),
            "precision": reference.precision_score(y, predicted),
            "recall": reference.recall_score(y, predicted),
        },
        rel=1e-6 if dtype is np.float32 else 1e-12,
    )


def test_multiclass_figures_equal_scikit_learn():
    request = multiclass_request()
    y, scores = request.y_valid, tied(request.scores)
    assert metrics("multiclass", y, scores) == pytest.approx(
        {
            "auc": reference.roc_auc_score(y, scores, multi_class="ovr", average="macro"),
            "logloss": reference.log_loss(y, scores),
            "brier": ((scores - np.eye(3)[y]) ** 2).sum(axis=1).mean(),
            "accuracy": reference.accuracy_score(y, scores.argmax(axis=1)),
            "f1": reference.f1_score(y, scores.argmax(axis=1), average="macro"),
        }
    )


def test_regression_figures_equal_scikit_learn():
    rng = np.random.default_rng(3)
    y, predicted = rng.normal(size=501), rng.normal(size=501)
    assert metrics("regression", y, predicted) == pytest.approx(
        {
            "rmse": reference.root_mean_squared_error(y, predicted),
            "mae": reference.mean_absolute_error(y, predicted),
            "median_absolute_error": reference.median_absolute_error(y, predicted),
            "r2": reference.r2_score(y, predicted),
        }
    )


def test_hand_worked_binary():
    """Positives score .8 and .35, negatives .1 and .4: three of four pairs are in order."""
    positive = np.array([0.1, 0.4, 0.35, 0.8])
    found = metrics("binary", np.array([0, 0, 1, 1]), np.column_stack([1 - positive, positive]), 0.5)
    assert found["auc"] == 0.75
    assert found["average_precision"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert (found["precision"], found["recall"], found["f1"]) == (1, 0.5, pytest.approx(2 / 3))
    assert found["accuracy"] == 0.75


def test_one_class_only_leaves_the_area_out():
    scores = np.array([[0.9, 0.1], [0.2, 0.8]])
    assert set(metrics("binary", np.array([0, 0]), scores)) == {
        "logloss",
        "brier",
        "accuracy",
        "f1",
        "precision",
        "recall",
    } - {"recall"}


def test_absent_class_is_left_out_of_the_mean_area():
    y = np.array([0, 1, 0, 1])
    scores = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.3, 0.6, 0.1], [0.1, 0.5, 0.4]])
    expected = np.mean([reference.roc_auc_score(y == c, scores[:, c]) for c in (0, 1)])
    assert metrics("multiclass", y, scores)["auc"] == pytest.approx(expected)


def test_never_called_positive_has_no_precision():
    found = metrics("binary", np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    assert "precision" not in found
    assert (found["recall"], found["f1"]) == (0, 0)


def test_certain_and_wrong_stays_finite():
    assert metrics("binary", np.array([1]), np.array([[1.0, 0.0]]))["logloss"] == pytest.approx(36.04, abs=0.01)


def test_constant_target_has_no_r2():
    found = metrics("regression", np.array([2.0, 2.0]), np.array([1.0, 2.0]))
    assert "r2" not in found
    assert found["mae"] == 0.5


def test_huge_targets_do_not_overflow():
    found = metrics("regression", np.array([1e200, 3e200]), np.array([2e200, 2e200]))
    assert found["rmse"] == pytest.approx(1e200)
    assert "r2" not in found
    assert objective("regression", np.array([1e200, 3e200]), np.array([2e200, 2e200])) == pytest.approx(1e200)


def test_dummy_knows_the_training_rows_only():
    assert dummy_scores("binary", np.array([0, 0, 0, 1]), 2, 2).tolist() == [[0.75, 0.25]] * 2
    assert dummy_scores("regression", np.array([1.0, 3.0]), 0, 2).tolist() == [2.0, 2.0]
    assert dummy_scores("multiclass", np.array([0, 2]), 4, 1).tolist() == [[0.5, 0, 0.5, 0]]


def test_confusion_and_class_figures_equal_scikit_learn():
    request = multiclass_request()
    y, predicted = request.y_valid, request.scores.argmax(axis=1)
    table = confusion(y, predicted, 3)
    assert table.tolist() == reference.confusion_matrix(y, predicted).tolist()
    precision, recall, f1, support = reference.precision_recall_fscore_support(y, predicted)
    for c, found in enumerate(per_class(y, request.scores, table, request.classes)):
        assert (found.label, found.support) == (request.classes[c], support[c])
        assert (found.precision, found.recall, found.f1) == pytest.approx((precision[c], recall[c], f1[c]))
        assert found.auc == pytest.approx(reference.roc_auc_score(y == c, request.scores[:, c]))


def test_class_without_rows_has_zero_figures_and_no_area():
    scores = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])
    y = np.array([0, 1])
    absent = per_class(y, scores, confusion(y, scores.argmax(axis=1), 3), ("a", "b", "c"))[2]
    assert (absent.support, absent.precision, absent.recall, absent.f1, absent.auc) == (0, 0, 0, 0, None)
