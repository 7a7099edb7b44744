"""What two samples of a table say about each column, all columns judged together.

    changed         when, p-values adjusted over every test of the table
    drifted         p <= ALPHA, and PSI or the effect (KS distance, Cramer's V) is at least its threshold
    missing         p <= ALPHA, and the share of missing cells moved by at least MISSING_STEP
    new levels      p <= ALPHA: rows with levels that the first sample lacks are more frequent than the levels that it
                    has once, which is what chance alone brings (Good and Turing)

A column with fewer than FEWEST present values in either sample is not judged.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from mlops_statistics.adjustment import benjamini_hochberg
from mlops_statistics.chi_square import chi_square
from mlops_statistics.distributions import Categories, Distribution, Numbers
from mlops_statistics.kolmogorov_smirnov import distance, p_value
from mlops_statistics.proportions import rise_p_value, share_p_value
from mlops_statistics.psi import psi

ALPHA = 0.05
EFFECT = 0.1
"""Threshold of PSI, of the Kolmogorov-Smirnov distance and of Cramer's V."""
MISSING_STEP = 0.05
FEWEST = 100
BINS = 10
FEW_VALUES = 20
LEAST_EXPECTED = 5
"""Of a category in either sample; rarer ones are tested together."""

Test = Literal["kolmogorov_smirnov", "chi_square"]


@dataclass(frozen=True)
class Sample:
    """One column of one sample. `distribution` None: it is not compared, only its missing cells are."""

    present: int
    missing: int
    distribution: Distribution | None = None

    @property
    def rows(self) -> int:
        return self.present + self.missing

    @property
    def missing_rate(self) -> float:
        return self.missing / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Tested:
    """A p-value, and the one adjusted for all tests of the table."""

    p_value: float = 1.0
    p_adjusted: float = 1.0

    @property
    def significant(self) -> bool:
        return self.p_adjusted <= ALPHA


@dataclass(frozen=True)
class Shift:
    """How the distribution changed; `effect` is the statistic's own measure of size, 0 to 1."""

    test: Test
    effect: float
    psi: float
    tested: Tested

    @property
    def drifted(self) -> bool:
        return self.tested.significant and max(self.effect, self.psi) >= EFFECT


@dataclass(frozen=True)
class NewLevels:
    """Categories of the second sample that the first lacks, most frequent first, and the share of its rows."""

    counts: Mapping[str, int]
    share: float
    tested: Tested

    @property
    def notable(self) -> bool:
        return self.tested.significant


@dataclass(frozen=True)
class ColumnChange:
    """`shift` and `new_levels` None: not compared, `why_not` says why."""

    before: Sample
    after: Sample
    missing: Tested
    shift: Shift | None = None
    new_levels: NewLevels | None = None
    why_not: str | None = None

    @property
    def missing_changed(self) -> bool:
        return self.missing.significant and abs(self.after.missing_rate - self.before.missing_rate) >= MISSING_STEP

    @property
    def changed(self) -> bool:
        """Whether anything about it is a finding."""
        drifted = self.shift is not None and self.shift.drifted
        return drifted or self.missing_changed or (self.new_levels is not None and self.new_levels.notable)


def compare(before: Mapping[str, Sample], after: Mapping[str, Sample]) -> dict[str, ColumnChange]:
    """Every column that both samples have."""
    return _adjusted({name: _change(sample, after[name]) for name, sample in before.items() if name in after})


def _change(before: Sample, after: Sample) -> ColumnChange:
    missing = Tested(share_p_value(before.missing, before.rows, after.missing, after.rows))
    least = min(before.present, after.present)
    match before.distribution, after.distribution:
        case (None, _) | (_, None):
            return ColumnChange(before, after, missing, why_not="columns of this type are not compared")
        case _ if least < FEWEST:
            why_not = f"not enough rows: {least} values, at least {FEWEST} are needed"
            return ColumnChange(before, after, missing, why_not=why_not)
        case Numbers() as one, Numbers() as other:
            return ColumnChange(before, after, missing, _number_shift(one, other))
        case Categories() as one, Categories() as other:
            return ColumnChange(before, after, missing, _category_shift(one, other), _new_levels(one, other))
    return ColumnChange(before, after, missing, why_not="the type has changed")


def _number_shift(before: Numbers, after: Numbers) -> Shift:
    apart = distance(before, after)
    edges = _bin_edges(before)
    return Shift(
        "kolmogorov_smirnov",
        apart,
        psi(_binned(before, edges), _binned(after, edges)),
        Tested(p_value(apart, before.total, after.total)),
    )


def _bin_edges(reference: Numbers) -> Sequence[float]:
    """Inner edges, right-closed: each value its own bin when there are few, else about equally many in each."""
    values = reference.values
    if values is not None and len(values) <= FEW_VALUES:
        return values
    places = (bisect_left(reference.shares, step / BINS) for step in range(1, BINS))
    return sorted({reference.edges[place] for place in places})


def _binned(numbers: Numbers, edges: Sequence[float]) -> list[float]:
    shares = [0.0, *map(numbers.share, edges), 1.0]
    return [numbers.total * (high - low) for low, high in pairwise(shares)]


def _category_shift(before: Categories, after: Categories) -> Shift:
    first, second = _tested_counts(before, after)
    found = chi_square(first, second)
    return Shift("chi_square", found.effect, psi(first, second), Tested(found.p_value))


def _tested_counts(before: Categories, after: Categories) -> tuple[list[int], list[int]]:
    """Counts by category; those that are rare, or not listed in both, are one."""
    n, m = before.total, after.total
    least = LEAST_EXPECTED * (n + m) / min(n, m)
    own = [
        (before.counts.get(name, 0), after.counts.get(name, 0))
        for name in {**before.counts, **after.counts}
        if (name in before.counts or before.complete) and (name in after.counts or after.complete)
    ]
    own = [pair for pair in own if sum(pair) >= least]
    first, second = [a for a, _ in own], [b for _, b in own]
    return [*first, n - sum(first)], [*second, m - sum(second)]


def _new_levels(before: Categories, after: Categories) -> NewLevels | None:
    if not before.complete:
        return None
    new = {name: count for name, count in after.counts.items() if name not in before.counts}
    rows = sum(new.values()) + after.unlisted
    once = sum(count == 1 for count in before.counts.values())
    ordered = dict(sorted(new.items(), key=lambda each: (-each[1], each[0])))
    tested = Tested(rise_p_value(once, before.total, rows, after.total))
    return NewLevels(ordered, rows / after.total if after.total else 0.0, tested)


def _adjusted(changes: Mapping[str, ColumnChange]) -> dict[str, ColumnChange]:
    """Adjust all p-values of the table together."""
    tests = [test for change in changes.values() for test in _tests(change)]
    adjusted = iter(benjamini_hochberg([test.p_value for test in tests]))
    return {name: _with_adjusted(change, [next(adjusted) for _ in _tests(change)]) for name, change in changes.items()}


def _tests(change: ColumnChange) -> list[Tested]:
    parts = (change.shift, change.new_levels)
    return [change.missing, *(part.tested for part in parts if part is not None)]


def _with_adjusted(change: ColumnChange, adjusted: Sequence[float]) -> ColumnChange:
    missing, *rest = (replace(test, p_adjusted=p) for test, p in zip(_tests(change), adjusted, strict=True))
    shift, new_levels = change.shift, change.new_levels
    if shift is not None:
        shift = replace(shift, tested=rest[0])
    if new_levels is not None:
        new_levels = replace(new_levels, tested=rest[-1])
    return replace(change, missing=missing, shift=shift, new_levels=new_levels)
