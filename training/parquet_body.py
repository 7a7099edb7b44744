"""The table of a Parquet body, bounded before it is decompressed."""

import pyarrow as pa
import pyarrow.parquet as pq

from training.complaints import MalformedBody, TooManyRows

MAX_UNPACKED = 256 * 2**20
"""Bytes. 6 MB of Parquet can be gigabytes in memory."""


def parquet_table(body: bytes, max_rows: int) -> pa.Table:
    """Read a Parquet file. Raises TooManyRows or MalformedBody."""
    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        _check_size(file.metadata, max_rows)
        return file.read(use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise MalformedBody(f"not a Parquet file: {' '.join(str(error).split())[:200]}") from error


def _check_size(metadata: pq.FileMetaData, max_rows: int) -> None:
    if metadata.num_rows > max_rows:
        raise TooManyRows(f"{metadata.num_rows} rows in one request; at most {max_rows}, use batch scoring for more")
    unpacked = sum(metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups))
    if unpacked > MAX_UNPACKED:
        raise MalformedBody(f"the Parquet file unpacks to {unpacked} bytes; at most {MAX_UNPACKED}, send fewer rows")
