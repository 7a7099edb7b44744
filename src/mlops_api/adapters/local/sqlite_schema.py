"""Tables of the record store, and the version that guards them.

records   one row a record; `places` is JSON {index: [partition, sort]}, so that a change knows which entries to move
entries   one row a record and index it is in, in the order pages are read: a page is one range of its key
expiring  what may be dropped, soonest first
"""

import sqlite3

from mlops_api.domain.errors import Conflict

SCHEMA_VERSION = 1

_STATEMENTS = (
    """CREATE TABLE records (
        id INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        key TEXT NOT NULL,
        revision INTEGER NOT NULL,
        data BLOB NOT NULL,
        places BLOB NOT NULL,
        expires_at INTEGER,
        UNIQUE (kind, key)
    ) STRICT""",
    """CREATE TABLE entries (
        idx TEXT NOT NULL,
        partition TEXT NOT NULL,
        sort TEXT NOT NULL,
        key TEXT NOT NULL,
        kind TEXT NOT NULL,
        record INTEGER NOT NULL,
        expires_at INTEGER,
        PRIMARY KEY (idx, partition, sort, key, kind)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX expiring ON records (expires_at) WHERE expires_at IS NOT NULL",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables in a new database; leave one of this version as it is.

    Raises Conflict for a database of another version.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        _make_or_check(connection)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _make_or_check(connection: sqlite3.Connection) -> None:
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found == 0:
        for statement in _STATEMENTS:
            connection.execute(statement)
    elif found != SCHEMA_VERSION:
        raise Conflict(
            f"The records in this data folder have format {found}; this program knows format {SCHEMA_VERSION}. "
            "Start the version of the program that wrote them, or choose another data folder."
        )
