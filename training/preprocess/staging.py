"""The table between reading and typing: an Arrow file on disk, so that memory does not grow with the table.

Columns: `row` (data rows from 1), `line` (physical line in the file, or 0), then c0, c1, ... in file order.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from training.numbers import WHITESPACE

StagedType = Literal["untyped", "text", "integer", "number", "boolean", "naive_time", "zoned_time"]
"""untyped: text whose type is still to be found; the others are what a Parquet file declares."""

ARROW_TYPES: dict[StagedType, pa.DataType] = {
    "untyped": pa.string(),
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "naive_time": pa.timestamp("us"),
    "zoned_time": pa.timestamp("us", "UTC"),
}
_INT64 = pa.int64()


@dataclass
class TextShape:
    """What a column's text looks like, as far as its bytes tell at a glance.

    empty, padded: cells without text, cells with spaces around it · points, commas: whether any occurs ·
    longest: bytes of the longest cell
    """

    empty: int = 0
    padded: int = 0
    points: bool = False
    commas: bool = False
    longest: int = 0

    def add(self, column: pa.Array) -> None:
        """Take in more cells."""
        lengths = pc.binary_length(column)
        text = _text_bytes(column)
        self.empty += pc.sum(pc.equal(lengths, 0)).as_py() or 0
        self.padded += _padded_cells(column, lengths)
        self.points = self.points or b"." in text
        self.commas = self.commas or b"," in text
        self.longest = max(self.longest, pc.max(lengths).as_py() or 0)


@dataclass(frozen=True)
class Staged:
    """A staging file and what is known of it; `shapes` of columns that are not text are blank."""

    path: Path
    names: tuple[str, ...]
    types: tuple[StagedType, ...]
    rows: int
    shapes: tuple[TextShape, ...]


@dataclass
class StagingWriter:
    """Appends batches of columns. Use as a context manager; `finish` tells what was written."""

    path: Path
    names: tuple[str, ...]
    types: tuple[StagedType, ...]
    rows: int = 0
    shapes: list[TextShape] = field(init=False)

    def __post_init__(self) -> None:
        self.shapes = [TextShape() for _ in self.names]
        columns = [(f"c{place}", ARROW_TYPES[each]) for place, each in enumerate(self.types)]
        self._schema = pa.schema([("row", _INT64), ("line", _INT64), *columns])
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._file: Any = pa.ipc.new_file(str(self.path), self._schema, options=options)

    def __enter__(self) -> "StagingWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, columns: Sequence[pa.Array], lines: pa.Array) -> None:
        """Add rows; `lines` are their physical lines."""
        count = len(lines)
        for shape, column in zip(self.shapes, columns, strict=True):
            if pa.types.is_string(column.type):
                shape.add(column)
        rows = pa.array(range(self.rows + 1, self.rows + count + 1), _INT64)
        self._file.write_batch(pa.record_batch([rows, lines, *columns], schema=self._schema))
        self.rows += count

    def finish(self) -> Staged:
        """What was written so far."""
        return Staged(self.path, self.names, self.types, self.rows, tuple(self.shapes))


def _text_bytes(column: pa.Array) -> bytes:
    """The text of all cells, one after the other, and maybe that of cells beside them."""
    data = column.buffers()[2]
    return b"" if data is None else data.to_pybytes()


def _padded_cells(column: pa.Array, lengths: pa.Array) -> int:
    trimmed = pc.binary_length(pc.ascii_trim(column, WHITESPACE))
    if pc.sum(lengths).as_py() == pc.sum(trimmed).as_py():
        return 0
    return int(pc.sum(pc.not_equal(lengths, trimmed)).as_py())
