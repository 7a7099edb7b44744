"""Areas under the ROC curve, for many groups of rows in one pass.

The area is the chance that a positive row scores above a negative one, ties counting half (Mann-Whitney).
"""

from dataclasses import dataclass

import numpy as np

from training.evaluation.request import Array


@dataclass(frozen=True)
class Ranked:
    """Rows by ascending score. `tie` numbers the distinct scores from 0."""

    order: Array
    positive: Array
    tie: Array
    distinct: Array


@dataclass(frozen=True)
class Areas:
    """`area` (groups,) is NaN where a group lacks positives or negatives."""

    area: Array
    positives: Array
    negatives: Array


def rank(scores: Array, positive: Array) -> Ranked:
    """Sort once; everything that depends on the order of the scores starts from here."""
    order = np.argsort(scores, kind="stable")
    sorted_scores = scores[order]
    starts = run_starts(sorted_scores)
    tie = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(scores)))
    return Ranked(order, positive[order].astype(np.int64), tie, sorted_scores[starts])


def run_starts(*keys: Array) -> Array:
    """Positions where a run of equal keys begins."""
    changed = np.zeros(len(keys[0]), dtype=bool)
    changed[:1] = True
    for key in keys:
        changed[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(changed)


def area(scores: Array, positive: Array) -> float | None:
    """Area under the ROC curve; None when one of the two kinds is absent."""
    ranked = rank(scores, positive)
    positives = np.bincount(ranked.tie, ranked.positive)
    negatives = np.bincount(ranked.tie) - positives
    [whole] = areas_of_runs(np.zeros(len(positives), dtype=np.intp), positives, negatives, 1).area
    return None if np.isnan(whole) else float(whole)


def grouped_areas(ranked: Ranked, groups: Array, count: int) -> Areas:
    """The area within each of `count` groups; `groups` (n,) numbers them from 0, in the rows' own order."""
    by_rank = groups[ranked.order]
    by_group = np.argsort(by_rank, kind="stable")
    group, tie, positive = by_rank[by_group], ranked.tie[by_group], ranked.positive[by_group]
    starts = run_starts(group, tie)
    positives = np.add.reduceat(positive, starts)
    negatives = np.diff(starts, append=len(group)) - positives
    return areas_of_runs(group[starts], positives, negatives, count)


def areas_of_runs(group: Array, positives: Array, negatives: Array, count: int) -> Areas:
    """Areas from runs of equal score, sorted by (group, score): their group and numbers of rows."""
    all_positives = np.bincount(group, positives, count)
    all_negatives = np.bincount(group, negatives, count)
    before_group = np.cumsum(all_negatives) - all_negatives
    below = np.cumsum(negatives) - negatives - before_group[group]
    wins = np.bincount(group, positives * (below + 0.5 * negatives), count)
    pairs = all_positives * all_negatives
    area = np.divide(wins, pairs, out=np.full(count, np.nan), where=pairs > 0)
    return Areas(area, all_positives, all_negatives)


def column_areas(scores: Array, positives: Array, negatives: Array) -> Areas:
    """The area of each column of `scores` (m, k), where entry i stands for positives[i] + negatives[i] rows."""
    by_column = np.ascontiguousarray(scores.T)
    order = np.argsort(by_column, axis=1, kind="stable")
    column = np.repeat(np.arange(len(order)), order.shape[1])
    starts = run_starts(column, np.take_along_axis(by_column, order, axis=1).ravel())
    above, below = (
        np.add.reduceat(np.take_along_axis(counts.T, order, axis=1).ravel(), starts)
        for counts in (positives, negatives)
    )
    return areas_of_runs(column[starts], above, below, len(order))


def mean_area(areas: Array) -> float | None:
    """Mean of the defined areas, None when there is none."""
    defined = areas[~np.isnan(areas)]
    return float(defined.mean()) if len(defined) else None


def standard_error(areas: Areas) -> Array:
    """Standard error of each area, Hanley and McNeil (Radiology 143, 1982), NaN where undefined."""
    a, p, n = areas.area, areas.positives, areas.negatives
    both, other = a / (2 - a), 2 * a**2 / (1 + a)
    variance = a * (1 - a) + (p - 1) * (both - a**2) + (n - 1) * (other - a**2)
    error: Array = np.sqrt(np.divide(variance, p * n, out=np.full(len(a), np.nan), where=p * n > 0))
    return error
