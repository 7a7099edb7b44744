"""The SQL plan, first half: one SELECT after another, in the words of a Dialect. Builds text, runs nothing.

    tallies       staged text    missing cells and plain numbers of all columns, in one pass
    closer_look   staged text    the costlier tests, for columns that are not plainly numbers
    cells_where   staged text    the cells that break a rule, with row and line
    typed         staged text    the typed table

profile_plan.py is the second half: what is measured on the typed table.
"""

# Names and constants reach a statement only through Dialect.name and Dialect.literal, which quote them.
# ruff: noqa: S608

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from training.missing import MISSING_TEXTS
from training.numbers import (
    INFINITE_PATTERN,
    INTEGER_PATTERN,
    LEADING_ZERO_PATTERN,
    MAX_EXACT_INTEGER,
    Decimal,
    number_pattern,
)
from training.preprocess.dialect import Dialect
from training.preprocess.staging import StagedType

EXACT_DIGITS = 15
"""A whole number of so many digits is always below 2**53."""

_LONGEST_MISSING = max(map(len, MISSING_TEXTS))
_PLAIN = r"[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?"
_DAY = r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6}0*)?)?"
_OFFSET = r"(?:Z|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?)"
NAIVE_TIME_PATTERN = rf"{_DAY}(?:[T ]{_CLOCK})?"
ZONED_TIME_PATTERN = rf"{_DAY}[T ]{_CLOCK}{_OFFSET}"
FORMATTED_PATTERN = (
    r"[+-]?[$€£]? ?[0-9]{1,3}(?:[,. '][0-9]{3})+(?:[.,][0-9]+)? ?[%€]?|[$€£] ?[0-9.,]+|[0-9]+(?:[.,][0-9]+)? ?[%€]"
)
"""Amounts and percentages: 1,234.50, $12, 12 %."""

TALLY = ("missing", "plain", "wide_whole")
CLOSER_LOOK = (
    "number", "overflow", "infinite", "whole", "big", "leading_zero", "formatted", "boolean", "naive_time", "zoned_time"
)  # fmt: skip
"""Counts of cells, in the order of the columns that `closer_look` returns for each table column."""

Bad = Literal["not_a_number", "not_finite", "cell_too_large", "unlike_number", "unlike_time", "unlike_boolean"]
ColumnKind = Literal["integer", "number", "boolean", "naive_time", "zoned_time", "text"]


@dataclass(frozen=True)
class Cells:
    """One staged column: its place and type, and what helps to read its text.

    padded: some cells have spaces around them · decimal: the mark its numbers use · wide: some cells are longer
    than EXACT_DIGITS
    """

    place: int
    type: StagedType
    padded: bool = False
    decimal: Decimal = "."
    wide: bool = False


class Plan:
    """Builds the plan's statements for one dialect. `table` names a relation in every method."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    # ---------------------------------------------------------------- expressions over one staged column

    def text(self, cells: Cells) -> str:
        """The cell's text without the spaces around it."""
        return self.dialect.trimmed(f"c{cells.place}") if cells.padded else f"c{cells.place}"

    def present(self, cells: Cells) -> str:
        """Whether the cell is not missing; in a typed column only blank text and NULL are missing."""
        column = f"c{cells.place}"
        if cells.type not in ("untyped", "text"):
            return f"{column} IS NOT NULL"
        value = f"{self.text(cells)} <> ''" if cells.type == "text" else self._no_missing_text(self.text(cells))
        return f"({column} IS NOT NULL AND {value})"

    def _no_missing_text(self, text: str) -> str:
        listed = ", ".join(map(self.dialect.literal, sorted(MISSING_TEXTS)))
        # Most cells are told by their first digit or their length: lower() of every cell would cost three times more.
        clear = f"({text} >= '0' AND {text} < ':') OR length({text}) > {_LONGEST_MISSING}"
        return f"CASE WHEN {clear} THEN TRUE ELSE lower({text}) NOT IN ({listed}) END"

    def is_number(self, cells: Cells) -> str:
        """Whether the cell is written like a number, finite or not."""
        return self.dialect.full_match(self.text(cells), number_pattern(cells.decimal))

    def number(self, cells: Cells) -> str:
        """The cell as float64."""
        text = self.text(cells)
        return self.dialect.double(text if cells.decimal == "." else f"replace({text}, ',', '.')")

    def time(self, cells: Cells, *, zoned: bool) -> str:
        """The cell as a timestamp between the years 1 and 9999, else NULL."""
        value = self.dialect.time(self.text(cells), zoned=zoned)
        first, last = (self.dialect.time(f"'{year}{'+00' if zoned else ''}'", zoned=zoned) for year in _YEARS)
        return f"CASE WHEN {value} BETWEEN {first} AND {last} THEN {value} END"

    def is_time(self, cells: Cells, *, zoned: bool) -> str:
        """Whether the cell is a date or date-time that exists."""
        pattern = ZONED_TIME_PATTERN if zoned else NAIVE_TIME_PATTERN
        matched = self.dialect.full_match(self.text(cells), pattern)
        return f"CASE WHEN {matched} THEN ({self.time(cells, zoned=zoned)}) IS NOT NULL ELSE FALSE END"

    def is_boolean(self, cells: Cells) -> str:
        return f"lower({self.text(cells)}) IN ('true', 'false')"

    # ---------------------------------------------------------------- statements over the staged table

    def tallies(self, table: str, columns: Sequence[Cells]) -> str:
        """One row: the counts of TALLY for each column in turn."""
        return self._one_row(table, [part for cells in columns for part in self._tally(cells)])

    def _tally(self, cells: Cells) -> list[str]:
        missing = _count(f"NOT {self.present(cells)}")
        if cells.type != "untyped":
            return [missing, "0", "0"]
        wide = f"length(c{cells.place}) > {EXACT_DIGITS} AND NOT contains(c{cells.place}, '.')"
        plain = _count(self.dialect.full_match(self.text(cells), _PLAIN))
        return [missing, plain, _count(wide) if cells.wide else "0"]

    def closer_look(self, table: str, cells: Cells) -> str:
        """One row: the counts of CLOSER_LOOK for one column; each different text is looked at once."""
        column = f"c{cells.place}"
        parts = (f"coalesce(sum(n) FILTER (WHERE {part}), 0)" for part in self._closer(cells))
        return f"SELECT {', '.join(parts)} FROM (SELECT {column}, count(*) AS n FROM {table} GROUP BY {column})"

    def _closer(self, cells: Cells) -> list[str]:
        text, number = self.text(cells), self.is_number(cells)
        finite = self.dialect.finite(self.number(cells))
        whole = self.dialect.full_match(text, INTEGER_PATTERN)
        exact = f"coalesce(abs({self.dialect.bigint(text)}) <= {MAX_EXACT_INTEGER}, FALSE)"
        return [
            f"CASE WHEN {number} THEN {finite} ELSE FALSE END",
            f"CASE WHEN {number} THEN NOT {finite} ELSE FALSE END",
            self.dialect.full_match(text, INFINITE_PATTERN),
            whole,
            f"CASE WHEN length({text}) > {EXACT_DIGITS} AND {whole} THEN NOT {exact} ELSE FALSE END",
            self.dialect.full_match(text, LEADING_ZERO_PATTERN),
            self.dialect.full_match(text, FORMATTED_PATTERN),
            self.is_boolean(cells),
            self.is_time(cells, zoned=False),
            self.is_time(cells, zoned=True),
        ]

    def missing_tokens(self, table: str, cells: Cells) -> str:
        """(token, count) of the cells that are missing but not empty; blank cells have the token ''."""
        text = self.text(cells)
        return (
            f"SELECT {text} AS token, count(*) AS n FROM {table} "
            f"WHERE NOT {self.present(cells)} AND c{cells.place} <> '' GROUP BY 1 ORDER BY n DESC, token"
        )

    def padded(self, table: str, cells: Cells) -> str:
        """One row: how many cells have spaces around them, how many values differ by these alone, and one such cell."""
        column, text = f"c{cells.place}", self.text(cells)
        differs = f"{column} <> {text}"
        return (
            f"SELECT {_count(differs)}, count(DISTINCT {column}) - count(DISTINCT {text}), "
            f"left(min({column}) FILTER (WHERE {differs}), 200) FROM {table} WHERE {self.present(cells)}"
        )

    def cells_where(self, table: str, cells: Cells, bad: Bad, limit: int, *, longest: int = 0) -> str:
        """(row, line, text) of the first cells that are `bad`, in row order."""
        condition = self._bad(cells, bad, longest)
        return (
            f"SELECT row, line, left(c{cells.place}, 200) FROM {table} "
            f"WHERE {self.present(cells)} AND {condition} ORDER BY row LIMIT {limit}"
        )

    def distinct_where(self, table: str, cells: Cells, bad: Bad) -> str:
        """The number of different `bad` values."""
        return (
            f"SELECT count(DISTINCT {self.text(cells)}) FROM {table} "
            f"WHERE {self.present(cells)} AND {self._bad(cells, bad, 0)}"
        )

    def _bad(self, cells: Cells, bad: Bad, longest: int) -> str:
        number, infinite = self.is_number(cells), self.dialect.full_match(self.text(cells), INFINITE_PATTERN)
        finite = self.dialect.finite(self.number(cells))
        code = self.dialect.full_match(self.text(cells), LEADING_ZERO_PATTERN)
        return {
            "not_a_number": f"NOT ({number} OR {infinite} OR {code})",
            "not_finite": f"({infinite} OR ({number} AND NOT {finite}))",
            "cell_too_large": f"length(c{cells.place}) > {longest}",
            "unlike_number": f"NOT {number}",
            "unlike_time": f"NOT ({self.is_time(cells, zoned=False)} OR {self.is_time(cells, zoned=True)})",
            "unlike_boolean": f"NOT {self.is_boolean(cells)}",
        }[bad]

    def typed(self, table: str, columns: Sequence[Cells], kinds: Sequence[ColumnKind], names: Sequence[str]) -> str:
        """The typed table under the columns' own names, in row order."""
        parts = [
            f"{self._value(cells, kind)} AS {self.dialect.name(name)}"
            for cells, kind, name in zip(columns, kinds, names, strict=True)
        ]
        return f"SELECT {', '.join(parts)} FROM {table}"

    def _value(self, cells: Cells, kind: ColumnKind) -> str:
        column = f"c{cells.place}"
        if cells.type not in ("untyped", "text"):
            return column
        value = {
            "integer": self.dialect.bigint(self.text(cells)),
            "number": self.number(cells),
            "boolean": f"lower({self.text(cells)}) = 'true'",
            "naive_time": self.dialect.time(self.text(cells), zoned=False),
            "zoned_time": self.dialect.time(self.text(cells), zoned=True),
            "text": column,
        }[kind]
        return f"CASE WHEN {self.present(cells)} THEN {value} END"

    def _one_row(self, table: str, parts: Sequence[str]) -> str:
        return f"SELECT {', '.join(parts)} FROM {table}"


_YEARS = ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999")


def _count(condition: str) -> str:
    return f"count(*) FILTER (WHERE {condition})"
