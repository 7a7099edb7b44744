"""The changes of one write, inside a transaction that somebody else commits."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from mlops_api.adapters.record_rules import already_exists, revision_mismatch, target
from mlops_api.ports import Add, Check, Delete, Index, Overwrite, Place, Put, Record, Write

_DROPPED_PER_WRITE = 10
"""More than one write adds on average, so that expired records do not pile up; few, so that no write is slow."""

_FIND = "SELECT id, revision, places, expires_at FROM records WHERE kind = ? AND key = ?"
_DATA = "SELECT data FROM records WHERE id = ?"
_INSERT = "INSERT INTO records (revision, data, places, expires_at, kind, key) VALUES (?, ?, ?, ?, ?, ?)"
_UPDATE = "UPDATE records SET revision = ?, data = ?, places = ?, expires_at = ? WHERE kind = ? AND key = ?"
_REMOVE = "DELETE FROM records WHERE id = ?"
_EXPIRED = (
    "SELECT kind, key, id, revision, places, expires_at FROM records WHERE expires_at <= ? ORDER BY expires_at LIMIT ?"
)
_ADD_ENTRY = "INSERT INTO entries (idx, partition, sort, key, kind, record, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
_REMOVE_ENTRY = "DELETE FROM entries WHERE idx = ? AND partition = ? AND sort = ? AND key = ? AND kind = ?"

_Entry = tuple[str, str, str, int | None]
"""index, partition, sort, expires_at"""


@dataclass(frozen=True)
class _Row:
    """What is stored under a kind and key now."""

    id: int
    revision: int
    places: Mapping[str, tuple[str, str]]
    expires_at: int | None

    def entries(self) -> set[_Entry]:
        return {(index, partition, sort, self.expires_at) for index, (partition, sort) in self.places.items()}


class Transaction:
    """`now`: epoch seconds; a record that expired by then counts as absent."""

    def __init__(self, connection: sqlite3.Connection, now: int) -> None:
        self._connection = connection
        self._now = now

    def apply(self, write: Write, data: bytes) -> None:
        """`data`: the encoded content of a Put or Overwrite. Raises AlreadyExists or RevisionMismatch."""
        kind, key = target(write)
        row = self._find_live(kind, key)
        if isinstance(write, Put):
            self._put(write.record, data, row)
        elif isinstance(write, Overwrite):
            self._store(write.record, data, row)
        elif isinstance(write, Add):
            self._add(write, row)
        elif isinstance(write, Delete):
            self._delete(write, row)
        else:
            _check_revision(write, write.revision, row)

    def drop_some_expired(self) -> None:
        """Remove a few records that reads no longer show."""
        for kind, key, *rest in self._connection.execute(_EXPIRED, (self._now, _DROPPED_PER_WRITE)).fetchall():
            self._remove(kind, key, _row(rest))

    def _find_live(self, kind: str, key: str) -> _Row | None:
        found = self._connection.execute(_FIND, (kind, key)).fetchone()
        row = _row(found) if found else None
        if row is None or row.expires_at is None or row.expires_at > self._now:
            return row
        self._remove(kind, key, row)
        return None

    def _put(self, record: Record, data: bytes, row: _Row | None) -> None:
        if record.revision == 0 and row is not None:
            raise already_exists(record)
        _check_revision(record, record.revision, row)
        self._store(record, data, row)

    def _add(self, write: Add, row: _Row | None) -> None:
        numbers = orjson.loads(self._connection.execute(_DATA, (row.id,)).fetchone()[0]) if row else {}
        sums = numbers | {name: numbers.get(name, 0) + delta for name, delta in write.deltas.items()}
        self._store(Record(write.kind, write.key, sums, write.indexes), orjson.dumps(sums), row)

    def _store(self, record: Record, data: bytes, row: _Row | None) -> None:
        """Under the revision that follows what stands there."""
        revision = (row.revision if row else 0) + 1
        places = _encodable(record.indexes)
        values = (revision, data, orjson.dumps(places), record.expires_at, record.kind, record.key)
        if row is None:
            inserted = self._connection.execute(_INSERT, values).lastrowid
            row = _Row(inserted or 0, 0, {}, None)
        else:
            self._connection.execute(_UPDATE, values)
        self._move(record.kind, record.key, row, _Row(row.id, revision, places, record.expires_at))

    def _delete(self, write: Delete, row: _Row | None) -> None:
        if write.revision is not None:
            _check_revision(write, write.revision, row)
        if row is not None:
            self._remove(write.kind, write.key, row)

    def _remove(self, kind: str, key: str, row: _Row) -> None:
        self._move(kind, key, row, _Row(row.id, row.revision, {}, None))
        self._connection.execute(_REMOVE, (row.id,))

    def _move(self, kind: str, key: str, old: _Row, new: _Row) -> None:
        """Change only the entries that differ: most updates leave a record where it stood."""
        before, after = old.entries(), new.entries()
        removed = [(index, partition, sort, key, kind) for index, partition, sort, _ in before - after]
        added = [
            (index, partition, sort, key, kind, new.id, expires) for index, partition, sort, expires in after - before
        ]
        self._connection.executemany(_REMOVE_ENTRY, removed)
        self._connection.executemany(_ADD_ENTRY, added)


def _row(values: Sequence[Any]) -> _Row:
    id_, revision, places, expires_at = values
    decoded = {index: (partition, sort) for index, (partition, sort) in orjson.loads(places).items()}
    return _Row(id_, revision, decoded, expires_at)


def _encodable(indexes: Mapping[Index, Place]) -> dict[str, tuple[str, str]]:
    return {str(index): (place.partition, place.sort) for index, place in indexes.items()}


def _check_revision(subject: Record | Delete | Check, wanted: int, row: _Row | None) -> None:
    stored = row.revision if row else 0
    if stored != wanted:
        raise revision_mismatch(subject, wanted, stored)
