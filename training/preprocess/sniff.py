"""Which delimiter a text table uses: one of , ; tab | and never a guess beyond them.

A candidate must occur in the header, outside quotes. Of several, the one that splits most of the first rows
into as many fields as the header wins; then the one that makes more cells numbers, then more columns.
"""

import csv
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from training.numbers import parse_number

CANDIDATES = (",", ";", "\t", "|")
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_SAMPLE_RECORDS = 200


@dataclass(frozen=True)
class Sniffed:
    """`rivals`: other delimiters that split every row of the sample just as evenly."""

    delimiter: str
    rivals: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Score:
    delimiter: str
    columns: int
    fitting: float
    numbers: float

    @property
    def rank(self) -> tuple[float, float, int]:
        return (self.fitting, self.numbers, self.columns)


def sniff(lines: Iterable[str]) -> Sniffed:
    """Choose the delimiter from the first lines of a table, line ends included."""
    sample = list(lines)
    scores = [score for each in CANDIDATES if (score := _score(sample, each)) is not None]
    if not scores:
        return Sniffed(",")
    best = max(scores, key=lambda score: score.rank)
    rivals = [each.delimiter for each in scores if each is not best and each.fitting == best.fitting == 1.0]
    return Sniffed(best.delimiter, tuple(rivals))


def _score(sample: list[str], delimiter: str) -> _Score | None:
    """None when the delimiter does not occur in the header."""
    records = list(_records(sample, delimiter))
    if not records or len(records[0]) < 2:
        return None
    width, rows = len(records[0]), records[1:]
    cells = [cell for row in rows for cell in row if cell]
    numbers = sum(_reads_as_number(cell, delimiter) for cell in cells)
    fitting = sum(len(row) == width for row in rows) / len(rows) if rows else 1.0
    return _Score(delimiter, width, fitting, numbers / len(cells) if cells else 0.0)


def _reads_as_number(cell: str, delimiter: str) -> bool:
    return parse_number(cell) is not None or (delimiter != "," and parse_number(cell, ",") is not None)


def _records(sample: list[str], delimiter: str) -> Iterator[list[str]]:
    """The first records of the sample; what a broken quote swallows is left to the structure pass to refuse."""
    reader = csv.reader(sample, delimiter=delimiter, strict=True)
    try:
        for record in itertools.islice(reader, _SAMPLE_RECORDS):
            if record:
                yield record
    except csv.Error:
        return
