"""Writes a typed table as Parquet in row groups, zstd-compressed, from batches of any size; and joins two such files.

A row group has ROW_GROUP rows, or fewer where the table is wide or its texts are long: it is held in memory.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from training.preprocess.limits import MEBIBYTE
from training.preprocess.profile_plan import ROW_GROUP

_CELLS = 8_000_000
_HELD = 64 * MEBIBYTE
_JOINED_ROWS = 8192


class RowGroupWriter:
    """Appends batches in order. Use as a context manager; the file is whole when it ends without an error."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._rows = max(1, min(ROW_GROUP, _CELLS // max(1, len(schema))))
        self._held: list[pa.RecordBatch] = []
        self._count = self._bytes = 0
        texts = [field.name for field in schema if not pa.types.is_floating(field.type)]
        # Without Arrow's own schema readers see plain strings, not the dictionaries that were handed in.
        self._file: Any = pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=texts, store_schema=False)

    def __enter__(self) -> "RowGroupWriter":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self._flush()
        self._file.close()

    def append(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        while len(batch):
            part = batch.slice(0, self._rows - self._count)
            self._hold(part)
            batch = batch.slice(len(part))
            if self._count == self._rows or self._bytes > _HELD:
                self._flush()

    def _hold(self, part: pa.RecordBatch) -> None:
        self._held.append(part)
        self._count += len(part)
        self._bytes += part.nbytes

    def _flush(self) -> None:
        if self._held:
            table = pa.Table.from_batches(self._held, self._schema).unify_dictionaries()
            self._file.write_table(table, row_group_size=self._count)
        self._held, self._count, self._bytes = [], 0, 0


def join(path: Path, left: Path, right: Path, replaced: Sequence[str]) -> None:
    """Write to `path` the table of `left` with the columns `replaced` taken from `right`, row by row."""
    taken = set(replaced)
    with pq.ParquetFile(left, pre_buffer=False) as one, pq.ParquetFile(right, pre_buffer=False) as other:
        schemas = [(other if name in taken else one).schema_arrow for name in one.schema_arrow.names]
        fields = [schema.field(name) for schema, name in zip(schemas, one.schema_arrow.names, strict=True)]
        kept = [field.name for field in fields if field.name not in taken]
        with RowGroupWriter(path, pa.schema(fields)) as writer:
            for first, second in _aligned(_batches(one, kept), _batches(other, replaced)):
                columns = [(second if field.name in taken else first).column(field.name) for field in fields]
                writer.append(pa.record_batch(columns, schema=pa.schema(fields)))


def _batches(file: pq.ParquetFile, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    yield from file.iter_batches(_JOINED_ROWS, columns=list(columns), use_threads=False)


def _aligned(
    first: Iterator[pa.RecordBatch], second: Iterator[pa.RecordBatch]
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Pairs of equal length; both have as many rows."""
    one, other = next(first, None), next(second, None)
    while one is not None and other is not None:
        count = min(len(one), len(other))
        yield one.slice(0, count), other.slice(0, count)
        one = one.slice(count) if count < len(one) else next(first, None)
        other = other.slice(count) if count < len(other) else next(second, None)
