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


@dataclass(frozen=True)
class Staged:
    """`padded[i]`: cells of column i with spaces around their text."""

    path: Path
    names: tuple[str, ...]
    types: tuple[StagedType, ...]
    rows: int
    padded: tuple[int, ...]


@dataclass
class StagingWriter:
    """Appends batches of columns. Use as a context manager; `finish` tells what was written."""

    path: Path
    names: tuple[str, ...]
    types: tuple[StagedType, ...]
    rows: int = 0
    padded: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.padded = [0] * len(self.names)
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
        for place, column in enumerate(columns):
            if pa.types.is_string(column.type):
                self.padded[place] += padded_cells(column)
        rows = pa.array(range(self.rows + 1, self.rows + count + 1), _INT64)
        self._file.write_batch(pa.record_batch([rows, lines, *columns], schema=self._schema))
        self.rows += count

    def finish(self) -> Staged:
        """What was written so far."""
        return Staged(self.path, self.names, self.types, self.rows, tuple(self.padded))


def padded_cells(column: pa.Array) -> int:
    """Number of cells that begin or end with a space, tab or line end."""
    trimmed = pc.ascii_trim(column, WHITESPACE)
    own, shorter = pc.sum(pc.binary_length(column)).as_py(), pc.sum(pc.binary_length(trimmed)).as_py()
    if own == shorter:
        return 0
    return int(pc.sum(pc.not_equal(pc.binary_length(column), pc.binary_length(trimmed))).as_py())
