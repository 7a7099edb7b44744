"""The seam between the SQL plan and an engine: the expressions that engines spell differently.

DuckDB runs the plan on one machine. Another engine (Spark SQL) is another Dialect; plan.py stays as it is.
"""

from collections.abc import Sequence
from typing import Protocol

from training.numbers import WHITESPACE


class Dialect(Protocol):
    """Each method returns an SQL expression; arguments are SQL expressions unless they say `text`."""

    def literal(self, text: str) -> str:
        """A string constant."""

    def name(self, text: str) -> str:
        """A quoted identifier."""

    def full_match(self, value: str, pattern_text: str) -> str:
        """Whether the whole value matches a regular expression."""

    def trimmed(self, value: str) -> str:
        """`value` without ASCII whitespace around it."""

    def double(self, value: str) -> str:
        """float64, infinity when too large; NULL when it is no number."""

    def finite(self, value: str) -> str:
        """Whether a float64 is neither infinite nor NaN."""

    def bigint(self, value: str) -> str:
        """int64, or NULL."""

    def time(self, value: str, *, zoned: bool) -> str:
        """Timestamp in microseconds, or NULL; zoned: an instant, from text with an offset."""

    def time_text(self, value: str, *, zoned: bool) -> str:
        """ISO 8601 with six decimals, `Z` when zoned."""

    def quantiles(self, value: str, levels: Sequence[float]) -> str:
        """Exact, interpolated linearly between neighbours (Hyndman and Fan's type 7)."""

    def ranked(self, value: str, levels: Sequence[float]) -> str:
        """A list of values that occur, of the rank that each level (0..1) says."""

    def counts_up_to(self, value: str, edges: Sequence[float]) -> str:
        """A mapping from each ascending edge to the number of values up to it and above the edge before."""

    def row_hash(self, values: Sequence[str]) -> str:
        """64 bits of the values, equal for equal rows."""


class DuckDb:
    """Dialect of DuckDB."""

    def literal(self, text: str) -> str:
        return "'" + text.replace("'", "''") + "'"

    def name(self, text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    def full_match(self, value: str, pattern_text: str) -> str:
        return f"regexp_full_match({value}, {self.literal(pattern_text)})"

    def trimmed(self, value: str) -> str:
        return f"trim({value}, {self.literal(WHITESPACE)})"

    def double(self, value: str) -> str:
        return f"try_cast({value} AS DOUBLE)"

    def finite(self, value: str) -> str:
        return f"isfinite({value})"

    def bigint(self, value: str) -> str:
        return f"try_cast({value} AS BIGINT)"

    def time(self, value: str, *, zoned: bool) -> str:
        return f"try_cast({value} AS {'TIMESTAMPTZ' if zoned else 'TIMESTAMP'})"

    def time_text(self, value: str, *, zoned: bool) -> str:
        return f"strftime({value}, '%Y-%m-%dT%H:%M:%S.%f{'Z' if zoned else ''}')"

    def quantiles(self, value: str, levels: Sequence[float]) -> str:
        return f"quantile_cont({value}, [{', '.join(map(repr, levels))}])"

    def ranked(self, value: str, levels: Sequence[float]) -> str:
        return f"quantile_disc({value}, [{', '.join(map(repr, levels))}])"

    def counts_up_to(self, value: str, edges: Sequence[float]) -> str:
        return f"histogram({value}, [{', '.join(map(repr, edges))}])"

    def row_hash(self, values: Sequence[str]) -> str:
        return f"hash({', '.join(values)})"
