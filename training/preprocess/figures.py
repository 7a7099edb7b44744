"""Figures of one column of numbers, added to chunk by chunk: exact while there is one chunk, bounded in memory beyond.

moments            of every value; joined by Chan, Golub and LeVeque (1979), "Updating formulae and a pairwise
                   algorithm for computing sample variances"
quantiles, edges   of one chunk exact; beyond, each chunk leaves POINTS of its values in equal steps of rank, so that
                   the rank of an edge is off by at most 1 / POINTS of the values
distinct           of one chunk exact, and up to SMALLEST values; beyond, estimated from the SMALLEST smallest hashes
                   (Bar-Yossef et al. (2002), "Counting distinct elements in a data stream"), off by 0.4 % (one sigma)
top values         of one chunk exact; beyond, counts are those of Misra and Gries (1982), "Finding repeated
                   elements", too small by at most 1 / KEPT_COUNTS of the values
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

CHUNK = 2_000_000
POINTS = 16_384
SMALLEST = 65_536
KEPT_COUNTS = 4096
TOP_VALUES = 20
_HUGE = 1e100
_NEARLY = 1 - 1e-12

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Side = Literal["left", "right"]


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared distances from the mean."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def joined(self, other: "Moments") -> "Moments":
        """The moments of both sets of values together."""
        if not self.count or not other.count:
            return other if other.count else self
        count = self.count + other.count
        distance = other.mean - self.mean
        mean = self.mean + distance * other.count / count
        squares = self.squares + other.squares + distance * distance * self.count * other.count / count
        return Moments(count, mean, squares)

    @property
    def std(self) -> float:
        """Of the sample; 0 for a single value."""
        return math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else 0.0


@dataclass
class NumberFigures:
    """Of the values added so far. Values beyond 1e100 are handled in units of `scale`, the largest of them."""

    low: float
    high: float
    scale: float = 1.0
    moments: Moments = Moments()
    chunks: int = 0
    _points: list[Floats] = field(default_factory=list)
    _weights: list[float] = field(default_factory=list)
    _values: Floats = field(default_factory=lambda: np.empty(0))
    _counts: Counts = field(default_factory=lambda: np.empty(0, np.int64))
    _hashes: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))
    _distinct: int = 0

    @classmethod
    def between(cls, low: float, high: float) -> "NumberFigures":
        """Of no value yet; all will lie between these, which occur."""
        largest = max(abs(low), abs(high))
        return cls(low, high, largest if largest > _HUGE else 1.0)

    def add(self, values: Floats) -> None:
        """Take in a chunk of at least one value; it is sorted in place."""
        values += 0.0  # -0.0 is 0.0
        values.sort()
        self.chunks += 1
        self.moments = self.moments.joined(_moments(values, self.scale))
        changes = np.flatnonzero(values[1:] != values[:-1])
        firsts = np.append(0, changes + 1)
        self._add_counts(values[firsts], np.diff(np.append(firsts, len(values))))
        self._add_points(values)

    def _add_points(self, values: Floats) -> None:
        # The first chunk is kept whole until a second one shows that the table is large.
        if self.chunks == 2:
            whole = self._points[0]
            self._points, self._weights = [], []
            self._thin(whole)
        if self.chunks == 1:
            self._points, self._weights = [values], [1.0]
        else:
            self._thin(values)

    def _thin(self, values: Floats) -> None:
        """Keep the middle value of each of POINTS equal runs."""
        count = min(POINTS, len(values))
        middles = ((2 * np.arange(count) + 1) * len(values)) // (2 * count)
        self._points.append(values[middles])
        self._weights.append(len(values) / count)

    def _add_counts(self, values: Floats, counts: Counts) -> None:
        if self.chunks == 1:
            self._values, self._counts, self._distinct = values, counts, len(values)
            return
        if self.chunks == 2:
            self._hashes = _smallest(_hashed(self._values))
        self._hashes = _smallest(np.concatenate([self._hashes, _hashed(values)]))
        self._values, self._counts = _joined_counts(self._values, self._counts, values, counts)

    @property
    def exact(self) -> bool:
        """Whether quantiles, counts and the number of distinct values are exact."""
        return self.chunks == 1

    @property
    def distinct(self) -> int:
        """Number of distinct values."""
        if self.exact:
            return self._distinct
        if len(self._hashes) < SMALLEST:
            return len(self._hashes)
        return round((SMALLEST - 1) / (float(self._hashes[-1]) / 2.0**64))

    @property
    def distinct_is_exact(self) -> bool:
        """Whether `distinct` is no estimate."""
        return self.exact or len(self._hashes) < SMALLEST

    @property
    def mean(self) -> float:
        """Between the least and the largest value."""
        return min(max(self.moments.mean * self.scale, self.low), self.high)

    @property
    def std(self) -> float:
        """Of the sample."""
        return _finite(self.moments.std * self.scale)

    @property
    def population_std(self) -> float:
        """Of the values as the whole population."""
        return _finite(math.sqrt(self.moments.squares / self.moments.count) * self.scale)

    @property
    def total(self) -> float:
        """The sum; one beyond the largest float64 is that float64."""
        return _finite(self.moments.mean * self.moments.count * self.scale)

    def quantiles(self, levels: Sequence[float]) -> list[float]:
        """Interpolated linearly between neighbours (Hyndman and Fan's type 7)."""
        places = np.asarray(levels) * (self.moments.count - 1)
        found = self._interpolated(places) if self.exact else np.interp(places, *self._ranked())
        return [min(max(float(each) * self.scale, self.low), self.high) for each in found]

    def _interpolated(self, places: Floats) -> Floats:
        ascending = self._points[0]
        lower = np.floor(places).astype(np.int64)
        first, second = ascending[lower], ascending[np.minimum(lower + 1, len(ascending) - 1)]
        # Divided first: the difference of two large values may overflow.
        first, second = first / self.scale, second / self.scale
        return np.asarray(first + (second - first) * (places - lower))

    def _ranked(self) -> tuple[Floats, Floats]:
        """Ranks from 0, in the middle of the values that each kept point stands for; and the points."""
        points = np.concatenate(self._points)
        weights = np.repeat(self._weights, [len(each) for each in self._points])
        order = np.argsort(points, kind="stable")
        weights = weights[order]
        return np.cumsum(weights) - weights / 2 - 0.5, points[order] / self.scale

    def edges(self, buckets: int) -> Floats:
        """Ascending; about as many values in each (edge, next edge]; the first is below all, the last the largest.

        A value that fills buckets by itself has one of its own: the float64 below it is an edge too.
        """
        values, upto = self._upto()
        places = np.searchsorted(upto, self.moments.count * np.arange(1, buckets + 1) / buckets * _NEARLY)
        found, times = np.unique(values[np.minimum(places, len(values) - 1)], return_counts=True)
        return np.unique(np.concatenate([[_below(self.low), self.high], found, _below(found[times > 1])]))

    def _upto(self) -> tuple[Floats, Floats]:
        """Distinct values, ascending, and how many values lie up to each."""
        if self.exact:
            return self._values, np.cumsum(self._counts)
        ranks, points = self._ranked()
        last = np.append(points[1:] != points[:-1], True)
        return points[last] * self.scale, ranks[last]

    def few_values(self, most: int) -> tuple[Floats, Counts] | None:
        """All values and their counts, ascending; None when there are more than `most` (at most KEPT_COUNTS)."""
        return (self._values, self._counts) if self.distinct <= most and self.distinct_is_exact else None

    def top(self) -> list[tuple[float, int]]:
        """The most frequent values, ties in ascending order."""
        return [(float(self._values[each]), int(self._counts[each])) for each in _largest(self._counts, TOP_VALUES)]

    def counts_between(self, edges: Floats, side: Side) -> Counts | None:
        """As counts_between; None when not exact: then the values are to be gone through again."""
        if not self.exact:
            return None
        places = np.searchsorted(self._values, edges[1:-1], side=side)
        upto = np.append(0, np.cumsum(self._counts))
        return np.diff(np.concatenate([[0], upto[places], upto[-1:]]))


def counts_between(values: Floats, edges: Floats, side: Side) -> Counts:
    """How many values lie between each edge and the next; none lies outside the first and the last.

    side: of a value that is an edge: "left" counts it above the edge, "right" below.
    """
    inside = np.searchsorted(edges[1:-1], values, side="right" if side == "left" else "left")
    return np.bincount(inside, minlength=len(edges) - 1)


def _below(values: npt.ArrayLike) -> Floats:
    return np.asarray(np.nextafter(values, -np.inf))


def _finite(value: float) -> float:
    return min(max(value, -sys.float_info.max), sys.float_info.max)


def _moments(values: Floats, scale: float) -> Moments:
    scaled = values if scale == 1.0 else values / scale
    mean = float(scaled.mean())
    distances = scaled - mean
    return Moments(len(values), mean, float(np.square(distances, out=distances).sum()))


def _largest(counts: Counts, most: int) -> list[int]:
    """Places of the largest counts, largest first, ties in order of place."""
    if len(counts) > most:
        least = np.partition(counts, -most)[-most]
        above = np.flatnonzero(counts > least)
        places = np.append(above, np.flatnonzero(counts == least)[: most - len(above)])
    else:
        places = np.arange(len(counts))
    return [int(places[each]) for each in np.lexsort((places, -counts[places]))]


def _joined_counts(first: Floats, ours: Counts, second: Floats, theirs: Counts) -> tuple[Floats, Counts]:
    """The counts of both; beyond KEPT_COUNTS values those that are frequent in both together, as Misra and Gries do."""
    values, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    counts = np.bincount(places, np.concatenate([ours, theirs])).astype(np.int64)
    if len(values) <= KEPT_COUNTS:
        return values, counts
    counts -= np.partition(counts, -KEPT_COUNTS - 1)[-KEPT_COUNTS - 1]
    kept = counts > 0
    return values[kept], counts[kept]


def _hashed(values: Floats) -> Hashes:
    """64 bits of each value: the finalizer of SplitMix64 (Steele, Lea, Flood 2014)."""
    bits = values.view(np.uint64).copy()
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        bits ^= bits >> np.uint64(shift)
        bits *= np.uint64(factor)
    return bits


def _smallest(hashes: Hashes) -> Hashes:
    return np.unique(hashes)[:SMALLEST]
