"""Rows by the value of one column: one group per category or distinct value, else quantile bins.

Edges come from the column's training rows, so that held-out rows fall into the same groups. Missing cells are
a group of their own, and so are categories that training has not seen.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlops_contracts.bundle import Feature
from training.evaluation.request import MISSING, UNSEEN, Array

FEW_VALUES = 20
"""A numeric column of at most so many distinct values has a group for each: quantile bins are blind on
columns that are mostly one value."""


@dataclass(frozen=True)
class Grouping:
    """Groups are numbered 0 .. len(edges or categories), then missing, then unseen.

    `edges` ascend; group i holds edges[i-1] <= value < edges[i]. `exact`: each group is one value.
    """

    feature: Feature
    edges: Array
    values: Array
    exact: bool

    @cached_property
    def present(self) -> int:
        """Number of groups of present, seen values."""
        return len(self.feature.categories) if self.feature.type == "categorical" else len(self.edges) + 1

    @property
    def count(self) -> int:
        return self.present + 2

    def of(self, column: Array) -> Array:
        """Group of each row, (n,) integers."""
        if self.feature.type == "categorical":
            return np.where(column >= 0, column, np.where(column == UNSEEN, self.present + 1, self.present))
        groups = np.searchsorted(self.edges, column, side="right")
        return np.where(np.isnan(column), self.present, groups).astype(np.int32)

    def condition(self, group: int) -> str:
        """The group in words, such as "carrier = UA" or "12.5 <= distance < 300"."""
        name = self.feature.name
        if group >= self.present:
            return f"{name} is missing" if group == self.present else f"{name} is a rare or new category"
        if self.feature.type == "categorical":
            return f"{name} = {self.feature.categories[group]}"
        if self.feature.type == "boolean":
            return f"{name} = {'true' if self.values[group] else 'false'}"
        return f"{name} = {number(self.values[group])}" if self.exact else self._interval(group)

    def _interval(self, group: int) -> str:
        low = f"{number(self.edges[group - 1])} <= " if group > 0 else ""
        high = f" < {number(self.edges[group])}" if group < len(self.edges) else ""
        if low and not high:
            return f"{self.feature.name} >= {number(self.edges[-1])}"
        return f"{low}{self.feature.name}{high}"


def group(feature: Feature, training: Array, bins: int) -> Grouping:
    """Learn the groups of a column from training values; numeric columns get at most `bins` quantile bins."""
    nothing = np.empty(0)
    if feature.type == "categorical":
        return Grouping(feature, nothing, nothing, exact=True)
    present = np.sort(training[~np.isnan(training)])
    values = present[np.diff(present, prepend=np.nan) != 0]
    if len(values) <= FEW_VALUES:
        return Grouping(feature, (values[1:] + values[:-1]) / 2, values, exact=True)
    return Grouping(feature, quantile_edges(present, bins), nothing, exact=False)


def quantile_edges(ascending: Array, bins: int) -> Array:
    """Inner edges of quantile bins, rounded to a thousandth of the middle spread so that they read well."""
    edges = ascending[(np.arange(1, bins) * len(ascending)) // bins]
    spread = edges[-1] - edges[0]
    if spread > 0 and np.isfinite(spread):
        edges = np.round(edges, 3 - math.floor(math.log10(spread)))
    inner: Array = np.unique(edges[edges > ascending[0]])
    return inner


def number(value: float) -> str:
    """Shortest text of a rounded number: 300, 12.5."""
    return f"{value:.15g}"


def is_missing(column: Array) -> Array:
    """Rows without a value."""
    missing: Array = column == MISSING if np.issubdtype(column.dtype, np.integer) else np.isnan(column)
    return missing
