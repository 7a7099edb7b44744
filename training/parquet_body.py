"""A Parquet body, read column by column, only as far as a model needs it, and within a bound.

A few hundred bytes of Parquet can stand for gigabytes: pages are compressed, and a dictionary gives one long text
to every row. So texts stay dictionaries, and what has been decoded is counted as it grows.
"""

import bisect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from training.complaints import MalformedBody, TooManyRows

MAX_UNPACKED = 256 * 2**20
"""Bytes. 6 MB of Parquet can be gigabytes in memory."""
BATCH_ROWS = 65_536
"""Rows decoded between two counts. Each batch has its own copy of a dictionary, so few batches are best."""


class ParquetBody:
    """A Parquet file in memory, of which nothing is decoded before `table`.

    Raises TooManyRows, or MalformedBody for what is no Parquet file or says that it unpacks to too much.
    """

    def __init__(self, body: bytes, max_rows: int) -> None:
        self._source = pa.py_buffer(body)
        with _refused():
            file = pq.ParquetFile(pa.BufferReader(self._source))
            _check_size(file.metadata, max_rows)
            self.schema: pa.Schema = file.schema_arrow
            self.rows: int = file.metadata.num_rows

    def table(self, names: Sequence[str]) -> pa.Table:
        """The columns `names`, each of them once in the schema and of a simple type; texts may be dictionaries.

        Raises MalformedBody when they are damaged or unpack to more than MAX_UNPACKED.
        """
        with _refused():
            file = pq.ParquetFile(pa.BufferReader(self._source), read_dictionary=self._texts(names))
            left = MAX_UNPACKED
            columns = {}
            for name in self._alone(names):
                columns[name] = self._column(file, name, left)
                left -= columns[name].nbytes
            table = pa.table(columns) if columns else pa.table([pa.nulls(self.rows)], [""])
            table.validate(full=True)  # texts that are not UTF-8, codes beyond their dictionary
            return table

    def _texts(self, names: Sequence[str]) -> list[str]:
        kinds = {name: self.schema.field(name).type for name in names}
        return [name for name, kind in kinds.items() if pa.types.is_string(kind) or pa.types.is_large_string(kind)]

    def _alone(self, names: Sequence[str]) -> Iterator[str]:
        """Names that select one column: arrow takes "a" for every column below it too, and for "a.b"."""
        others = sorted(set(self.schema.names) - set(names))
        for name in names:
            below = bisect.bisect_left(others, f"{name}.")
            if below == len(others) or not others[below].startswith(f"{name}."):
                yield name

    def _column(self, file: pq.ParquetFile, name: str, most: int) -> pa.ChunkedArray:
        chunks, size = [], 0
        for batch in file.iter_batches(BATCH_ROWS, columns=[name], use_threads=False):
            chunks.append(batch.column(name))
            size += chunks[-1].nbytes
            if size > most:
                raise MalformedBody(f"the Parquet file unpacks to more than {MAX_UNPACKED} bytes; send fewer rows")
        column = pa.chunked_array(chunks, chunks[0].type if chunks else self.schema.field(name).type)
        if len(column) != self.rows:
            raise MalformedBody(f"the Parquet file says it has {self.rows} rows, but a column has {len(column)}")
        return column


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        raise MalformedBody(f"not a Parquet file: {' '.join(str(error).split())[:200]}") from error


def _check_size(metadata: pq.FileMetaData, max_rows: int) -> None:
    if metadata.num_rows > max_rows:
        raise TooManyRows(f"{metadata.num_rows} rows in one request; at most {max_rows}, use batch scoring for more")
    unpacked = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    if unpacked > MAX_UNPACKED:
        raise MalformedBody(f"the Parquet file unpacks to {unpacked} bytes; at most {MAX_UNPACKED}, send fewer rows")
