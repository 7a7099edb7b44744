"""The structure pass over a text table: every record has as many fields as the header, or is named.

simple text        cut into blocks (blocks.py) and read by Arrow: fast, and exact because its quotes are clear
anything else      Python's csv, strict: quotes in odd places, blank lines, old line ends, ragged rows
"""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from training.preprocess.blocks import Unclear, blocks, parsed
from training.preprocess.findings import Findings, Refused, plural
from training.preprocess.header import checked_header
from training.preprocess.limits import MEBIBYTE, Limits
from training.preprocess.sniff import NAMES, Sniffed, sniff
from training.preprocess.staging import Staged, StagedType, StagingWriter
from training.preprocess.survey import Survey, open_text

_SAMPLE_CHARACTERS = 1 << 18
_BLOCK = 4 * MEBIBYTE
_CELLS_A_BATCH = 400_000

Record = tuple[list[str], int]
"""A record's fields and the physical line it begins on."""


def sniffed(text: Survey) -> Sniffed:
    """Choose the delimiter of a surveyed text."""
    with open_text(text.path, text.skip) as file:
        return sniff(_first_lines(file))


def _first_lines(file: Iterator[str]) -> Iterator[str]:
    total = 0
    for line in file:
        yield line
        total += len(line)
        if total > _SAMPLE_CHARACTERS:
            return


@dataclass(frozen=True)
class TextBody:
    """A text table whose header has been read: its records begin at byte `start`, on physical line `line`."""

    text: Survey
    delimiter: str
    names: tuple[str, ...]
    start: int
    line: int

    @property
    def path(self) -> Path:
        """The text as UTF-8."""
        return self.text.path

    @property
    def simple(self) -> bool:
        """Whether blocks.py can cut it."""
        return self.text.simple


def text_body(text: Survey, delimiter: str, findings: Findings, limits: Limits) -> TextBody:
    """Read the header; what is wrong with it is in `findings`.

    Raises:
        Refused: empty_file, unterminated_quote, bad_quoting, cell_too_large, too_many_columns.
    """
    consumed: list[str] = []
    with open_text(text.path, text.skip) as file:
        first = next(_records(_remembered(file, consumed), delimiter, limits), None)
    if first is None:
        raise Refused("empty_file", "The file holds blank lines only. Upload a table with a header and rows.")
    names = checked_header(first[0], findings, limits, first[1])
    start = text.skip + sum(len(line.encode()) for line in consumed)
    return TextBody(text, delimiter, names, start, len(consumed) + 1)


def _remembered(lines: Iterator[str], consumed: list[str]) -> Iterator[str]:
    for line in lines:
        consumed.append(line)
        yield line


def stage_text(
    body: TextBody, scratch: Path, findings: Findings, limits: Limits, only: Sequence[int] | None = None
) -> Staged:
    """Check the structure and write the cells of all columns, or of those at the places `only`, as text to a file.

    Returns the staged table; ragged rows are in `findings`, and the table is not to be used then, though its `rows`
    counts every row of the file.

    Raises:
        Refused: header_only, unterminated_quote, bad_quoting, cell_too_large, too_many_rows.
    """
    places = list(range(len(body.names)) if only is None else only)
    staged = _staged_simple(body, places, scratch, limits) if body.simple else None
    if staged is None:
        staged = _staged_strict(body, places, scratch, findings, limits)
    if staged.rows == 0 and not findings.count:
        raise no_rows()
    return staged


def no_rows() -> Refused:
    """The refusal of a table that is a header only."""
    return Refused("header_only", "The table has a header and no rows. Upload at least one row.")


def _writer(body: TextBody, places: Sequence[int], scratch: Path) -> StagingWriter:
    types: list[StagedType] = ["untyped"] * len(places)
    return StagingWriter(scratch / "staged.arrow", tuple(body.names[place] for place in places), tuple(types))


def _staged_simple(body: TextBody, places: Sequence[int], scratch: Path, limits: Limits) -> Staged | None:
    """None when a record has another number of fields than the header, or a quote is not clear."""
    types = dict.fromkeys(places, pa.string())
    with _writer(body, places, scratch) as writer:
        try:
            for block in blocks(body.path, body.start, body.line, body.delimiter, limits):
                columns = parsed(block, body.delimiter, len(body.names), types, nulls=False)
                writer.append(columns, block.lines(len(columns[0])))
                check_rows(writer.rows, limits)
        except (Unclear, pa.ArrowInvalid):
            return None
        return writer.finish()


def _staged_strict(body: TextBody, places: Sequence[int], scratch: Path, findings: Findings, limits: Limits) -> Staged:
    width = len(body.names)
    with open_text(body.path, body.text.skip) as file, _writer(body, places, scratch) as writer:
        records = _records(file, body.delimiter, limits)
        next(records)
        filled = _Counted(_filled(records, width, findings))
        for rows, lines in _batches(_even(iter(filled), width, body.delimiter, findings), width):
            columns = list(zip(*rows, strict=True))
            writer.append([pa.array(columns[place], pa.string()) for place in places], pa.array(lines, pa.int64()))
            check_rows(writer.rows, limits)
        return replace(writer.finish(), rows=filled.count)


@dataclass
class _Counted:
    """Records, and how many have been taken."""

    records: Iterator[Record]
    count: int = 0

    def __iter__(self) -> Iterator[Record]:
        for record in self.records:
            self.count += 1
            yield record


def _records(file: Iterator[str], delimiter: str, limits: Limits) -> Iterator[Record]:
    """Yield the header and the rows; [] stands for a blank line behind the header."""
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    seen = 0
    with _cell_limit(limits.max_cell):
        while True:
            line = reader.line_num + 1
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise _unreadable(error, seen, line, reader.line_num, limits) from error
            if record or seen:
                yield record, line
            seen += bool(record)


@contextmanager
def _cell_limit(characters: int) -> Iterator[None]:
    before = csv.field_size_limit(characters)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _unreadable(error: csv.Error, row: int, line: int, last_line: int, limits: Limits) -> Refused:
    """What Python's csv complained about, in words that help; `row` 0 is the header."""
    at = row or None
    too_large = "field larger than field limit" in str(error)
    if "unexpected end of data" in str(error) or (too_large and last_line > line):
        message = f'A quote that opens in the record at line {line} is never closed. Close it, or double it ("").'
        return Refused("unterminated_quote", message, row=at, line=line)
    if too_large:
        message = f"A cell is longer than {limits.max_cell:,} characters. Shorten it, or leave the column out."
        return Refused("cell_too_large", message, row=at, line=line)
    message = f'A quoted field is followed by more text at line {last_line}. Double quotes inside a field ("").'
    return Refused("bad_quoting", message, row=at, line=last_line)


def _filled(records: Iterator[Record], width: int, findings: Findings) -> Iterator[Record]:
    """Blank lines: a missing cell in a table of one column, nothing in a wider one; at the end nothing in either."""
    blank: list[int] = []
    skipped, first = 0, None
    for record, line in records:
        if not record:
            blank.append(line)
            continue
        if blank:
            first, skipped = first or blank[0], skipped + len(blank)
            if width == 1:
                yield from (([""], each) for each in blank)
            blank.clear()
        yield record, line
    if first is not None:
        _warn_blank(skipped, first, width, findings)


def _warn_blank(number: int, line: int, width: int, findings: Findings) -> None:
    became = "read as missing cells" if width == 1 else "left out"
    findings.warn(
        "blank_lines",
        f"{plural(number, 'blank line')} between rows {'was' if number == 1 else 'were'} {became}, the first at line "
        f"{line}. Remove them if they are no rows.",
        line=line,
    )


def _even(records: Iterator[Record], width: int, delimiter: str, findings: Findings) -> Iterator[Record]:
    """Yield records of the header's width until one is not; from then on only name those."""
    ragged = 0
    for row, (record, line) in enumerate(records, 1):
        if len(record) != width:
            ragged += 1
            findings.violate("ragged_row", _ragged_message(row, len(record), width, delimiter), row=row, line=line)
        elif not ragged:
            yield record, line


def _ragged_message(row: int, found: int, width: int, delimiter: str) -> str:
    return (
        f"Row {row:,} has {plural(found, 'field')} and the header {width:,} (delimiter: {NAMES[delimiter]}). "
        "Add or remove fields, or quote the field that holds the delimiter."
    )


def _batches(records: Iterator[Record], width: int) -> Iterator[tuple[list[list[str]], list[int]]]:
    rows: list[list[str]] = []
    lines: list[int] = []
    characters = 0
    for record, line in records:
        rows.append(record)
        lines.append(line)
        characters += sum(map(len, record))
        if len(rows) * width >= _CELLS_A_BATCH or characters >= _BLOCK:
            yield rows, lines
            rows, lines, characters = [], [], 0
    if rows:
        yield rows, lines


def check_rows(rows: int, limits: Limits) -> None:
    """Raises Refused: too_many_rows."""
    if rows > limits.max_rows:
        raise Refused(
            "too_many_rows", f"The table has more than {limits.max_rows:,} rows. Split it, or upload a sample."
        )
