"""What the columns of a text table probably are, from a sample of its records.

A guess only chooses how the quick pass reads a column. That pass proves it for every cell, or gives the column up.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.missing import is_missing_text
from training.numbers import INTEGER_PATTERN, WHITESPACE, Decimal, decimal_mark, number_pattern
from training.preprocess.plan import NAIVE_TIME_PATTERN, ZONED_TIME_PATTERN, ColumnKind

_PLACES = 9
_BYTES = 1 << 17
_CELLS = 60_000
_INTEGER, _NAIVE, _ZONED = map(re.compile, (INTEGER_PATTERN, NAIVE_TIME_PATTERN, ZONED_TIME_PATTERN))
_BOOLEANS = ("true", "false")


@dataclass(frozen=True)
class Guess:
    """`decimal`: the mark that its numbers use."""

    kind: ColumnKind
    decimal: Decimal = "."


def guessed(path: Path, start: int, delimiter: str, width: int) -> list[Guess]:
    """Guess every column from records at a few places of the text that begins at byte `start`."""
    records = list(_sample(path, start, delimiter, width))
    return [_guess([record[place].strip(WHITESPACE) for record in records], delimiter) for place in range(width)]


def _sample(path: Path, start: int, delimiter: str, width: int) -> Iterator[list[str]]:
    """Records of the right width; those that a cut line makes of the wrong one are left out."""
    size = path.stat().st_size - start
    each = max(2, _CELLS // _PLACES // width)
    for offset in sorted({start + size * place // _PLACES for place in range(_PLACES)}):
        lines = _lines(path, offset, whole=offset == start)
        reader = csv.reader(lines, delimiter=delimiter)
        yield from (record for _, record in zip(range(each), _readable(reader), strict=False) if len(record) == width)


def _lines(path: Path, offset: int, *, whole: bool) -> list[str]:
    with path.open("rb") as file:
        file.seek(offset)
        found = file.read(_BYTES).splitlines(keepends=True)
    complete = found if whole else found[1:]
    return [line.decode("utf-8", errors="replace") for line in complete if line.endswith(b"\n") or whole]


def _readable(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error:
        return


def _guess(texts: Sequence[str], delimiter: str) -> Guess:
    cells = [text for text in texts if not is_missing_text(text)]
    if not cells:
        return Guess("text")
    if all(map(_INTEGER.fullmatch, cells)):
        return Guess("integer")
    points, commas = any("." in each for each in cells), any("," in each for each in cells)
    decimal = decimal_mark(delimiter, commas=commas, points=points)
    if all(map(re.compile(number_pattern(decimal)).fullmatch, cells)):
        return Guess("number", decimal)
    if all(each.lower() in _BOOLEANS for each in cells):
        return Guess("boolean")
    return Guess(_time_or_text(cells))


def _time_or_text(cells: Sequence[str]) -> ColumnKind:
    if all(map(_NAIVE.fullmatch, cells)):
        return "naive_time"
    return "zoned_time" if all(map(_ZONED.fullmatch, cells)) else "text"
