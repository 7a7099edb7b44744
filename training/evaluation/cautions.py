"""Reasons to distrust the figures that are not about a single column's values."""

import math
from collections.abc import Iterator, Mapping

import numpy as np

from mlops_contracts.evaluation import EvaluationWarning
from mlops_contracts.metrics import OBJECTIVE
from training.evaluation.metrics import dummy_scores
from training.evaluation.ranking import grouped_areas, rank, standard_error
from training.evaluation.request import EvaluationInput

FEW_HELD_OUT = 100
FEW_OF_A_CLASS = 20
RARE_CLASS = 0.1
"""Rows of the rarest class for each row of the most frequent one."""
UNEVEN = 1.5
"""Factor between the share that was asked for and the share held out that is worth a word."""
MOST_IGNORED = 100
_ERRORS = 1.645
"""One-sided 95%."""


def cautions(request: EvaluationInput) -> Iterator[EvaluationWarning]:
    """Few rows, an uneven split, class imbalance, no better than a dummy, ignored columns."""
    yield from _no_better_than_dummy(request)
    yield from _few_rows(request)
    yield from _uneven_split(request)
    if request.problem_type != "regression":
        yield from _imbalance(request)
    yield from _ignored(request)


def _few_rows(request: EvaluationInput) -> Iterator[EvaluationWarning]:
    held_out = len(request.y_valid)
    if held_out < FEW_HELD_OUT:
        yield EvaluationWarning(
            code="few_rows",
            message=f"Only {held_out} held-out rows: another split could give quite different figures. "
            "Bring more rows, or hold out a larger part.",
        )
    elif request.problem_type != "regression":
        yield from _few_of_a_class(request)


def _uneven_split(request: EvaluationInput) -> Iterator[EvaluationWarning]:
    """By time, rows of one moment stay together, so a coarse column cannot be cut anywhere."""
    share = len(request.y_valid) / (len(request.y_train) + len(request.y_valid))
    asked = request.asked_share
    if request.split == "time" and asked and not asked / UNEVEN <= share <= asked * UNEVEN:
        yield EvaluationWarning(
            code="uneven_split",
            message=f"{share:.1%} of the rows are held out, where {asked:.1%} was asked for: the time column has so "
            "few moments, or so many rows at one of them, that no cut comes nearer. Use a finer time column, or a "
            "share that fits its moments.",
        )


def _few_of_a_class(request: EvaluationInput) -> Iterator[EvaluationWarning]:
    rows = np.bincount(request.y_valid, minlength=len(request.classes))
    least = int(rows.argmin())
    if rows[least] < FEW_OF_A_CLASS:
        yield EvaluationWarning(
            code="few_rows",
            message=f"Class {request.classes[least]} has {rows[least]} held-out rows: figures of that class, and "
            "means over the classes, are uncertain. Bring more rows of it.",
        )


def _imbalance(request: EvaluationInput) -> Iterator[EvaluationWarning]:
    both = np.concatenate([request.y_train, request.y_valid])
    rows = np.bincount(both, minlength=len(request.classes)).tolist()
    message = imbalance(dict(zip(request.classes, rows, strict=True)))
    if message is not None:
        yield EvaluationWarning(code="class_imbalance", message=message)


def imbalance(rows: Mapping[str, int]) -> str | None:
    """What is to be said about the rows of each class; None when none is rare."""
    least, most = min(rows, key=rows.__getitem__), max(rows, key=rows.__getitem__)
    if rows[least] >= RARE_CLASS * rows[most]:
        return None
    return (
        f"Class {least} makes up {rows[least] / sum(rows.values()):.2%} of the rows ({rows[least]} against "
        f"{rows[most]} of {most}): accuracy says little here. Look at average precision and recall, and consider "
        "class_weight = balanced or another threshold."
    )


def _no_better_than_dummy(request: EvaluationInput) -> Iterator[EvaluationWarning]:
    margin = dummy_margin(request)
    if margin is not None and margin <= 0:
        metric = OBJECTIVE[request.problem_type][0]
        yield EvaluationWarning(
            code="no_better_than_dummy",
            message=f"By {metric}, the model is not significantly better than a dummy that ignores every feature. "
            "The features may say nothing about the target.",
        )


def dummy_margin(request: EvaluationInput) -> float | None:
    """Lower end of the one-sided 95% interval of the model's lead over a dummy; None when undefined.

    Classes: area above 0.5 (mean over classes, standard errors averaged, which is conservative). Regression:
    mean difference of squared errors, paired by row, in units of the dummy's mean squared error.
    """
    return _regression_margin(request) if request.problem_type == "regression" else _class_margin(request)


def _class_margin(request: EvaluationInput) -> float | None:
    wanted = [1] if request.problem_type == "binary" else range(len(request.classes))
    nothing = np.zeros(len(request.y_valid), dtype=np.int8)
    found = [grouped_areas(rank(request.scores[:, c], request.y_valid == c), nothing, 1) for c in wanted]
    margins = [float(one.area[0] - 0.5 - _ERRORS * standard_error(one)[0]) for one in found]
    defined = [margin for margin in margins if not math.isnan(margin)]
    return float(np.mean(defined)) if defined else None


def _regression_margin(request: EvaluationInput) -> float | None:
    n = len(request.y_valid)
    dummy = np.abs(dummy_scores("regression", request.y_train, 0, n) - request.y_valid)
    model = np.abs(request.scores.astype(np.float64) - request.y_valid)
    scale = max(float(dummy.max()), float(model.max()))
    if n < 2 or scale == 0 or dummy.max() == 0:
        return None
    lead = (dummy / scale) ** 2 - (model / scale) ** 2
    return float(lead.mean() - _ERRORS * lead.std(ddof=1) / math.sqrt(n)) / float(np.mean((dummy / scale) ** 2))


def _ignored(request: EvaluationInput) -> Iterator[EvaluationWarning]:
    named = list(request.ignored.items())
    for column, reason in named[:MOST_IGNORED]:
        yield EvaluationWarning(code="ignored_column", column=column, message=f"{column} is not used: {reason}.")
    if len(named) > MOST_IGNORED:
        yield EvaluationWarning(
            code="ignored_column", message=f"{len(named) - MOST_IGNORED} more columns are not used either."
        )
