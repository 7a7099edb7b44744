"""Whether the target can be computed from one column, or the column from the target."""

from collections.abc import Callable

import numpy as np

from training.evaluation.grouping import Grouping, is_missing
from training.evaluation.ranking import run_starts
from training.evaluation.request import UNSEEN, Array
from training.evaluation.single_column import Sample

ROWS_PER_VALUE = 5
"""A mapping that few rows support is no finding: every column that is unique per row maps to its row's target."""
GLANCE = 500


def target_derived(sample: Sample, grouping: Grouping) -> bool:
    """Whether present values of the column determine the target on all sampled rows."""
    name = grouping.feature.name
    column = np.concatenate([sample.columns_train[name], sample.columns_valid[name]])
    y = np.concatenate([sample.y_train, sample.y_valid])
    kept = ~is_missing(column) & (column != UNSEEN) if grouping.feature.type == "categorical" else ~is_missing(column)
    if kept.mean() < 0.5 or len(np.unique(y[kept])) < 2:
        return False
    if grouping.exact:
        return _one_target_each(grouping.of(column[kept]), y[kept])
    return _ordered(column[kept], y[kept], _on_a_curve if sample.regression else _apart)


def _ordered(x: Array, y: Array, holds: Callable[[Array, Array], bool]) -> bool:
    """Try a few rows first: what holds on all rows holds on those, and hardly any column passes."""
    return holds(x[:GLANCE], y[:GLANCE]) and holds(x, y) and _enough_of_each(y)


def _enough_of_each(y: Array) -> bool:
    """Every class has rows to mean it; a target of many values always has."""
    _, rows = np.unique(y, return_counts=True)
    return len(rows) > len(y) / 2 or int(rows.min()) >= 2 * ROWS_PER_VALUE


def _one_target_each(groups: Array, y: Array) -> bool:
    """Every group has a single target value, and enough rows to mean it."""
    order = np.argsort(groups, kind="stable")
    starts = run_starts(groups[order])
    if len(starts) < 2 or len(y) < ROWS_PER_VALUE * len(starts):
        return False
    return bool((np.minimum.reduceat(y[order], starts) == np.maximum.reduceat(y[order], starts)).all())


def _apart(x: Array, y: Array) -> bool:
    """The classes lie in intervals of the column that do not overlap."""
    order = np.argsort(y, kind="stable")
    starts = run_starts(y[order])
    low, high = np.minimum.reduceat(x[order], starts), np.maximum.reduceat(x[order], starts)
    ascending = np.argsort(low)
    return bool((low[ascending][1:] > high[ascending][:-1]).all())


def _on_a_curve(x: Array, y: Array) -> bool:
    """The target never falls (or never rises) as the column grows, and equal values have equal targets."""
    order = np.lexsort((y, x))
    steps = np.diff(y[order])
    same = np.diff(x[order]) == 0
    return not (steps[same] != 0).any() and bool((steps >= 0).all() or (steps <= 0).all())
