"""What each column is: the evidence of the plan's counts, and the decision.

    every present cell            kind
    true / false                  boolean
    ISO 8601 without offset       naive_time
    ISO 8601 with offset          zoned_time
    a finite number               integer when all are whole and within 2**53, else number
    anything else                 text (categorical or text: decided by the number of distinct values)

A column that would be numeric but for a few cells is refused with those cells, for else it would silently become
text. Codes with leading zeros and whole numbers beyond 2**53 stay text: as numbers they would lose digits.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from training.numbers import WHITESPACE, Decimal, decimal_mark
from training.preprocess.engine import STAGED, Engine, in_groups
from training.preprocess.findings import KEPT, Findings, plural, shown
from training.preprocess.limits import Limits
from training.preprocess.plan import EXACT_DIGITS, TALLY, Bad, Cells, ColumnKind, Plan
from training.preprocess.staging import Staged, TextShape

NEARLY = 0.95
NEARLY_ROWS = 20
FEW_DISTINCT = 10
NOTABLE = 0.05
MOSTLY_PADDED = 0.5
_LONGEST_PLAIN = 300
"""Characters; a plain number of so many is finite, 1e308 being the largest float64."""


@dataclass(frozen=True)
class Tally:
    """plan.TALLY, by name."""

    missing: int
    plain: int
    wide_whole: int


@dataclass(frozen=True)
class Look:
    """plan.CLOSER_LOOK, by name."""

    number: int
    overflow: int
    infinite: int
    whole: int
    big: int
    leading_zero: int
    formatted: int
    boolean: int
    naive_time: int
    zoned_time: int


@dataclass(frozen=True)
class ColumnPlan:
    """A column with what is known of it. `look` None: not needed, or the file declares the type."""

    name: str
    cells: Cells
    shape: TextShape
    tally: Tally
    present: int
    look: Look | None = None
    kind: ColumnKind = "text"


class TypeFinder:
    """Finds the kinds of a staged table's columns, through the plan's statements."""

    def __init__(
        self, engine: Engine, staged: Staged, delimiter: str | None, findings: Findings, limits: Limits
    ) -> None:
        self._engine, self._plan = engine, Plan(engine.dialect)
        self._staged, self._delimiter, self._findings, self._limits = staged, delimiter, findings, limits

    def find(self) -> list[ColumnPlan]:
        """Decide every column; violations and warnings go to the findings."""
        decided = [self._decided(self._looked_at(column)) for column in self._tallied()]
        decided = list(_one_decimal(decided, self._findings))
        for column in decided:
            self._check_size(column)
            self._warn_tokens(column)
            self._warn_padded(column)
        return decided

    def _tallied(self) -> list[ColumnPlan]:
        staged = self._staged
        cells = [
            Cells(place, kind, shape.padded > 0, self._decimal(shape), shape.longest > EXACT_DIGITS)
            for place, (kind, shape) in enumerate(zip(staged.types, staged.shapes, strict=True))
        ]
        return [
            ColumnPlan(name, each, shape, tally, staged.rows - tally.missing)
            for name, each, shape, tally in zip(staged.names, cells, staged.shapes, self._tallies(cells), strict=True)
        ]

    def _decimal(self, shape: TextShape) -> Decimal:
        return decimal_mark(self._delimiter, commas=shape.commas, points=shape.points)

    def _tallies(self, cells: Sequence[Cells]) -> Iterator[Tally]:
        for group in in_groups(cells):
            (row,) = self._ask(self._plan.tallies(STAGED, group), *group)
            yield from (Tally(*row[start : start + len(TALLY)]) for start in range(0, len(row), len(TALLY)))

    def _looked_at(self, column: ColumnPlan) -> ColumnPlan:
        if not _unclear(column):
            return column
        (counts,) = self._ask(self._plan.closer_look(STAGED, column.cells), column.cells)
        return replace(column, look=Look(*map(int, counts)))

    def _ask(self, sql: str, *cells: Cells) -> list[tuple[Any, ...]]:
        return self._engine.staged_rows(self._staged.path, [each.place for each in cells], sql)

    def _decided(self, column: ColumnPlan) -> ColumnPlan:
        declared = column.cells.type
        if declared != "untyped":
            return replace(column, kind=declared)
        if column.present == 0:
            return column
        if column.look is None:
            return replace(column, kind="number" if column.shape.points else "integer")
        return self._decided_by_look(column, column.look)

    def _decided_by_look(self, column: ColumnPlan, look: Look) -> ColumnPlan:
        whole_kinds: tuple[tuple[int, ColumnKind], ...] = (
            (look.boolean, "boolean"),
            (look.naive_time, "naive_time"),
            (look.zoned_time, "zoned_time"),
        )
        for count, kind in whole_kinds:
            if count == column.present:
                return replace(column, kind=kind)
        if not self._nearly_numeric(column, look):
            self._warn_mixed(column, look)
            return column
        if look.leading_zero or look.big:
            self._warn_codes(column, look)
            return column
        self._violate_cells(column, look)
        return replace(column, kind="integer" if look.whole == look.number else "number")

    def _nearly_numeric(self, column: ColumnPlan, look: Look) -> bool:
        """Whether numbers are all, or all but a few cells that look like mistakes."""
        alike = look.number + look.overflow + look.leading_zero
        rest = column.present - alike - look.infinite
        if alike == 0 or rest == 0:
            return alike > 0
        if column.present < NEARLY_ROWS or alike + look.infinite < NEARLY * column.present:
            return False
        statement = self._plan.distinct_where(STAGED, column.cells, "not_a_number")
        ((distinct,),) = self._ask(statement, column.cells)
        return int(distinct) <= FEW_DISTINCT

    def _violate_cells(self, column: ColumnPlan, look: Look) -> None:
        bad = column.present - look.number - look.overflow - look.infinite
        if bad:
            hint = f"the rest of {shown(column.name)} are numbers. Correct the cell, empty it, or make the column text."
            self._violate(column, "not_a_number", bad, "{value} is not a number, and " + hint)
        if look.overflow or look.infinite:
            message = "{value} is not a finite number. Correct the cell, or empty it if the value is unknown."
            self._violate(column, "not_finite", look.overflow + look.infinite, message)

    def _violate(self, column: ColumnPlan, code: Bad, count: int, message: str) -> None:
        listed = self._first(column, code, KEPT)
        for row, line, value in listed:
            text = f"Row {row:,}: {message.replace('{value}', shown(value))}"
            self._findings.violate(code, text, column=column.name, row=row, line=line or None)
        self._findings.count_more(max(0, count - len(listed)))

    def _first(self, column: ColumnPlan, bad: Bad, limit: int) -> list[tuple[int, int, str]]:
        statement = self._plan.cells_where(STAGED, column.cells, bad, limit, longest=self._limits.max_cell)
        return [(int(row), int(line), str(value)) for row, line, value in self._ask(statement, column.cells)]

    def _check_size(self, column: ColumnPlan) -> None:
        if column.shape.longest <= self._limits.max_cell:
            return
        for row, line, _ in self._first(column, "cell_too_large", KEPT):
            message = f"Row {row:,}: a cell is longer than {self._limits.max_cell:,} characters. Shorten it."
            self._findings.violate("cell_too_large", message, column=column.name, row=row, line=line or None)

    def _warn_codes(self, column: ColumnPlan, look: Look) -> None:
        if look.leading_zero:
            self._findings.warn(
                "leading_zeros",
                f"{plural(look.leading_zero, 'cell')} begin with a zero, as codes do, so the column is kept as text. "
                "If they are numbers, write them without leading zeros.",
                column=column.name,
            )
        if look.big:
            self._findings.warn(
                "large_integers",
                f"{plural(look.big, 'cell')} hold whole numbers beyond 2^53, which lose digits as numbers, so the "
                "column is kept as text. If it is a quantity, write it with a decimal point or in a larger unit.",
                column=column.name,
            )

    def _warn_mixed(self, column: ColumnPlan, look: Look) -> None:
        if look.formatted >= column.present / 2:
            self._findings.warn(
                "formatted_numbers",
                "Values such as "
                + shown(self._first(column, "unlike_number", 1)[0][2])
                + " are read as text. To use them as numbers, write them without units, "
                "currency and thousands separators.",
                column=column.name,
            )
            return
        self._warn_mixture(column, look.number + look.overflow, "numbers", "unlike_number")
        self._warn_mixture(column, look.naive_time + look.zoned_time, "dates", "unlike_time")
        self._warn_mixture(column, look.boolean, "true or false", "unlike_boolean")
        if look.naive_time and look.naive_time + look.zoned_time == column.present:
            self._findings.warn(
                "mixed_type",
                "Some times have a UTC offset and some have none, so the column is read as text. Give all of them one.",
                column=column.name,
            )

    def _warn_mixture(self, column: ColumnPlan, count: int, what: str, other: Bad) -> None:
        if not NOTABLE * column.present <= count < column.present:
            return
        row, line, value = self._first(column, other, 1)[0]
        self._findings.warn(
            "mixed_type",
            f"{plural(count, 'cell')} of {column.present:,} are {what} and the rest are not (first: {shown(value)} in "
            f"row {row:,}), so the column is read as text. Correct the others if it should not be.",
            column=column.name,
            row=row,
            line=line or None,
        )

    def _warn_tokens(self, column: ColumnPlan) -> None:
        if column.cells.type not in ("untyped", "text") or column.tally.missing == column.shape.empty:
            return
        found = self._ask(self._plan.missing_tokens(STAGED, column.cells), column.cells)
        if found:
            warn_missing(column.name, found, self._findings)

    def _warn_padded(self, column: ColumnPlan) -> None:
        """Warn where values differ by spaces alone, or where nearly all cells have them."""
        if column.kind != "text" or not column.cells.padded or column.present == 0:
            return
        ((padded, alike, example),) = self._ask(self._plan.padded(STAGED, column.cells), column.cells)
        warn_padded(column, padded, alike, example, self._findings)


def warn_missing(name: str, tokens: Iterable[tuple[str, int]], findings: Findings) -> None:
    """Say which texts, with their counts, were read as missing."""
    listed = ", ".join(f"{shown(token) if token else 'blank'} ({count:,})" for token, count in tokens)
    findings.warn(
        "missing_tokens", f"Read as missing: {listed}. If such a cell is a value, write it differently.", column=name
    )


def warn_padded(column: ColumnPlan, padded: int, alike: int, example: str, findings: Findings) -> None:
    """Warn where `alike` values differ by spaces alone, or where nearly all cells have them; `example` has them."""
    if alike or padded > MOSTLY_PADDED * column.present:
        findings.warn(
            "padded_values",
            f"{plural(padded, 'cell')} begin or end with spaces, which are kept: {shown(example)} and "
            f"{shown(example.strip(WHITESPACE))} are two values. Remove the spaces if they mean nothing.",
            column=column.name,
        )


def _unclear(column: ColumnPlan) -> bool:
    """Whether the tally alone cannot tell: not all cells are plain numbers that float64 holds."""
    if column.cells.type != "untyped" or column.present == 0:
        return False
    plainly = column.tally.plain == column.present and column.shape.longest <= _LONGEST_PLAIN
    return not plainly or column.tally.wide_whole > 0


def _one_decimal(columns: Sequence[ColumnPlan], findings: Findings) -> Iterator[ColumnPlan]:
    """A file has one decimal mark: where some columns use the comma, a point may group thousands."""
    commas = [each for each in columns if each.kind == "number" and each.cells.decimal == ","]
    if commas:
        findings.warn(
            "decimal_comma",
            f"Numbers are read with a decimal comma, {shown(commas[0].name)} among them: 1,500 is one and a half. "
            "If the comma groups thousands, remove it.",
            column=commas[0].name,
        )
    for column in columns:
        if commas and column.kind == "number" and column.shape.points:
            findings.warn(
                "mixed_decimal",
                "The file writes decimal commas, but this column has points, which may group thousands; it is read "
                "as text. Use one decimal mark.",
                column=column.name,
            )
            yield replace(column, kind="text")
        else:
            yield column
