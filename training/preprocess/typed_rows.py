"""Questions about single cells and rows of the typed table, answered with their places.

A place is found only for what breaks a rule: the profile tells whether any does.
"""

# Names and constants reach a statement only through Dialect.name and Dialect.literal, which quote them.
# ruff: noqa: S608

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_contracts.columns import ColumnType
from mlops_contracts.data_contract import Value
from training.numbers import number_pattern
from training.preprocess.dialect import Dialect
from training.preprocess.findings import KEPT
from training.preprocess.plan import NAIVE_TIME_PATTERN, ZONED_TIME_PATTERN

_TEXT_SHOWN = 200


@dataclass(frozen=True)
class Place:
    """A data row, from 1, with its cell as text; `earlier`: the row that it repeats."""

    row: int
    value: str | None
    earlier: int | None = None


@dataclass(frozen=True)
class Places:
    """How many there are, and the first of them in row order."""

    count: int
    first: Sequence[Place]


class TypedRows:
    """`table` names a relation that has the typed columns and `file_row_number` (from 0); `ask` runs a statement."""

    def __init__(self, ask: Callable[[str], list[tuple[Any, ...]]], dialect: Dialect, table: str) -> None:
        self._ask, self._dialect, self._table = ask, dialect, table

    def unlike(self, column: str, wanted: ColumnType) -> Places:
        """Cells of a text column whose text cannot be of the wanted type; none where every text can."""
        text = self._dialect.trimmed(self._dialect.name(column))
        like = {
            "numeric": self._dialect.full_match(text, number_pattern()),
            "boolean": f"lower({text}) IN ('true', 'false')",
            "datetime": self._dialect.full_match(text, f"(?:{NAIVE_TIME_PATTERN}|{ZONED_TIME_PATTERN})"),
        }.get(wanted)
        return self._where(column, f"NOT ({like})") if like else Places(0, ())

    def outside(self, column: str, minimum: float | None, maximum: float | None) -> Places:
        """Numbers below `minimum` or above `maximum`."""
        value = f"CAST({self._dialect.name(column)} AS DOUBLE)"
        bounds = [(minimum, "<"), (maximum, ">")]
        return self._where(column, " OR ".join(f"{value} {sign} {end!r}" for end, sign in bounds if end is not None))

    def not_among(self, column: str, allowed: Sequence[Value]) -> Places:
        """Present cells that hold none of these values."""
        name = self._dialect.name(column)
        compared = f"CAST({name} AS DOUBLE)" if isinstance(allowed[0], float) else name
        return self._where(column, f"{compared} NOT IN ({', '.join(map(self._constant, allowed))})")

    def _constant(self, value: Value) -> str:
        if isinstance(value, bool):
            return "TRUE" if value else "FALSE"
        return self._dialect.literal(value) if isinstance(value, str) else f"CAST({value!r} AS DOUBLE)"

    def value_counts(self, column: str, most: int) -> list[tuple[str, int]]:
        """(value as text, count) of the most frequent present values, ties in order of the value."""
        name = self._dialect.name(column)
        found = self._ask(
            f"SELECT CAST({name} AS VARCHAR) AS value, count(*) AS n FROM {self._table} WHERE {name} IS NOT NULL "
            f"GROUP BY 1 ORDER BY n DESC, value LIMIT {most}"
        )
        return [(str(value), int(count)) for value, count in found]

    def missing(self, column: str) -> Places:
        """Cells without a value."""
        return self._where(column, f"{self._dialect.name(column)} IS NULL", present=False)

    def _where(self, column: str, condition: str, *, present: bool = True) -> Places:
        name = self._dialect.name(column)
        where = f"{name} IS NOT NULL AND ({condition})" if present else condition
        shown = f"left(CAST({name} AS VARCHAR), {_TEXT_SHOWN})"
        ((count,),) = self._ask(f"SELECT count(*) FROM {self._table} WHERE {where}")
        first = self._ask(
            f"SELECT file_row_number + 1, {shown} FROM {self._table} WHERE {where} ORDER BY 1 LIMIT {KEPT}"
        )
        return Places(int(count), [Place(int(row), value) for row, value in first])

    def repeats(self, columns: Sequence[str]) -> Places:
        """Rows whose values in `columns`, all present, an earlier row has; grouped by the values themselves."""
        names = [self._dialect.name(column) for column in columns]
        listed, present = ", ".join(names), " AND ".join(f"{name} IS NOT NULL" for name in names)
        groups = (
            f"SELECT {listed}, min(file_row_number) AS first_row, count(*) AS n FROM {self._table} "
            f"WHERE {present} GROUP BY {listed} HAVING count(*) > 1"
        )
        ((count,),) = self._ask(f"SELECT coalesce(sum(n - 1), 0) FROM ({groups})")
        if not count:
            return Places(0, ())
        same = " AND ".join(f"t.{name} = g.{name}" for name in names)
        shown = " || ', ' || ".join(f"left(CAST(t.{name} AS VARCHAR), {_TEXT_SHOWN})" for name in names)
        first = self._ask(
            f"SELECT t.file_row_number + 1, {shown}, g.first_row + 1 FROM {self._table} t JOIN ({groups}) g ON {same} "
            f"WHERE t.file_row_number > g.first_row ORDER BY 1 LIMIT {KEPT}"
        )
        return Places(int(count), [Place(int(row), str(value), int(earlier)) for row, value, earlier in first])
