"""Tables of a SQLite file, and the version that guards them.

records   one row a record; `places` is JSON {index: [partition, sort]}, so that a change knows which entries to move
entries   one row a record and index it is in, in the order pages are read: a page is one range of its key
expiring  what may be dropped, soonest first
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from mlops_api.domain.errors import Conflict


@dataclass(frozen=True)
class Schema:
    """`subject`: what the file holds, in the plural, for messages."""

    subject: str
    version: int
    statements: Sequence[str]

    def prepare(self, connection: sqlite3.Connection) -> None:
        """Make the tables in a new database; leave one of this version as it is.

        Raises Conflict for a database of another version.
        """
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._make_or_check(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _make_or_check(self, connection: sqlite3.Connection) -> None:
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found == 0:
            for statement in (*self.statements, f"PRAGMA user_version = {self.version}"):
                connection.execute(statement)
        elif found != self.version:
            raise Conflict(
                f"The {self.subject} in this data folder have format {found}; this program knows format "
                f"{self.version}. Start the version of the program that wrote them, or choose another data folder."
            )


RECORDS = Schema(
    "records",
    1,
    (
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
    ),
)
