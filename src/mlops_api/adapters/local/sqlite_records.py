"""RecordStore on one SQLite file."""

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from mlops_api.adapters.local.sqlite_connections import Connections
from mlops_api.adapters.local.sqlite_pages import count_statement, next_token, page_statement
from mlops_api.adapters.local.sqlite_schema import RECORDS
from mlops_api.adapters.local.sqlite_writes import Transaction
from mlops_api.adapters.record_rules import check_get_many, check_page, check_writes, encode_writes
from mlops_api.domain.errors import NotFound, Unavailable
from mlops_api.ports import Count, Delete, Index, Place, Put, Record, RecordName, RecordPage, Write

BUSY_SECONDS = 5.0
_LIVE = """
SELECT r.kind, r.key, r.revision, r.data, r.places, r.expires_at FROM records AS r
WHERE (r.expires_at IS NULL OR r.expires_at > ?) AND r.kind = ? AND r.key = ?
"""
_LIVE_OF = """
WITH wanted (kind, key) AS (VALUES {marks})
SELECT r.kind, r.key, r.revision, r.data, r.places, r.expires_at
FROM wanted CROSS JOIN records AS r ON r.kind = wanted.kind AND r.key = wanted.key
WHERE r.expires_at IS NULL OR r.expires_at > ?
"""


class SqliteRecords:
    """As ports.RecordStore promises; safe to use from many threads.

    `busy_seconds`: how long to wait for the database before Unavailable. `now`: epoch seconds.
    """

    def __init__(self, path: Path, *, busy_seconds: float = BUSY_SECONDS, now: Callable[[], float] = time.time) -> None:
        """Raises Conflict when the file was written by another version of this program, or is something else."""
        self._path = path
        self._now = now
        self._connections = Connections(path, RECORDS, busy_seconds=busy_seconds)

    def get(self, kind: str, key: str) -> Record:
        rows = self._select(_LIVE, (self._epoch(), kind, key))
        if not rows:
            raise NotFound(f"There is no {kind} {key!r}.", kind=kind, key=key)
        return _record(rows[0])

    def get_many(self, names: Sequence[RecordName]) -> Mapping[RecordName, Record]:
        check_get_many(names)
        if not names:
            return {}
        statement = _LIVE_OF.format(marks=",".join(["(?, ?)"] * len(names)))
        rows = self._select(statement, (*(part for name in names for part in name), self._epoch()))
        return {(record.kind, record.key): record for record in map(_record, rows)}

    def put(self, record: Record) -> Record:
        self.write([Put(record)])
        return replace(record, revision=record.revision + 1)

    def delete(self, kind: str, key: str, revision: int | None = None) -> None:
        self.write([Delete(kind, key, revision)])

    def write(self, writes: Sequence[Write]) -> None:
        check_writes(writes)
        encoded = encode_writes(writes)
        if not writes:
            return
        with self._connections.transaction() as connection:
            transaction = Transaction(connection, self._epoch())
            for write, data in zip(writes, encoded, strict=True):
                transaction.apply(write, data)
            transaction.drop_some_expired()

    def query(
        self,
        index: Index,
        partition: str,
        *,
        descending: bool = False,
        limit: int = 100,
        token: str | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> RecordPage:
        check_page(limit)
        statement, values = page_statement(
            index, partition, descending=descending, token=token, after=after, before=before
        )
        rows = self._select(statement, (*values, self._epoch(), limit + 1))
        records = [_record(row) for row in rows[:limit]]
        more = len(rows) > limit
        return RecordPage(records, next_token(index, partition, descending, records[-1]) if more else None)

    def count(self, index: Index, partition: str, *, cap: int = 10_000) -> Count:
        [(found,)] = self._select(count_statement(), (index, partition, self._epoch(), cap + 1))
        return Count(min(found, cap), exact=found <= cap)

    def ready(self) -> None:
        if not self._path.exists():
            raise Unavailable(f"The records file {self._path.name} is gone. Restore the data folder and restart.")
        try:
            self._select("SELECT 1 FROM records LIMIT 1", ())
        except sqlite3.Error as error:
            raise Unavailable(f"The records file cannot be read: {error}.") from error

    def close(self) -> None:
        """Calls after this raise Unavailable."""
        self._connections.close()

    def _select(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        return self._connections.read(statement, values)

    def _epoch(self) -> int:
        return int(self._now())


def _record(row: tuple[Any, ...]) -> Record:
    kind, key, revision, data, places, expires_at = row
    indexes = {index: Place(partition, sort) for index, (partition, sort) in orjson.loads(places).items()}
    return Record(kind, key, orjson.loads(data), indexes, revision, expires_at)
