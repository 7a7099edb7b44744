"""Sketches of the typed table's columns, counted by the engine: buckets between quantiles, and categories."""

# Names and constants reach a statement only through Dialect.name and Dialect.literal, which quote them.

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from mlops_contracts.dataset import NumericProfile, Profile
from mlops_contracts.statistics import MOST_BUCKETS, MOST_CATEGORIES, MOST_CELLS
from training.preprocess.profile_plan import ProfilePlan, Typed

Bucket = tuple[float, float, int]
"""Lower bound, upper bound, count, as mlops_contracts.statistics has them."""
Category = tuple[str, int]
ValueCounts = Mapping[str, Mapping[str, int]]
"""By column: how often each of its texts occurs, of columns where that is known."""

_LEAST = 20
"""Of either in a column, however many columns there are."""


class Sketches:
    """`ask` runs a statement of the plan; what is `counted` is not asked for."""

    def __init__(
        self, ask: Callable[[str], list[tuple[Any, ...]]], plan: ProfilePlan, counted: ValueCounts | None = None
    ) -> None:
        self._ask, self._plan, self._counted = ask, plan, counted or {}

    def buckets(self, profile: Profile) -> dict[str, Sequence[Bucket]]:
        """Of each numeric column."""
        most = _most(MOST_BUCKETS, profile)
        numeric = [(each.name, each.numeric) for each in profile.columns if each.numeric is not None]
        return {name: self._buckets(name, figures, profile.rows, most) for name, figures in numeric}

    def categories(self, profile: Profile) -> dict[str, Sequence[Category]]:
        """Of each categorical and boolean column, most frequent first, ties in order of the value."""
        most = _most(MOST_CATEGORIES, profile)
        named = [each.name for each in profile.columns if each.type in ("categorical", "boolean")]
        return {name: [(str(value), int(count)) for value, count in self._top(name, most)] for name in named}

    def _top(self, name: str, most: int) -> list[tuple[Any, ...]]:
        counted = self._counted.get(name)
        return self._ask(self._plan.top_values(name, most)) if counted is None else most_frequent(counted, most)

    def _buckets(self, name: str, figures: NumericProfile, rows: int, most: int) -> Sequence[Bucket]:
        if all(each.lower == each.upper for each in figures.histogram):
            return [(each.lower, each.upper, each.count) for each in figures.histogram]
        levels = [step / most for step in range(1, most + 1)]
        ((ranked,),) = self._ask(self._plan.ranked(Typed(name), levels, rows))
        edges = _edges(ranked, figures.min, figures.max)
        ((counts,),) = self._ask(self._plan.counts_up_to(Typed(name), edges))
        return list(_between(edges, counts))


def most_frequent(counted: Mapping[str, int], most: int) -> list[Category]:
    """Most frequent first, ties in order of the value, as ProfilePlan.top_values."""
    return sorted(counted.items(), key=lambda each: (-each[1], each[0]))[:most]


def _most(limit: int, profile: Profile) -> int:
    return max(_LEAST, min(limit, MOST_CELLS // max(1, len(profile.columns))))


def _edges(ranked: Sequence[float], low: float, high: float) -> list[float]:
    """Ascending, the first below all values. A value that fills buckets has one to itself."""
    heavy = [value for value, times in Counter(ranked).items() if times > 1]
    return sorted({_below(low), high, *ranked, *map(_below, heavy)})


def _between(edges: Sequence[float], counts: Mapping[float, int]) -> Iterator[Bucket]:
    """Those that hold a value."""
    for place, (lower, upper) in enumerate(pairwise(edges)):
        count = int(counts.get(upper, 0))
        if count and _below(upper) == lower:
            yield upper, upper, count
        elif count:
            yield math.nextafter(lower, math.inf) if place == 0 else lower, upper, count


def _below(value: float) -> float:
    return math.nextafter(value, -math.inf)
