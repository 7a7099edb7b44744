"""Tables of metrics and alarms.

series   one row a metric; `dimensions` is JSON with sorted names
points   by series and time, in microseconds since 1970
alarms   `definition` is JSON; `state`, `reason` and `since` as evaluated last; `told`: the state last told of
"""

from typing import Final

from mlops_api.adapters.local.sqlite_schema import Schema

METRICS: Final = Schema(
    "metrics",
    1,
    (
        """CREATE TABLE series (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        dimensions TEXT NOT NULL,
        UNIQUE (name, dimensions)
    ) STRICT""",
        """CREATE TABLE points (
        series INTEGER NOT NULL REFERENCES series (id),
        at INTEGER NOT NULL,
        value REAL NOT NULL
    ) STRICT""",
        "CREATE INDEX points_of_series ON points (series, at, value)",
        "CREATE INDEX points_by_time ON points (at)",
        """CREATE TABLE alarms (
        name TEXT PRIMARY KEY,
        definition TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL,
        since INTEGER NOT NULL,
        told TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    ),
)
