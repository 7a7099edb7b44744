"""Markdown in which data stays data.

Column names, labels and file names come from uploads: whatever they hold must show as text, not as markup, a
link, or a table cell's end.
"""

import re
from collections.abc import Iterable, Sequence

MOST_CHARACTERS = 200

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+")
_MARKUP = re.compile(r"([\\`*\[\]|~@$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")
"""An underscore inside a word is no emphasis; names such as dep_hour stay readable unrendered."""
_LINK = re.compile(r"(://|\bwww\.)", re.IGNORECASE)
_BLOCK = re.compile(r"^(\d*)([#+\-=.)])")
_ESCAPED_BLOCK = r"\1\\\2"
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def text(value: object, most: int = MOST_CHARACTERS) -> str:
    """`value` as one line of plain text, at most `most` characters of it."""
    line = shortened(_CONTROL.sub(" ", str(value)).strip(), most)
    line = _MARKUP.sub(r"\\\1", line)
    line = re.sub("[&<>]", lambda found: _ENTITIES[found[0]], line)
    return _LINK.sub(lambda found: found[0].replace(":", "\\:").replace(".", "\\."), line)


def shortened(line: str, most: int = MOST_CHARACTERS) -> str:
    """The beginning of a long line."""
    return line if len(line) <= most else line[: most - 1] + "…"


def table(header: Sequence[str], rows: Iterable[Sequence[object]], *, figures: bool = True) -> list[str]:
    """Lines of a table; cells are escaped, the header is the caller's own words. `figures`: all columns but the
    first are aligned to the right."""
    rule = ["---", *["---:" if figures else "---"] * (len(header) - 1)]
    return [_row(header), _row(rule), *(_row([text(cell) for cell in row]) for row in rows), ""]


def bullets(lines: Iterable[str]) -> list[str]:
    """A list of lines that are Markdown already; what would start a block within the item is escaped."""
    return [*(f"- {_BLOCK.sub(_ESCAPED_BLOCK, line)}" for line in lines), ""]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
