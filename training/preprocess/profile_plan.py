"""The SQL plan, second half: statements over the typed Parquet file. Builds text, runs nothing.

Sums of floats depend on their order. So moments are taken per block of rows, each of which one thread reads in
order, and put together by the caller in block order: the same table gives the same figures on any number of threads.
"""

# Names and constants reach a statement only through Dialect.name and Dialect.literal, which quote them.
# ruff: noqa: S608

from collections.abc import Sequence
from dataclasses import dataclass

from training.preprocess.dialect import Dialect

ROW_GROUP = 102_400
"""Rows of a row group and of a block: a multiple of the 2,048 rows that DuckDB hands around."""
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
EXACT_QUANTILE_ROWS = 2_000_000
"""Beyond, quantiles are those of a fixed sample of about so many rows: memory must not grow with the table."""
TOP_VALUES = 20
BUCKETS = 20
_GOLDEN = 2_654_435_761
_WORD = 2**32


@dataclass(frozen=True)
class Typed:
    """One column of the typed table. `scale` divides its values where squares or sums would overflow."""

    name: str
    scale: float = 1.0


class ProfilePlan:
    """`table` names a relation that has the typed columns and `file_row_number` (from 0)."""

    def __init__(self, dialect: Dialect, table: str) -> None:
        self.dialect = dialect
        self.table = table

    def value(self, column: Typed) -> str:
        """A numeric column as scaled float64."""
        value = f"CAST({self.dialect.name(column.name)} AS DOUBLE)"
        return value if column.scale == 1.0 else f"{value} / {column.scale!r}"

    def present(self, names: Sequence[str]) -> str:
        """One row: number of rows, then the present cells of each column."""
        counts = ", ".join(f"count({self.dialect.name(name)})" for name in names)
        return f"SELECT count(*), {counts} FROM {self.table}"

    def extremes(self, columns: Sequence[Typed]) -> str:
        """One row: smallest and largest value of each numeric column."""
        parts = (f"min({self.value(each)}), max({self.value(each)})" for each in columns)
        return f"SELECT {', '.join(parts)} FROM {self.table}"

    def moments(self, columns: Sequence[Typed]) -> str:
        """One row a block, in order: count, mean and population variance of each numeric column."""
        parts = (f"count({x}), avg({x}), var_pop({x})" for x in map(self.value, columns))
        block = f"file_row_number // {ROW_GROUP}"
        return f"SELECT {', '.join(parts)} FROM {self.table} GROUP BY {block} ORDER BY {block}"

    def distinct(self, name: str) -> str:
        """The number of different present values."""
        column = self.dialect.name(name)
        return f"SELECT count(*) FROM (SELECT DISTINCT {column} FROM {self.table} WHERE {column} IS NOT NULL)"

    def top_values(self, name: str, most: int = TOP_VALUES) -> str:
        """(value as text, count), most frequent first, ties in order of the value."""
        column = self.dialect.name(name)
        return (
            f"SELECT CAST({column} AS VARCHAR) AS value, count(*) AS n FROM {self.table} "
            f"WHERE {column} IS NOT NULL GROUP BY 1 ORDER BY n DESC, value LIMIT {most}"
        )

    def span(self, name: str, *, zoned: bool) -> str:
        """(earliest, latest) of a time column, as text."""
        column = self.dialect.name(name)
        first, last = (self.dialect.time_text(f"{end}({column})", zoned=zoned) for end in ("min", "max"))
        return f"SELECT {first}, {last} FROM {self.table}"

    def quantiles(self, column: Typed, rows: int) -> str:
        """A list, in the order of QUANTILES, of scaled values."""
        return f"SELECT {self.dialect.quantiles(self.value(column), QUANTILES)} FROM {self.table}{_sample(rows)}"

    def ranked(self, column: Typed, levels: Sequence[float], rows: int) -> str:
        """A list of values, each of the rank that its level says."""
        return f"SELECT {self.dialect.ranked(self.value(column), levels)} FROM {self.table}{_sample(rows)}"

    def counts_up_to(self, column: Typed, edges: Sequence[float]) -> str:
        """A mapping: ascending edge -> number of values above the edge before and up to this one."""
        return f"SELECT {self.dialect.counts_up_to(self.value(column), edges)} FROM {self.table}"

    def value_counts(self, column: Typed) -> str:
        """(scaled value, count) of every present value, smallest first."""
        x = self.value(column)
        return f"SELECT {x} AS x, count(*) FROM {self.table} WHERE {x} IS NOT NULL GROUP BY 1 ORDER BY 1"

    def buckets(self, column: Typed, low: float, high: float) -> str:
        """(bucket from 0, count) over BUCKETS buckets of equal width between two scaled values."""
        x = self.value(column)
        place = f"CAST(least({BUCKETS - 1}, floor(({x} - ({low!r})) / ({high!r} - ({low!r})) * {BUCKETS})) AS INTEGER)"
        return f"SELECT {place} AS bucket, count(*) FROM {self.table} WHERE {x} IS NOT NULL GROUP BY 1 ORDER BY 1"

    def shared_hashes(self, names: Sequence[str]) -> str:
        """How many row hashes belong to more than one row; 0 proves that no row is a duplicate."""
        return f"SELECT count(*) FROM ({self._shared(names)})"

    def duplicates(self, names: Sequence[str]) -> str:
        """Number of rows that repeat an earlier one: exact, because rows of one hash are grouped by their values."""
        columns = ", ".join(map(self.dialect.name, names))
        return (
            f"SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM {self.table} "
            f"WHERE {self._hash(names)} IN ({self._shared(names)}) GROUP BY {columns})"
        )

    def _hash(self, names: Sequence[str]) -> str:
        return self.dialect.row_hash([self.dialect.name(name) for name in names])

    def _shared(self, names: Sequence[str]) -> str:
        return f"SELECT {self._hash(names)} AS h FROM {self.table} GROUP BY 1 HAVING count(*) > 1"

    def first_rows(self, expressions: Sequence[str], limit: int) -> str:
        """The first rows of the table, in order."""
        return (
            f"SELECT {', '.join(expressions)} FROM {self.table} "
            f"WHERE file_row_number < {limit} ORDER BY file_row_number"
        )


def _sample(rows: int) -> str:
    every = -(-rows // EXACT_QUANTILE_ROWS)
    return f" WHERE (file_row_number * {_GOLDEN}) % {_WORD} < {_WORD // every}" if every > 1 else ""
