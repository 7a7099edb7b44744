"""The table to score, read in chunks, so that memory does not grow with the file."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from training.arrow_cells import check_schema
from training.cells import Field
from training.complaints import BadRows, Complaints
from training.failure import JobError
from training.numbers import Decimal

_BUFFER = 1 << 20


class ScoringTable:
    """data.parquet, seen through a model's signature; columns that the signature lacks are never read.

    Raises JobError when the file is no Parquet file, or when it cannot fit the signature whatever its rows.
    """

    def __init__(self, path: Path, fields: Sequence[Field], decimal: Decimal = ".") -> None:
        try:
            # Buffered: without it a whole column chunk, however big, is read at once. `pre_buffer` keeps what it
            # has read until the file is closed.
            self._file = pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise JobError(f"the table to score cannot be read: {error}") from error
        self._check(fields, decimal)
        names = [field.name for field in fields if field.name in self._file.schema_arrow.names]
        self._columns = names or self._file.schema_arrow.names[:1]  # some column, to count the rows
        self.rows: int = self._file.metadata.num_rows

    def _check(self, fields: Sequence[Field], decimal: Decimal) -> None:
        sink = Complaints({field.name: place for place, field in enumerate(fields)})
        check_schema(fields, self._file.schema_arrow, sink, decimal)
        try:
            sink.raise_if_any()
        except BadRows as error:
            listed = "; ".join(f"{each.column}: {each.message}" for each in error.complaints)
            raise JobError(f"the table does not fit the model's signature: {listed}") from error

    def chunks(self, size: int, first: int) -> Iterator[pa.Table]:
        """Chunks of `size` rows, the last one shorter, from chunk number `first` on."""
        group, skip = self._group_of(first * size)
        pending: list[pa.RecordBatch] = []
        count = 0
        groups = range(group, self._file.num_row_groups)
        for batch in self._file.iter_batches(size, row_groups=groups, columns=self._columns, use_threads=False):
            batch, skip = batch.slice(skip), max(0, skip - batch.num_rows)
            pending.append(batch)
            count += batch.num_rows
            while count >= size:
                table = pa.Table.from_batches(pending)
                yield table.slice(0, size)
                pending, count = table.slice(size).to_batches(), count - size
        if count:
            yield pa.Table.from_batches(pending)

    def _group_of(self, row: int) -> tuple[int, int]:
        """Row group that holds a row, and the rows of it that come before."""
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if row < rows:
                return group, row
            row -= rows
        return self._file.num_row_groups, 0
