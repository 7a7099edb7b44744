"""Cuts a text table into blocks of whole records that Arrow's reader reads as Python's csv, strict, would.

A quote is clear when it opens a field, closes one, or is doubled inside one. In a text of such quotes a line end is
a record's end exactly when an even number of quotes stands in front of it, and the two readers agree. Any other quote
raises Unclear: then only Python's csv can tell, and name the line.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from training.preprocess.limits import MEBIBYTE, Limits

BLOCK = 4 * MEBIBYTE
_QUOTE, _NEWLINE, _RETURN = b'"\n\r'

Places = npt.NDArray[np.int64]


class Unclear(Exception):
    """A quote that is neither opening nor closing nor doubled, or a record beyond the limits."""


@dataclass(frozen=True)
class Block:
    """Whole records; `quotes`: where its quote characters stand, `line`: the physical line of its first record."""

    data: bytes
    quotes: Places
    line: int

    def lines(self, records: int) -> pa.Array:
        """The physical line that each of its records begins on."""
        if not len(self.quotes):
            return pa.array(range(self.line, self.line + records), pa.int64())
        ends = np.flatnonzero(np.frombuffer(self.data, np.uint8) == _NEWLINE)
        closing = np.flatnonzero(np.searchsorted(self.quotes, ends) % 2 == 0)
        return pa.array(np.concatenate([[self.line], self.line + closing + 1])[:records])


def blocks(path: Path, start: int, line: int, delimiter: str, limits: Limits) -> Iterator[Block]:
    """Yield the records from byte `start`, which is on physical line `line`; line ends at the file's end are left out.

    Raises:
        Unclear: the text is not for Arrow's reader.
    """
    with path.open("rb") as file:
        file.seek(start)
        rest = b""
        while chunk := file.read(BLOCK):
            data = rest + chunk
            cut, quotes = _cut(data)
            rest = data[cut:]
            if len(rest) > limits.max_line:
                raise Unclear
            if cut:
                yield _checked(Block(data[:cut], quotes, line), delimiter, limits)
                line += data.count(b"\n", 0, cut)
        if rest.strip(b"\r\n"):
            yield _checked(Block(rest, _quotes(rest), line), delimiter, limits)


def _quotes(data: bytes) -> Places:
    if b'"' not in data:
        return np.empty(0, np.int64)
    return np.flatnonzero(np.frombuffer(data, np.uint8) == _QUOTE)


def _cut(data: bytes) -> tuple[int, Places]:
    """Where the last whole record ends (0: nowhere), and the quotes in front of it."""
    quotes = _quotes(data)
    end = len(data)
    while (newline := data.rfind(b"\n", 0, end)) >= 0:
        before = int(np.searchsorted(quotes, newline))
        if before % 2 == 0:
            return newline + 1, quotes[:before]
        # Inside quotes: go on in front of the one that opened them.
        end = int(quotes[before - 1])
    return 0, quotes[:0]


def _checked(block: Block, delimiter: str, limits: Limits) -> Block:
    if len(block.quotes):
        _check_quotes(np.frombuffer(block.data, np.uint8), block.quotes, ord(delimiter), limits.max_cell)
    return block


def _check_quotes(data: npt.NDArray[np.uint8], quotes: Places, delimiter: int, longest: int) -> None:
    """Raises Unclear unless every quote opens, closes or is doubled; the data begin with a record."""
    if len(quotes) % 2:
        raise Unclear
    opening, closing = quotes[::2], quotes[1::2]
    before = data[opening - 1]
    doubled = np.append(False, opening[1:] == closing[:-1] + 1)
    opens = (opening == 0) | (before == delimiter) | (before == _NEWLINE) | doubled
    after = data[np.minimum(closing + 1, len(data) - 1)]
    ends = (closing == len(data) - 1) | (after == delimiter) | (after == _NEWLINE) | (after == _RETURN)
    pair = np.append(closing[:-1] + 1 == opening[1:], False)
    # One that is far from its partner may have been left open: Python's csv names its line.
    if not (opens.all() and (ends | pair).all()) or (closing - opening).max() > longest:
        raise Unclear


def parsed(block: Block, delimiter: str, width: int, types: dict[int, pa.DataType], nulls: bool) -> Sequence[pa.Array]:
    """The cells of the columns named by `types` (place: string or dictionary of strings), in that order.

    `nulls`: empty cells become NULL.

    Raises:
        pyarrow.ArrowInvalid: a record has not `width` fields.
    """
    quoted = len(block.quotes) > 0
    names = [f"c{place}" for place in range(width)]
    table = pacsv.read_csv(
        pa.BufferReader(block.data),
        read_options=pacsv.ReadOptions(column_names=names, block_size=len(block.data) + 1, use_threads=False),
        parse_options=pacsv.ParseOptions(
            delimiter=delimiter,
            quote_char='"' if quoted else False,
            double_quote=quoted,
            escape_char=False,
            newlines_in_values=quoted,
        ),
        convert_options=pacsv.ConvertOptions(
            check_utf8=False,
            include_columns=[f"c{place}" for place in types],
            column_types={f"c{place}": each for place, each in types.items()},
            null_values=[""],
            strings_can_be_null=nulls,
        ),
    )
    return [column.combine_chunks() for column in table.columns]
