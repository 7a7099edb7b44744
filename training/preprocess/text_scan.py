"""The structure pass over a text table: every record has as many fields as the header, or is named.

simple text        cut at line ends by Arrow's reader, quoting switched off: fast, and exact because a
                   quote character does not occur
anything else      Python's csv, strict: quotes, line breaks inside cells, blank lines, old line ends
"""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

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


def stage_text(text: Survey, delimiter: str, scratch: Path, findings: Findings, limits: Limits) -> Staged:
    """Check the structure and write the cells, as text, to a staging file.

    Returns the staged table; a bad header and ragged rows are in `findings`, and the table is not to be used then,
    though its `rows` counts every row of the file.

    Raises:
        Refused: empty_file, header_only, unterminated_quote, bad_quoting, cell_too_large, too_many_rows,
            too_many_columns.
    """
    names = _header(text, delimiter, findings, limits)
    staged = _staged_simple(text, delimiter, names, scratch, limits) if text.simple else None
    if staged is None:
        staged = _staged_strict(text, delimiter, names, scratch, findings, limits)
    if staged.rows == 0 and not findings.count:
        raise Refused("header_only", "The table has a header and no rows. Upload at least one row.")
    return staged


def _header(text: Survey, delimiter: str, findings: Findings, limits: Limits) -> tuple[str, ...]:
    with open_text(text.path, text.skip) as file:
        first = next(_records(file, delimiter, limits), None)
    if first is None:
        raise Refused("empty_file", "The file holds blank lines only. Upload a table with a header and rows.")
    return checked_header(first[0], findings, limits, first[1])


def _writer(scratch: Path, names: tuple[str, ...]) -> StagingWriter:
    types: list[StagedType] = ["untyped"] * len(names)
    return StagingWriter(scratch / "staged.arrow", names, tuple(types))


def _staged_simple(
    text: Survey, delimiter: str, names: tuple[str, ...], scratch: Path, limits: Limits
) -> Staged | None:
    """None when a line has another number of fields than the header."""
    with _writer(scratch, names) as writer:
        try:
            for block in _blocks(text):
                table = _parsed(block, delimiter, len(names))
                lines = pa.array(range(writer.rows + 2, writer.rows + 2 + len(table)), pa.int64())
                writer.append([column.combine_chunks() for column in table.columns], lines)
                _check_rows(writer.rows, limits)
        except pa.ArrowInvalid:
            return None
        return writer.finish()


def _blocks(text: Survey) -> Iterator[bytes]:
    """Yield the lines behind the header, a few mebibytes at a time, cut at line ends."""
    with text.path.open("rb") as file:
        file.seek(text.skip)
        file.readline()
        rest = b""
        while block := file.read(_BLOCK):
            cut = block.rfind(b"\n") + 1
            if cut:
                yield rest + block[:cut]
                rest = block[cut:]
            else:
                rest += block
        if rest.strip(b"\r\n"):
            yield rest


def _parsed(block: bytes, delimiter: str, width: int) -> pa.Table:
    """Raises pyarrow.ArrowInvalid for a line of another width."""
    names = [f"c{place}" for place in range(width)]
    return pacsv.read_csv(
        pa.BufferReader(block),
        read_options=pacsv.ReadOptions(column_names=names, block_size=MEBIBYTE),
        parse_options=pacsv.ParseOptions(delimiter=delimiter, quote_char=False, double_quote=False, escape_char=False),
        convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )


def _staged_strict(
    text: Survey, delimiter: str, names: tuple[str, ...], scratch: Path, findings: Findings, limits: Limits
) -> Staged:
    with open_text(text.path, text.skip) as file, _writer(scratch, names) as writer:
        records = _records(file, delimiter, limits)
        next(records)
        filled = _Counted(_filled(records, len(names), findings))
        for rows, lines in _batches(_even(iter(filled), len(names), delimiter, findings), len(names)):
            writer.append(
                [pa.array(column, pa.string()) for column in zip(*rows, strict=True)], pa.array(lines, pa.int64())
            )
            _check_rows(writer.rows, limits)
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


def _check_rows(rows: int, limits: Limits) -> None:
    if rows > limits.max_rows:
        raise Refused(
            "too_many_rows", f"The table has more than {limits.max_rows:,} rows. Split it, or upload a sample."
        )
