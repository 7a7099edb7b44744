"""Parts of the held-out rows on which the model is significantly worse than on the whole.

A slice is one category, one quantile bin, or the missing cells of one column. Hundreds are looked at, so a
slice counts only when its one-sided p-value stays below 5% after Bonferroni's correction.

binary      area under the curve within the slice, Hanley and McNeil's standard error
multiclass  accuracy in the slice against the rest, two proportions
regression  mean squared error in the slice against the rest, Welch
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from mlops_contracts.evaluation import Slice
from training.evaluation.grouping import Grouping, group
from training.evaluation.ranking import grouped_areas, rank, standard_error
from training.evaluation.request import Array, EvaluationInput
from training.evaluation.sampling import sample_rows

MOST_SLICES = 10
FEWEST_ROWS = 30
FEWEST_OF_A_CLASS = 10
BINS = 5
MOST_ROWS = 100_000
TRAINING_ROWS = 10_000
ALPHA = 0.05

METRIC = {"binary": "auc", "multiclass": "accuracy", "regression": "rmse"}


@dataclass(frozen=True)
class Judged:
    """Figures by group of one column; NaN where the group is too small to judge.

    `deficit` is how much worse than the whole, in the metric's unit; `z` in standard errors.
    """

    rows: Array
    metric: Array
    deficit: Array
    z: Array


Judge = Callable[[Array, int], Judged]


def worst_slices(request: EvaluationInput) -> tuple[Slice, ...]:
    """At most MOST_SLICES, the largest deficit first."""
    rows = sample_rows(len(request.y_valid), MOST_ROWS, request.seed)
    judge, overall = _judge(request, rows)
    if overall is None:
        return ()
    judged = list(_judged(request, rows, judge))
    tested = sum(int(np.isfinite(figures.z).sum()) for _, figures in judged)
    limit = NormalDist().inv_cdf(1 - ALPHA / max(1, tested))
    found = [found for one in judged for found in _significant(*one, limit, overall)]
    return tuple(one for _, one in sorted(found, key=lambda pair: -pair[0])[:MOST_SLICES])


def _judged(request: EvaluationInput, rows: Array, judge: Judge) -> Iterator[tuple[Grouping, Judged]]:
    training = sample_rows(len(request.y_train), TRAINING_ROWS, request.seed)
    for feature in request.features:
        grouping = group(feature, request.columns_train[feature.name][training], BINS)
        yield grouping, judge(grouping.of(request.columns_valid[feature.name][rows]), grouping.count)


def _significant(grouping: Grouping, judged: Judged, limit: float, overall: float) -> Iterator[tuple[float, Slice]]:
    for g in np.flatnonzero(judged.z > limit).tolist():
        found = Slice(
            feature=grouping.feature.name,
            condition=grouping.condition(g),
            rows=int(judged.rows[g]),
            metric=float(judged.metric[g]),
            overall=overall,
        )
        yield float(judged.deficit[g]), found


def _judge(request: EvaluationInput, rows: Array) -> tuple[Judge, float | None]:
    """What judges the groups of a column, and the metric of all rows (None: undefined)."""
    y, scores = request.y_valid[rows], request.scores[rows]
    if request.problem_type == "binary":
        return _binary_judge(y, scores[:, 1])
    if request.problem_type == "multiclass":
        wrong = (scores.argmax(axis=1) != y).astype(np.float64)
        return _loss_judge(wrong, lambda loss: 1 - loss), float(1 - wrong.mean())
    error = np.abs(scores.astype(np.float64) - y)
    scale = float(error.max()) or 1.0
    squares = (error / scale) ** 2
    return _loss_judge(squares, lambda loss: scale * np.sqrt(loss)), float(scale * np.sqrt(squares.mean()))


def _binary_judge(y: Array, score: Array) -> tuple[Judge, float | None]:
    ranked = rank(score, y == 1)
    whole = grouped_areas(ranked, np.zeros(len(y), dtype=np.int8), 1).area[0]

    def judge(groups: Array, count: int) -> Judged:
        areas = grouped_areas(ranked, groups.astype(np.int16 if count < 2**15 else np.int32), count)
        judgeable = np.minimum(areas.positives, areas.negatives) >= FEWEST_OF_A_CLASS
        rows = areas.positives + areas.negatives
        deficit = np.where(judgeable & (rows >= FEWEST_ROWS), whole - areas.area, np.nan)
        # An area of exactly 0 or 1 has standard error 0; half a pair keeps the quotient finite.
        error = np.maximum(standard_error(areas), 0.5 / np.maximum(areas.positives * areas.negatives, 1))
        return Judged(rows, areas.area, deficit, deficit / error)

    return judge, None if np.isnan(whole) else float(whole)


def _loss_judge(loss: Array, to_metric: Callable[[Array], Array]) -> Judge:
    """Compare the mean loss per row of each group with that of all other rows."""
    total, squares, n = loss.sum(), (loss**2).sum(), len(loss)
    overall = to_metric(np.asarray(total / n))

    def judge(groups: Array, count: int) -> Judged:
        rows = np.bincount(groups, minlength=count)
        inside = _moments(rows, np.bincount(groups, loss, count), np.bincount(groups, loss**2, count))
        outside = _moments(n - rows, total - inside.total, squares - inside.squares)
        judgeable = (rows >= FEWEST_ROWS) & (n - rows >= FEWEST_ROWS)
        error = np.sqrt(inside.variance / np.maximum(rows, 1) + outside.variance / np.maximum(n - rows, 1))
        gap = np.where(judgeable, inside.mean - outside.mean, np.nan)
        z = np.divide(gap, error, out=np.full(count, np.nan), where=error > 0)
        metric = to_metric(inside.mean)
        return Judged(rows, metric, np.abs(metric - overall), z)

    return judge


@dataclass(frozen=True)
class _Moments:
    total: Array
    squares: Array
    mean: Array
    variance: Array


def _moments(rows: Array, total: Array, squares: Array) -> _Moments:
    """Mean and unbiased variance; groups without two rows get zeros, callers do not judge them."""
    mean = total / np.maximum(rows, 1)
    variance = np.maximum(squares - rows * mean**2, 0) / np.maximum(rows - 1, 1)
    return _Moments(total, squares, np.maximum(mean, 0), variance)
