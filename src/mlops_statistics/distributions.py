"""What is kept of a column: counts that can be added up, so that a window is the sum of its batches.

Numbers: counts between ascending edges. The first bucket is [edge, edge], each other one (edge before, edge]; so the
share of values up to an edge is exact, and between two edges it is known to lie between theirs.
"""

import math
import sys
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate


@dataclass(frozen=True)
class Numbers:
    """`counts[i]` values lie in (edges[i - 1], edges[i]]; none lies outside the edges."""

    edges: Sequence[float]
    counts: Sequence[int]

    @classmethod
    def of_buckets(cls, buckets: Iterable[tuple[float, float, int]]) -> "Numbers":
        """From (lower, upper, count) in ascending order: values in (lower, upper], the first bucket's lower bound
        included. lower == upper: of that one value, which the bucket before does not hold then."""
        edges: list[float] = []
        counts: list[int] = []
        for lower, upper, count in buckets:
            # The largest float below a bound: nothing lies between the two.
            below = math.nextafter(lower, -math.inf) if lower == upper or not edges else lower
            if edges and edges[-1] >= upper:
                edges[-1] = below
            elif not edges or below > edges[-1]:
                edges.append(below)
                counts.append(0)
            edges.append(upper)
            counts.append(count)
        return cls(tuple(edges), tuple(counts))

    @cached_property
    def total(self) -> int:
        return sum(self.counts)

    @cached_property
    def shares(self) -> Sequence[float]:
        """Share of the values up to each edge."""
        total = self.total or 1
        return [count / total for count in accumulate(self.counts)]

    @cached_property
    def values(self) -> Sequence[float] | None:
        """The distinct values, where each has a bucket of its own; else None."""
        held = [place for place, count in enumerate(self.counts) if count]
        alone = all(place and self.edges[place] == math.nextafter(self.edges[place - 1], math.inf) for place in held)
        return [self.edges[place] for place in held] if alone else None

    def share(self, value: float) -> float:
        """Of the values up to `value`, spread evenly between two edges."""
        place = bisect_left(self.edges, value)
        if place == len(self.edges):
            return 1.0
        if self.edges[place] == value:
            return self.shares[place]
        if place == 0:
            return 0.0
        low, high = max(self.edges[place - 1], -sys.float_info.max), self.edges[place]
        # Halved first: the distance of the largest floats is no float.
        part = (value / 2 - low / 2) / (high / 2 - low / 2)
        return self.shares[place - 1] + part * (self.shares[place] - self.shares[place - 1])

    def __add__(self, other: "Numbers") -> "Numbers":
        """Both samples together. Raises ValueError unless they were counted between the same edges."""
        if tuple(self.edges) != tuple(other.edges):
            raise ValueError("the two were counted between other edges")
        return Numbers(self.edges, tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)))


@dataclass(frozen=True)
class Categories:
    """Counts of categories; `unlisted`: values of further categories."""

    counts: Mapping[str, int]
    unlisted: int = 0

    @cached_property
    def total(self) -> int:
        return sum(self.counts.values()) + self.unlisted

    @property
    def complete(self) -> bool:
        """Whether every category is listed."""
        return self.unlisted == 0

    def __add__(self, other: "Categories") -> "Categories":
        """Both samples together."""
        names = {**self.counts, **other.counts}
        counts = {name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in names}
        return Categories(counts, self.unlisted + other.unlisted)


Distribution = Numbers | Categories
