"""ROC, precision-recall and threshold counts from one sorted pass; calibration bins.

Curves are thinned to at most 200 points; both ends stay, and the points are spread along the curve.
"""

from dataclasses import dataclass

import numpy as np

from mlops_contracts.evaluation import CalibrationBin, Point, ThresholdCounts
from mlops_contracts.hyperparameters import ProblemType
from training.evaluation.ranking import Ranked, run_starts
from training.evaluation.request import Array

MAX_POINTS = 200
CALIBRATION_BINS = 10
THRESHOLDS = np.arange(101) / 100


@dataclass(frozen=True)
class Sweep:
    """Rows called positive at each distinct score, from the highest score down."""

    threshold: Array
    true_positives: Array
    false_positives: Array

    @property
    def positives(self) -> int:
        return int(self.true_positives[-1])

    @property
    def negatives(self) -> int:
        return int(self.false_positives[-1])


def sweep(ranked: Ranked) -> Sweep:
    """Confusion counts at every distinct score."""
    starts = run_starts(ranked.tie)
    positives = np.add.reduceat(ranked.positive, starts)[::-1]
    rows = np.diff(starts, append=len(ranked.tie))[::-1]
    return Sweep(ranked.distinct[::-1], np.cumsum(positives), np.cumsum(rows - positives))


def average_precision(counts: Sweep) -> float | None:
    """Sum of precision times the step in recall (no interpolation); None without positives."""
    if counts.positives == 0:
        return None
    precision = counts.true_positives / (counts.true_positives + counts.false_positives)
    steps = np.diff(counts.true_positives, prepend=0) / counts.positives
    return float((precision * steps).sum())


def roc(counts: Sweep) -> tuple[Point, ...]:
    """From (0, 0) to (1, 1); empty when one class is absent."""
    if counts.positives == 0 or counts.negatives == 0:
        return ()
    x = np.append(0, counts.false_positives / counts.negatives)
    y = np.append(0, counts.true_positives / counts.positives)
    return _points(x, y, counts.threshold, position=x + y)


def precision_recall(counts: Sweep) -> tuple[Point, ...]:
    """By growing recall, from (0, 1) on; empty without positives. Ends at the first threshold of full recall."""
    if counts.positives == 0:
        return ()
    last = int(np.searchsorted(counts.true_positives, counts.positives)) + 1
    hits, called = counts.true_positives[:last], (counts.true_positives + counts.false_positives)[:last]
    recall = np.append(0, hits / counts.positives)
    return _points(recall, np.append(1, hits / called), counts.threshold[:last], position=recall)


def _points(x: Array, y: Array, threshold: Array, position: Array) -> tuple[Point, ...]:
    """The first point stands before every threshold, so it has none."""
    kept = thin(position)
    limits = [None, *threshold[kept[1:] - 1].tolist()]
    return tuple(
        Point(x=a, y=b, threshold=t) for a, b, t in zip(x[kept].tolist(), y[kept].tolist(), limits, strict=True)
    )


def thin(position: Array) -> Array:
    """Indices of at most MAX_POINTS points, evenly along the non-decreasing `position`, with both ends."""
    if len(position) <= MAX_POINTS:
        return np.arange(len(position))
    grid = np.linspace(position[0], position[-1], MAX_POINTS - 1)
    nearest = np.searchsorted(position, grid[1:-1])
    return np.unique(np.concatenate([[0], nearest, [len(position) - 1]]))


def threshold_counts(counts: Sweep) -> tuple[ThresholdCounts, ...]:
    """Confusion counts at 0.00, 0.01, ... 1.00."""
    called = np.searchsorted(-counts.threshold, -THRESHOLDS, side="right")
    hits = np.append(0, counts.true_positives)[called].tolist()
    alarms = np.append(0, counts.false_positives)[called].tolist()
    return tuple(
        ThresholdCounts(
            threshold=threshold,
            true_positives=hit,
            false_positives=alarm,
            true_negatives=counts.negatives - alarm,
            false_negatives=counts.positives - hit,
        )
        for threshold, hit, alarm in zip(THRESHOLDS.tolist(), hits, alarms, strict=True)
    )


def calibration(problem_type: ProblemType, y: Array, scores: Array) -> tuple[CalibrationBin, ...]:
    """Mean probability against what happened, in at most ten bins of about equally many rows.

    binary: P(classes[1]) against the rate of classes[1]. multiclass: the probability of the likeliest class
    against how often it was right.
    """
    if problem_type == "binary":
        return _bins(scores[:, 1].astype(np.float64), y == 1)
    return _bins(scores.max(axis=1).astype(np.float64), y == scores.argmax(axis=1))


def _bins(predicted: Array, happened: Array) -> tuple[CalibrationBin, ...]:
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, CALIBRATION_BINS + 1)))
    inside = np.searchsorted(edges[1:-1], predicted)
    rows = np.bincount(inside)
    means = np.bincount(inside, predicted) / np.maximum(rows, 1)
    rates = np.bincount(inside, happened) / np.maximum(rows, 1)
    return tuple(
        CalibrationBin(mean_predicted=mean, observed_rate=rate, rows=n)
        for mean, rate, n in zip(means.tolist(), rates.tolist(), rows.tolist(), strict=True)
        if n
    )
