"""The profile of a typed table: what profile.json and preview.json hold.

Moments are combined from blocks by Chan, Golub and LeVeque (1979), "Updating formulae and a pairwise algorithm for
computing sample variances"; quantiles interpolate linearly (Hyndman and Fan's type 7); std is the sample's (n - 1).
"""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_contracts.columns import ColumnType
from mlops_contracts.dataset import Bucket, ColumnProfile, NumericProfile, Preview, Profile, ValueCount
from mlops_contracts.statistics import Statistics
from training.preprocess.engine import Engine, in_groups
from training.preprocess.plan import ColumnKind
from training.preprocess.profile_plan import BUCKETS, EXACT_QUANTILE_ROWS, QUANTILES, ROW_GROUP, ProfilePlan, Typed
from training.preprocess.sketches import Sketches
from training.preprocess.statistics import statistics_of
from training.preprocess.typed_rows import TypedRows
from training.preprocess.types import ColumnPlan

PREVIEW_ROWS = 100
SHOWN = 1000
"""Characters of a value in a profile or a preview; longer ones are cut and end in an ellipsis."""
SMALL_CELLS = 20_000_000
FEW_VALUES = 20
MANY_VALUES = 1000
MANY_SHARE = 0.2
LONG_TEXT = 256
_HUGE = 1e100
_NUMERIC: tuple[ColumnKind, ...] = ("integer", "number")
_TIMES: tuple[ColumnKind, ...] = ("naive_time", "zoned_time")


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


class Profiler:
    """Measures the typed table at `path`, whose columns are `columns`."""

    def __init__(self, engine: Engine, path: Path, columns: Sequence[ColumnPlan], rows: int) -> None:
        self._engine, self._columns, self._rows = engine, columns, rows
        # Of a table beyond one block the order in which threads add up would show in the moments.
        small = rows <= ROW_GROUP and rows * len(columns) <= SMALL_CELLS
        self._plan = ProfilePlan(engine.dialect, engine.attach_typed(path, small=small))

    def check_complete(self) -> None:
        """Raises RuntimeError when a cell was lost on the way into the typed table."""
        for group in in_groups(self._columns):
            rows, *present = self._engine.row(self._plan.present([each.name for each in group]))
            expected = [each.present for each in group]
            if rows != self._rows or present != expected:
                raise RuntimeError(f"typed table holds {rows} rows, {present} cells; expected {self._rows}, {expected}")

    def profile(self) -> Profile:
        """The profile of every column."""
        numeric = self._numeric()
        return Profile(rows=self._rows, columns=tuple(self._column(each, numeric) for each in self._columns))

    def duplicates(self) -> int:
        """Number of rows equal to an earlier row."""
        names = [each.name for each in self._columns]
        if self._engine.row(self._plan.shared_hashes(names))[0] == 0:
            return 0
        return int(self._engine.row(self._plan.duplicates(names))[0])

    def typed_rows(self) -> TypedRows:
        """What the data contract asks about single rows."""
        return TypedRows(self._engine.rows, self._engine.dialect, self._plan.table)

    def statistics(self, profile: Profile) -> Statistics:
        """Sketches of the columns."""
        sketches = Sketches(self._engine.rows, self._plan)
        integral = {each.name for each in self._columns if each.kind == "integer"}
        return statistics_of(profile, integral, sketches.buckets(profile), sketches.categories(profile))

    def preview(self) -> Preview:
        """The first rows; times as ISO 8601 text."""
        cells = [self._shown_cell(each) for each in self._columns]
        rows = self._engine.rows(self._plan.first_rows(cells, PREVIEW_ROWS))
        names = tuple(each.name for each in self._columns)
        return Preview(columns=names, rows=tuple(tuple(map(_clipped, row)) for row in rows))

    def _shown_cell(self, column: ColumnPlan) -> str:
        name = self._engine.dialect.name(column.name)
        if column.kind not in _TIMES:
            return name
        return self._engine.dialect.time_text(name, zoned=column.kind == "zoned_time")

    def _column(self, column: ColumnPlan, numeric: Mapping[str, "_Numeric"]) -> ColumnProfile:
        distinct = int(self._engine.row(self._plan.distinct(column.name))[0]) if column.present else 0
        top: tuple[ValueCount, ...] = ()
        earliest = latest = None
        if column.kind in _TIMES and column.present:
            zoned = column.kind == "zoned_time"
            earliest, latest = self._engine.row(self._plan.span(column.name, zoned=zoned))
        elif column.kind not in _NUMERIC:
            top = self._top(column)
        known = numeric.get(column.name)
        return ColumnProfile(
            name=column.name,
            type=column_type(column, distinct),
            missing=column.tally.missing,
            distinct=distinct,
            numeric=self._numeric_profile(known, distinct) if known else None,
            top_values=top,
            earliest=earliest,
            latest=latest,
        )

    def _top(self, column: ColumnPlan) -> tuple[ValueCount, ...]:
        found = self._engine.rows(self._plan.top_values(column.name))
        return tuple(ValueCount(value=str(_clipped(value)), count=count) for value, count in found)

    def _numeric(self) -> dict[str, "_Numeric"]:
        names = [each.name for each in self._columns if each.kind in _NUMERIC and each.present]
        known: dict[str, _Numeric] = {}
        for group in in_groups(names):
            for each in self._extremes(group):
                known[each.column.name] = each
        for measured in in_groups(list(known.values())):
            self._add_moments(measured)
        return known

    def _extremes(self, names: Sequence[str]) -> list["_Numeric"]:
        row = self._engine.row(self._plan.extremes([Typed(name) for name in names]))
        ends = zip(names, row[::2], row[1::2], strict=True)
        return [_Numeric(Typed(name, _scale(low, high)), low, high) for name, low, high in ends]

    def _add_moments(self, measured: Sequence["_Numeric"]) -> None:
        for block in self._engine.rows(self._plan.moments([each.column for each in measured])):
            for place, each in enumerate(measured):
                count, mean, variance = block[3 * place : 3 * place + 3]
                if count:
                    each.moments = each.moments.joined(Moments(count, mean, variance * count))

    def _numeric_profile(self, known: "_Numeric", distinct: int) -> NumericProfile:
        (levels,) = self._engine.row(self._plan.quantiles(known.column, self._rows))
        low, high = known.low, known.high
        # Interpolation rounds: a quantile must not lie outside the values it summarises.
        quantiles = [min(max(known.unscaled(each), low), high) for each in levels or [low / known.column.scale]]
        return NumericProfile(
            min=low,
            max=high,
            mean=min(max(known.unscaled(known.moments.mean), low), high),
            std=known.unscaled(known.moments.std),
            quantiles=dict(zip(map(str, QUANTILES), quantiles, strict=True)),
            exact_quantiles=self._rows <= EXACT_QUANTILE_ROWS,
            histogram=self._histogram(known, distinct),
        )

    def _histogram(self, known: "_Numeric", distinct: int) -> tuple[Bucket, ...]:
        if distinct <= BUCKETS:
            counts = self._engine.rows(self._plan.value_counts(known.column))
            return tuple(Bucket(lower=known.unscaled(x), upper=known.unscaled(x), count=n) for x, n in counts)
        scale = known.column.scale
        low, high = known.low / scale, known.high / scale
        counted = dict(self._engine.rows(self._plan.buckets(known.column, low, high)))
        edges = [known.unscaled(low + (high - low) * step / BUCKETS) for step in range(BUCKETS)] + [known.high]
        return tuple(
            Bucket(lower=edges[place], upper=edges[place + 1], count=counted.get(place, 0)) for place in range(BUCKETS)
        )


@dataclass
class _Numeric:
    """A numeric column with its extremes (not scaled) and its moments (scaled)."""

    column: Typed
    low: float
    high: float
    moments: Moments = Moments()

    def unscaled(self, value: float) -> float:
        """A scaled figure in the column's own unit, kept finite."""
        largest = sys.float_info.max
        return min(max(value * self.column.scale, -largest), largest)


def _scale(low: float, high: float) -> float:
    """1, or for values whose squares would overflow the largest of them."""
    largest = max(abs(low), abs(high))
    return largest if largest > _HUGE else 1.0


def column_type(column: ColumnPlan, distinct: int) -> ColumnType:
    """The contract's type. Text is categorical when it has few values for the number of cells, and short ones."""
    if column.kind in _NUMERIC:
        return "numeric"
    if column.kind in _TIMES:
        return "datetime"
    if column.kind == "boolean":
        return "boolean"
    few = distinct <= max(FEW_VALUES, min(MANY_VALUES, MANY_SHARE * column.present))
    return "categorical" if column.present and few and column.shape.longest <= LONG_TEXT else "text"


def _clipped(value: float | bool | str | None) -> float | bool | str | None:
    if isinstance(value, str) and len(value) > SHOWN:
        return value[:SHOWN] + "…"
    return value
