"""Connections to one SQLite file: one that writes, and as many readers as there are reads at a time.

Write-ahead logging lets reads go on while a write is under way and while the disk is full, as long as
connections are open already: readers are kept, not closed. synchronous=FULL: a commit is fsynced before it returns.
"""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mlops_api.adapters.local.durable import make_folder, storage_full, sync_folder
from mlops_api.adapters.local.sqlite_schema import Schema
from mlops_api.domain.errors import BadRequest, Conflict, PlatformError, Unavailable

_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_WAL_KEPT_BYTES = 64 << 20
_READ_CACHE_KIB = 16 << 10
_STATEMENTS_KEPT = 256


@contextmanager
def translated(subject: str, *, writing: bool) -> Iterator[None]:
    """SQLite's errors in the platform's words; unknown ones pass untouched. `subject`: what the file holds."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise BadRequest("A name with half a surrogate pair is not valid Unicode; no record has it.") from error
    except sqlite3.Error as error:
        known = _translation(error, subject, writing=writing)
        if known is None:
            raise
        raise known from error


def _translation(error: sqlite3.Error, subject: str, *, writing: bool) -> PlatformError | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _BUSY:
        return _busy(subject)
    if writing and code in _FULL:
        return storage_full(f"the {subject}")
    if code == sqlite3.SQLITE_NOTADB:
        return Conflict(f"The {subject} file in this data folder is not a SQLite database. Choose another data folder.")
    return None


def _busy(subject: str) -> Unavailable:
    return Unavailable(f"The store of {subject} is busy. Nothing was changed; try again in a moment.", retry_after=1)


class Connections:
    """Opens `path`, making it when it is missing.

    `busy_seconds` bounds how long a write waits, for its turn in this process and for other processes together.
    """

    def __init__(self, path: Path, schema: Schema, *, busy_seconds: float) -> None:
        self._path = path
        self._schema = schema
        self._busy_seconds = busy_seconds
        self._turn = threading.Lock()
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False
        make_folder(path.parent)
        with translated(self._schema.subject, writing=True):
            self._writer = self._open_writer()
            self._idle.append(self._open_reader())

    def read(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """All rows of one SELECT, of one moment. Raises Unavailable."""
        with translated(self._schema.subject, writing=False), self._reader() as connection:
            return connection.execute(statement, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The writer, inside a transaction that is durable when the block was left without an error.

        Raises Unavailable or StorageFull; nothing was written then.
        """
        deadline = time.monotonic() + self._busy_seconds
        if not self._turn.acquire(timeout=self._busy_seconds):
            raise _busy(self._schema.subject)
        try:
            with translated(self._schema.subject, writing=True), self._committed(deadline):
                yield self._writer
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close every connection; reads and writes under way finish first."""
        with self._turn:
            self._closed = True
            self._writer.close()
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _committed(self, deadline: float) -> Iterator[None]:
        self._check_open()
        left = max(0, int((deadline - time.monotonic()) * 1000))
        self._writer.execute(f"PRAGMA busy_timeout = {left}")
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._writer.execute("COMMIT")
        except BaseException:
            # A full disk makes SQLite roll back by itself.
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        connection = self._take_reader()
        try:
            yield connection
        finally:
            self._idle.append(connection)
            if self._closed:
                with suppress(ValueError):
                    self._idle.remove(connection)
                    connection.close()

    def _take_reader(self) -> sqlite3.Connection:
        self._check_open()
        try:
            return self._idle.pop()
        except IndexError:
            return self._open_reader()

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable(f"The store of {self._schema.subject} is closed: the server is stopping.", retry_after=5)

    def _open_writer(self) -> sqlite3.Connection:
        # SQLite gives its side files the mode of this one.
        self._path.touch(mode=0o600)
        connection = self._connect()
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")
        self._schema.prepare(connection)
        sync_folder(self._path.parent)
        return connection

    def _open_reader(self) -> sqlite3.Connection:
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{_READ_CACHE_KIB}")
        return connection

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self._path,
            timeout=self._busy_seconds,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_STATEMENTS_KEPT,
        )
