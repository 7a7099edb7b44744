"""The profile of a typed table: what profile.json and preview.json hold.

Numbers come from number_columns.py, the rest from the plan's statements; what the quick pass counted is not counted
again.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from mlops_contracts.columns import ColumnType
from mlops_contracts.dataset import Bucket, ColumnProfile, NumericProfile, Preview, Profile, ValueCount
from mlops_contracts.statistics import Statistics
from training.numbers import MAX_EXACT_INTEGER
from training.preprocess.engine import Engine
from training.preprocess.number_columns import NumberColumn, number_columns
from training.preprocess.plan import ColumnKind
from training.preprocess.profile_plan import QUANTILES, ROW_GROUP, TOP_VALUES, ProfilePlan
from training.preprocess.sketches import Sketches, ValueCounts, most_frequent
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
_NUMERIC: tuple[ColumnKind, ...] = ("integer", "number")
_TIMES: tuple[ColumnKind, ...] = ("naive_time", "zoned_time")


class Profiler:
    """Measures the typed table at `path`, whose columns are `columns`."""

    def __init__(
        self, engine: Engine, path: Path, columns: Sequence[ColumnPlan], rows: int, counted: ValueCounts, threads: int
    ) -> None:
        self._engine, self._path, self._columns, self._rows = engine, path, columns, rows
        self._counted = counted
        small = rows <= ROW_GROUP and rows * len(columns) <= SMALL_CELLS
        self._plan = ProfilePlan(engine.dialect, engine.attach_typed(path, small=small))
        numeric = [each.name for each in columns if each.kind in _NUMERIC and each.present]
        self.numbers = number_columns(path, numeric, threads)

    def check_complete(self) -> None:
        """Raises RuntimeError when a cell was lost on the way into the typed table."""
        metadata = pq.read_metadata(self._path)
        missing = [0] * metadata.num_columns
        for group in range(metadata.num_row_groups):
            for place in range(metadata.num_columns):
                missing[place] += metadata.row_group(group).column(place).statistics.null_count
        expected = [each.tally.missing for each in self._columns]
        if metadata.num_rows != self._rows or missing != expected:
            raise RuntimeError(
                f"typed table holds {metadata.num_rows} rows, {missing} missing; expected {self._rows}, {expected}"
            )

    def profile(self) -> Profile:
        """The profile of every column."""
        return Profile(rows=self._rows, columns=tuple(map(self._column, self._columns)))

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
        sketches = Sketches(self._engine.rows, self._plan, self._counted)
        integral = {each.name for each in self._columns if each.kind == "integer"}
        buckets = {name: each.buckets for name, each in self.numbers.items()}
        return statistics_of(profile, integral, buckets, sketches.categories(profile))

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

    def _column(self, column: ColumnPlan) -> ColumnProfile:
        if (known := self.numbers.get(column.name)) is not None:
            return self._number_column(column, known)
        distinct = self._distinct(column)
        earliest = latest = None
        if column.kind in _TIMES and column.present:
            earliest, latest = self._engine.row(self._plan.span(column.name, zoned=column.kind == "zoned_time"))
        return ColumnProfile(
            name=column.name,
            type=column_type(column, distinct),
            missing=column.tally.missing,
            distinct=distinct,
            top_values=() if column.kind in _TIMES or not column.present else self._top(column),
            earliest=earliest,
            latest=latest,
        )

    def _distinct(self, column: ColumnPlan) -> int:
        if column.name in self._counted:
            return len(self._counted[column.name])
        return int(self._engine.row(self._plan.distinct(column.name))[0]) if column.present else 0

    def _top(self, column: ColumnPlan) -> tuple[ValueCount, ...]:
        counted = self._counted.get(column.name)
        if counted is None:
            found = self._engine.rows(self._plan.top_values(column.name))
        else:
            found = most_frequent(counted, TOP_VALUES)
        return tuple(ValueCount(value=str(_clipped(value)), count=count) for value, count in found)

    def _number_column(self, column: ColumnPlan, known: NumberColumn) -> ColumnProfile:
        figures = known.figures
        return ColumnProfile(
            name=column.name,
            type="numeric",
            missing=column.tally.missing,
            distinct=figures.distinct,
            exact_distinct=figures.distinct_is_exact,
            numeric=NumericProfile(
                min=figures.low,
                max=figures.high,
                mean=figures.mean,
                std=figures.std,
                quantiles=dict(zip(map(str, QUANTILES), figures.quantiles(QUANTILES), strict=True)),
                exact_quantiles=figures.exact,
                histogram=tuple(Bucket(lower=low, upper=high, count=n) for low, high, n in known.bins),
            ),
            top_values=tuple(ValueCount(value=_number_text(value), count=n) for value, n in figures.top()),
        )


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


def _number_text(value: float) -> str:
    """The shortest text that reads back as this number; whole numbers without a point."""
    return str(int(value)) if value.is_integer() and abs(value) <= MAX_EXACT_INTEGER else repr(value)
