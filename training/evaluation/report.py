"""The whole of evaluation.json, put together."""

from typing import Any

import numpy as np

from mlops_contracts.evaluation import Evaluation
from mlops_contracts.metrics import OBJECTIVE
from training.evaluation.cautions import cautions
from training.evaluation.classes import class_balance, confusion, confusion_rows, per_class
from training.evaluation.curves import calibration, precision_recall, roc, sweep, threshold_counts
from training.evaluation.importance import permutation_importance
from training.evaluation.leakage import leakage_warnings
from training.evaluation.metrics import dummy_scores, metrics, predicted_classes
from training.evaluation.ranking import rank
from training.evaluation.request import EvaluationInput
from training.evaluation.residuals import residuals
from training.evaluation.slices import METRIC, worst_slices


def evaluate(request: EvaluationInput) -> Evaluation:
    """Judge a fitted model on its held-out rows; deterministic for equal input.

    Figures that are undefined on these rows (such as auc when one class is absent) are left out of
    `metrics`; nothing is ever NaN.
    """
    measured = permutation_importance(request)
    return Evaluation(
        problem_type=request.problem_type,
        objective=OBJECTIVE[request.problem_type][0],
        metrics=metrics(request.problem_type, request.y_valid, request.scores, request.threshold),
        baseline=_dummy(request),
        training_rows=len(request.y_train),
        validation_rows=len(request.y_valid),
        split=request.split,
        importance=measured.importance,
        importance_rows=measured.rows,
        slices=worst_slices(request),
        slice_metric=METRIC[request.problem_type],
        warnings=(*leakage_warnings(request), *cautions(request)),
        **_by_problem(request),
    )


def _dummy(request: EvaluationInput) -> dict[str, float]:
    scores = dummy_scores(request.problem_type, request.y_train, len(request.classes), len(request.y_valid))
    return metrics(request.problem_type, request.y_valid, scores, request.threshold)


def _by_problem(request: EvaluationInput) -> dict[str, Any]:
    if request.problem_type == "regression":
        return {"residuals": residuals(request.y_valid, request.scores, request.seed)}
    return _classification(request) | (_binary(request) if request.problem_type == "binary" else {})


def _classification(request: EvaluationInput) -> dict[str, Any]:
    y, scores, classes = request.y_valid, request.scores, request.classes
    predicted = predicted_classes(request.problem_type, scores, request.threshold)
    table = confusion(y, predicted, len(classes))
    return {
        "classes": classes,
        "class_balance": class_balance(np.concatenate([request.y_train, y]), classes),
        "confusion": confusion_rows(table),
        "per_class": per_class(y, scores, table, classes),
        "calibration": calibration(request.problem_type, y, scores),
    }


def _binary(request: EvaluationInput) -> dict[str, Any]:
    counts = sweep(rank(request.scores[:, 1], request.y_valid == 1))
    return {
        "thresholds": threshold_counts(counts),
        "roc": roc(counts),
        "precision_recall": precision_recall(counts),
    }
