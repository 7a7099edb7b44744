"""Figures of one set of scores. A figure that is undefined on these rows is left out, never NaN."""

from collections.abc import Mapping

import numpy as np

from mlops_contracts.hyperparameters import ProblemType
from mlops_contracts.metrics import OBJECTIVE
from training.evaluation.curves import average_precision, sweep
from training.evaluation.ranking import area, column_areas, grouped_areas, mean_area, rank
from training.evaluation.request import Array

DEFAULT_THRESHOLD = 0.5
_SORTED_AT_ONCE = 250_000


def metrics(problem_type: ProblemType, y: Array, scores: Array, threshold: float | None = None) -> dict[str, float]:
    """Figures of `scores` against `y`, shaped as in EvaluationInput.

    binary: auc, average_precision, logloss, brier, accuracy, f1, precision, recall (of classes[1] at the
    threshold). multiclass: auc (macro one-vs-rest), logloss, brier, accuracy, f1 (macro).
    regression: rmse, mae, median_absolute_error, r2.
    """
    if problem_type == "regression":
        return _finite(_regression(y, scores))
    if problem_type == "binary":
        return _finite(_binary(y, scores, threshold))
    return _finite(_multiclass(y, scores))


def objective(problem_type: ProblemType, y: Array, scores: Array) -> float | None:
    """Only the figure that ranks versions, see mlops_contracts.metrics.OBJECTIVE; None when undefined."""
    if problem_type == "regression":
        return _finite({"rmse": _rmse(y, scores)}).get("rmse")
    return area(scores[:, 1], y == 1) if problem_type == "binary" else macro_auc(y, scores)


def gain(problem_type: ProblemType, better: float, worse: float) -> float:
    """How much `better` is better than `worse` by the objective; negative when it is not."""
    return better - worse if OBJECTIVE[problem_type][1] == "maximize" else worse - better


def dummy_scores(problem_type: ProblemType, y_train: Array, n_classes: int, rows: int) -> Array:
    """Scores that ignore the features: the training rows' class shares, or their mean."""
    if problem_type == "regression":
        return np.full(rows, y_train.mean(dtype=np.float64))
    share = np.bincount(y_train, minlength=n_classes) / len(y_train)
    return np.tile(share, (rows, 1))


def predicted_classes(problem_type: ProblemType, scores: Array, threshold: float | None) -> Array:
    """Class codes: the likeliest, or for binary whether P(classes[1]) reaches the threshold."""
    if problem_type == "binary":
        return (scores[:, 1] >= (DEFAULT_THRESHOLD if threshold is None else threshold)).astype(np.int64)
    likeliest: Array = scores.argmax(axis=1)
    return likeliest


def macro_auc(y: Array, scores: Array) -> float | None:
    """Mean of the one-vs-rest areas over the classes that are present; None when there are fewer than two."""
    return mean_area(class_areas(y, scores))


def class_areas(y: Array, scores: Array) -> Array:
    """One-vs-rest area of each class (k,); NaN for a class without rows, or the only one.

    Many classes are sorted in one call, as many as fit into a few megabytes.
    """
    k, at_once = scores.shape[1], max(1, _SORTED_AT_ONCE // len(y))
    chunks = [np.arange(first, min(first + at_once, k)) for first in range(0, k, at_once)]
    return np.concatenate([_chunk_areas(y, scores, classes) for classes in chunks])


def _chunk_areas(y: Array, scores: Array, classes: Array) -> Array:
    positive = (y[:, None] == classes).astype(np.int64)
    return column_areas(scores[:, classes], positive, 1 - positive).area


def log_loss(y: Array, scores: Array) -> Array:
    """Loss of each row in nats; probabilities are clipped to the resolution of their type, as scikit-learn does."""
    eps = np.finfo(scores.dtype).eps
    loss: Array = -np.log(np.clip(scores[np.arange(len(y)), y], eps, 1 - eps, dtype=np.float64))
    return loss


def brier(y: Array, scores: Array) -> float:
    """Brier's score: mean squared error of P(classes[1]) for two classes (0..1), summed over classes else (0..2)."""
    if scores.shape[1] == 2:
        return float(np.mean((scores[:, 1].astype(np.float64) - y) ** 2))
    truth = np.zeros(scores.shape)
    truth[np.arange(len(y)), y] = 1
    return float(np.mean(((scores - truth) ** 2).sum(axis=1)))


def _binary(y: Array, scores: Array, threshold: float | None) -> dict[str, float | None]:
    ranked = rank(scores[:, 1], y == 1)
    auc = grouped_areas(ranked, np.zeros(len(y), dtype=np.int8), 1).area[0]
    predicted = predicted_classes("binary", scores, threshold)
    return {
        "auc": auc,
        "average_precision": average_precision(sweep(ranked)),
        "logloss": log_loss(y, scores).mean(),
        "brier": brier(y, scores),
        "accuracy": (predicted == y).mean(),
        **_positive_figures(y == 1, predicted == 1),
    }


def _positive_figures(actual: Array, predicted: Array) -> dict[str, float | None]:
    hits = int((actual & predicted).sum())
    n_actual, n_predicted = int(actual.sum()), int(predicted.sum())
    return {
        "f1": ratio(2 * hits, n_actual + n_predicted),
        "precision": ratio(hits, n_predicted),
        "recall": ratio(hits, n_actual),
    }


def _multiclass(y: Array, scores: Array) -> dict[str, float | None]:
    predicted = scores.argmax(axis=1)
    return {
        "auc": macro_auc(y, scores),
        "logloss": log_loss(y, scores).mean(),
        "brier": brier(y, scores),
        "accuracy": (predicted == y).mean(),
        "f1": macro_f1(y, predicted, scores.shape[1]),
    }


def macro_f1(y: Array, predicted: Array, n_classes: int) -> float:
    """Mean F1 of the classes that are present or predicted."""
    hits = np.bincount(y[y == predicted], minlength=n_classes)
    total = np.bincount(y, minlength=n_classes) + np.bincount(predicted, minlength=n_classes)
    return float(np.mean(2 * hits[total > 0] / total[total > 0]))


def _regression(y: Array, predicted: Array) -> dict[str, float | None]:
    with np.errstate(over="ignore"):
        error = np.abs(predicted.astype(np.float64) - y)
        squares = float((error**2).sum())
        spread = float(((y - y.mean()) ** 2).sum())
    return {
        "rmse": _rmse(y, predicted),
        "mae": float(error.mean()),
        "median_absolute_error": float(np.median(error)),
        "r2": None if spread == 0 or not np.isfinite([squares, spread]).all() else 1 - squares / spread,
    }


def _rmse(y: Array, predicted: Array) -> float:
    """Scaled by the largest error, so that squares of large targets do not overflow."""
    error = np.abs(predicted.astype(np.float64) - y)
    largest = float(error.max())
    return 0.0 if largest == 0 else largest * float(np.sqrt(np.mean((error / largest) ** 2)))


def ratio(part: float, whole: float) -> float | None:
    """`part / whole`, None when there is nothing to divide by."""
    return part / whole if whole else None


def _finite(figures: Mapping[str, float | None]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items() if value is not None and np.isfinite(value)}
