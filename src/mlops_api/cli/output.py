"""Everything that is printed: the JSON envelope, tables, CSV. Data goes to stdout, all else to stderr.

A command returns an Outcome: `data` for --json, `human` for people. Colours and box tables only on a terminal;
else plain text in aligned columns.
"""

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Literal, TextIO

SCHEMA_VERSION: Final = 1
Format = Literal["table", "json", "csv"]
_LONGEST_NAME: Final = 64

_COUNTED: Final = 1000
"""How many of the items that are not shown are counted at most."""


@dataclass(frozen=True)
class Column:
    """`get` the value from an item, as CSV has it; `show` it to people."""

    heading: str
    get: Callable[[Any], Any]
    show: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True)
class Outcome:
    data: Any
    human: Callable[["Printer"], None] = field(default=lambda _: None)
    exit_code: int = 0
    csv: Callable[[], str] | None = None
    printed: bool = False
    """The command has printed what --json promises by itself, because it goes on afterwards."""


# --------------------------------------------------------------------------- JSON


def jsonable(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(name): jsonable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def envelope(command: str, **member: Any) -> str:
    """`member` is `data=...` or `error=...`."""
    return json.dumps({"schema_version": SCHEMA_VERSION, "command": command, **jsonable(member)}, allow_nan=False)


# --------------------------------------------------------------------------- cells


def cell(value: Any) -> str:
    """One line of printable text, whatever a name or a message holds."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(cell, value))
    return printable(str(value))


def number(value: float) -> str:
    """Four decimals, or fewer where that is the whole number: 0.7312, 39.1, 172."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    rounded = f"{value:.4f}" if 1e-3 <= abs(value) < 1e6 else f"{value:.4g}"
    return min(repr(value), rounded, key=len)


def printable(text: str) -> str:
    """Control characters escaped: a name from a file must not drive the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def moment(text: str | None) -> str | None:
    """`2026-11-22T19:45:01.123456Z` as `2026-11-22 19:45:01Z`."""
    return None if text is None else text[:19].replace("T", " ") + "Z"


def size(count: int | None) -> str | None:
    if count is None:
        return None
    value, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{count} B" if units[0] == "B" else f"{value:.1f} {units[0]}"


# --------------------------------------------------------------------------- people


class Printer:
    """Writes for people. `terminal`: rich tables; else plain aligned columns."""

    def __init__(self, stream: TextIO, *, no_color: bool = False) -> None:
        self._stream = stream
        self.terminal = stream.isatty()
        self._no_color = no_color or bool(os.environ.get("NO_COLOR"))

    def line(self, text: str = "") -> None:
        self._stream.write(text + "\n")

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        texts = [[cell(value) for value in row] for row in rows]
        if self.terminal:
            self._rich_table(headings, texts)
        else:
            self._plain([list(headings), *texts])
        # Buffered where it is no terminal: what goes to stderr next must not overtake it in a shared log.
        self._stream.flush()

    def pairs(self, values: Mapping[str, Any]) -> None:
        self._plain([[name, cell(value)] for name, value in values.items()])

    def _plain(self, rows: list[list[str]]) -> None:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            self.line("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())

    def _rich_table(self, headings: Sequence[str], rows: list[list[str]]) -> None:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in headings:
            table.add_column(heading, overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        console = Console(file=self._stream, no_color=self._no_color, highlight=False)
        console.width = max(console.width, _least_width(headings, rows))
        console.print(table)


def _least_width(headings: Sequence[str], rows: list[list[str]]) -> int:
    """Names are not broken in the middle: the terminal wraps the line instead, so that a name can be copied. Columns of
    long text, such as messages, are folded."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    return sum(width + 3 for width in widths) if max(widths) <= _LONGEST_NAME else 0


# --------------------------------------------------------------------------- lists


def listing(
    name: str, items: Iterator[Any], columns: Sequence[Column], *, limit: int, everything: bool, empty: str
) -> Outcome:
    """A list: the first `limit` items, or all; what is left out is counted and said, never silent.

    `name` is the list's key in the JSON, `empty` what to do when there is nothing.
    """
    shown = list(items) if everything else list(islice(items, limit))
    more = 0 if everything else sum(1 for _ in islice(items, _COUNTED + 1))
    data = {name: shown, "more": min(more, _COUNTED), "more_is_exact": more <= _COUNTED}

    def human(printer: Printer) -> None:
        if shown:
            rows = [[column.show(column.get(item)) for column in columns] for item in shown]
            printer.table([column.heading for column in columns], rows)
        note(None if shown else empty)
        note(f"{'more than ' * (more > _COUNTED)}{min(more, _COUNTED)} more: --all shows them" if more else None)

    return Outcome(data, human, csv=lambda: _csv(shown, columns))


def note(text: str | None) -> None:
    if text:
        sys.stderr.write(text + "\n")


def _csv(items: Sequence[Any], columns: Sequence[Column]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(column.heading for column in columns)
    writer.writerows([safe_cell(column.get(item)) for column in columns] for item in items)
    return text.getvalue()


def safe_cell(value: Any) -> Any:
    """A spreadsheet must not run a cell: text that begins like a formula gets an apostrophe in front (OWASP)."""
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value
