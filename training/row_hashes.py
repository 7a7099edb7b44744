"""A number for each row that depends on what the row holds, on nothing else: neither its place nor the others.

It is md5 of the seed and the row's values in the order of the columns' names. A value is written so that no library
has a say in it: numbers as the bits of a float64, moments as microseconds, text as it is. So rows get the same
numbers wherever and whenever they are computed.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

Array = npt.NDArray[Any]
Kind = Literal["number", "boolean", "moment", "text"]

BETWEEN, MISSING = "\x1f", "\x00"
"""Between two values of a row, and in the place of one that is missing."""
CELLS_AT_ONCE = 2_000_000
LEAST_AT_ONCE = 64
RANGE = 2**64


@dataclass(frozen=True)
class RowHashes:
    """`values` (n,) uint64, one for each row of the file; `key` names all they depend on but the rows."""

    values: Array
    key: str

    def below(self, fraction: float) -> Array:
        """(n,) whether a row's number is in the first `fraction` of the range."""
        return self.values < np.uint64(int(fraction * RANGE))


def row_hashes(path: Path, seed: int) -> RowHashes:
    """Of every row of a Parquet file, a piece of it at a time; equal rows have equal numbers.

    Raises FileNotFoundError, pa.ArrowInvalid.
    """
    with pq.ParquetFile(path, memory_map=True) as file:
        schema = file.schema_arrow
        names = sorted(schema.names)
        start = hashlib.md5(f"{seed}{BETWEEN}".encode(), usedforsecurity=False)
        at_once = max(LEAST_AT_ONCE, CELLS_AT_ONCE // len(names))
        pieces = [_of_batch(batch.select(names), start) for batch in file.iter_batches(at_once)]
    return RowHashes(np.concatenate(pieces) if pieces else np.empty(0, np.uint64), _key(schema, names, seed))


def _key(schema: pa.Schema, names: list[str], seed: int) -> str:
    described = json.dumps([seed, [(name, _kind(schema.field(name).type)) for name in names]])
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def _of_batch(batch: pa.RecordBatch, start: Any) -> Array:
    return np.frombuffer(b"".join(_digests(_texts(batch), start)), dtype=">u8").astype(np.uint64)


def _digests(texts: pa.Array, start: Any) -> Iterator[bytes]:
    for text in texts.cast(pa.large_binary()).to_pylist():
        digest = start.copy()
        digest.update(text)
        yield digest.digest()[:8]


def _texts(batch: pa.RecordBatch) -> pa.Array:
    written = [_written(column) for column in batch.columns]
    between = pa.scalar(BETWEEN, pa.large_string())
    joined = pc.binary_join_element_wise(*written, between, null_handling="replace", null_replacement=MISSING)
    return joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined


def _kind(kind: pa.DataType) -> Kind:
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "number"
    return "moment" if pa.types.is_temporal(kind) else "text"


def _written(column: pa.Array) -> pa.Array:
    kind = _kind(column.type)
    if kind == "number":
        return _bits(column).cast(pa.large_string())
    if kind == "moment":
        return (
            column.cast(pa.timestamp("us", getattr(column.type, "tz", None)), safe=False)
            .cast(pa.int64())
            .cast(pa.large_string())
        )
    return column.cast(pa.large_string())


def _bits(column: pa.Array) -> pa.Array:
    """Numbers as int64 with the bits of float64: 5 and 5.0, 0.0 and -0.0 are the same; NaN is missing."""
    numbers = np.array(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)
    missing = np.isnan(numbers)
    return pa.array((numbers + 0.0).view(np.int64), mask=missing)
