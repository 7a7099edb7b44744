"""DuckDB on one machine: bounded memory, spill files in the scratch folder, nothing fetched from anywhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from training.preprocess.dialect import DuckDb
from training.preprocess.limits import MEBIBYTE, Limits
from training.preprocess.profile_plan import ROW_GROUP

_T = TypeVar("_T")

STAGED = "staged"
TYPED = "typed"
_AT_ONCE = 64
"""Columns asked about in one statement, so that a wide table does not make an endless one."""


class Engine:
    """One DuckDB connection. Use as a context manager."""

    def __init__(self, scratch: Path, limits: Limits) -> None:
        self.dialect = DuckDb()
        self._connection = duckdb.connect(
            config={
                "threads": limits.threads,
                "memory_limit": f"{limits.memory // MEBIBYTE}MiB",
                "temp_directory": str(scratch / "spill"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        # This rule turns a long IN list into a join, and a join does not keep the order of the rows.
        self._connection.execute("SET disabled_optimizers = 'in_clause'")
        self._connection.execute("SET parquet_metadata_cache = true")
        # Instants are written and shown in UTC, whatever the machine's time zone.
        self._connection.execute("SET TimeZone = 'UTC'")

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def staged_rows(self, path: Path, places: Sequence[int], sql: str) -> list[tuple[Any, ...]]:
        """All rows of a statement over STAGED, the columns at `places` of a staging file."""
        self._attach_staged(path, places)
        return self.rows(sql)

    def _attach_staged(self, path: Path, places: Sequence[int]) -> None:
        # Batch by batch, not as an Arrow dataset: that one reads ahead hundreds of megabytes.
        options = pa.ipc.IpcReadOptions(included_fields=[0, 1, *(place + 2 for place in places)])
        file = pa.ipc.open_file(str(path), options=options)
        batches = (file.get_batch(number) for number in range(file.num_record_batches))
        self._connection.register(STAGED, pa.RecordBatchReader.from_batches(file.schema, batches))

    def attach_typed(self, path: Path, *, small: bool) -> str:
        """Make a Parquet file readable, rows numbered; returns the relation to name in statements.

        A small table is copied into the engine: opening a file of many columns costs more than reading one.
        """
        source = f"read_parquet({self.dialect.literal(str(path))}, file_row_number = true)"
        if not small:
            # The file itself, not a view of it: each statement would bind all columns of a view.
            return source
        self._connection.sql(f"FROM {source}").create(TYPED)
        return TYPED

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a statement."""
        return self._connection.execute(sql).fetchall()

    def row(self, sql: str) -> tuple[Any, ...]:
        """The one row of a statement."""
        (only,) = self.rows(sql)
        return only

    def write_parquet(self, staged: Path, places: Sequence[int], sql: str, path: Path) -> None:
        """Write the rows of a statement over STAGED, in their order, zstd-compressed."""
        self._attach_staged(staged, places)
        self._connection.execute(
            f"COPY ({sql}) TO {self.dialect.literal(str(path))} "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})"
        )


def in_groups(items: Sequence[_T]) -> list[Sequence[_T]]:
    """Cut columns into groups that one statement can take."""
    return [items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE)]
