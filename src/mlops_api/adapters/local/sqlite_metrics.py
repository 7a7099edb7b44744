"""MetricSink on one SQLite file: points as they came, alarms judged from them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import Connection

from mlops_api.adapters.local.metric_tables import METRICS
from mlops_api.adapters.local.sqlite_alarms import AGGREGATES, SqliteAlarms, dimensions_text, microseconds
from mlops_api.adapters.local.sqlite_connections import Connections
from mlops_api.adapters.metric_rules import aligned, check_metric, check_points, check_series
from mlops_api.domain.monitoring import Statistic
from mlops_api.domain.times import Clock, utc_now
from mlops_api.ports import Alarm, AlarmPage, AlarmStatus, Metric, PeriodValue, Point, StateChange

BUSY_SECONDS = 5.0
_DROPPED_PER_POINT = 2
"""So that old points do not pile up, and no write is slow."""

_SERIES = "INSERT INTO series (name, dimensions) VALUES (?, ?) ON CONFLICT DO UPDATE SET name = name RETURNING id"
_ADD = "INSERT INTO points (series, at, value) VALUES (?, ?, ?)"
_DROP = "DELETE FROM points WHERE rowid IN (SELECT rowid FROM points WHERE at < ? ORDER BY at LIMIT ?)"


class SqliteMetrics:
    """As ports.MetricSink promises; safe to use from many threads. Points are dropped once they are older than `keep`.

    Alarms are judged when they are read; `evaluate`, which somebody calls now and then, tells of their changes.
    """

    def __init__(
        self, path: Path, *, keep: timedelta, busy_seconds: float = BUSY_SECONDS, clock: Clock = utc_now
    ) -> None:
        """Raises Conflict when the file was written by another version of this program, or is something else."""
        self._keep = keep
        self._clock = clock
        self._connections = Connections(path, METRICS, busy_seconds=busy_seconds)
        self._alarms = SqliteAlarms(self._connections, clock)

    def write(self, points: Sequence[Point]) -> None:
        now = self._clock()
        check_points(points, now)
        if not points:
            return
        with self._connections.transaction() as connection:
            rows = [(_series_id(connection, point.metric), microseconds(point.at), point.value) for point in points]
            connection.executemany(_ADD, rows)
            connection.execute(_DROP, (microseconds(now - self._keep), _DROPPED_PER_POINT * len(points)))

    def series(
        self, metric: Metric, *, start: datetime, end: datetime, period: int, statistic: Statistic
    ) -> Sequence[PeriodValue]:
        check_metric(metric)
        check_series(start, end, period, statistic, self._clock())
        step = period * 1_000_000
        last = microseconds(end) - 1
        rows = self._connections.read(
            f"SELECT at / ?, {AGGREGATES[statistic]} FROM points JOIN series ON series.id = points.series "  # noqa: S608 - from a fixed table
            "WHERE name = ? AND dimensions = ? AND at >= ? AND at < ? GROUP BY 1 ORDER BY 1",
            (
                step,
                metric.name,
                dimensions_text(metric),
                microseconds(aligned(start, period)),
                (last // step + 1) * step,
            ),
        )
        return [PeriodValue(datetime.fromtimestamp(number * period, UTC), value) for number, value in rows]

    def put_alarm(self, alarm: Alarm) -> None:
        self._alarms.put(alarm)

    def delete_alarm(self, alarm: str) -> None:
        self._alarms.delete(alarm)

    def alarm(self, alarm: str) -> AlarmStatus:
        return self._alarms.get(alarm)

    def alarms(self, *, limit: int = 100, token: str | None = None) -> AlarmPage:
        return self._alarms.page(limit, token)

    def alarm_of_event(self, reference: str) -> AlarmStatus | None:
        return self._alarms.find(reference)

    def evaluate(self, tell: StateChange) -> None:
        """Judge every alarm, and tell of each that is in another state than it was told to be in. What raises is told
        again next time."""
        self._alarms.evaluate(tell)

    def close(self) -> None:
        """Calls after this raise Unavailable."""
        self._connections.close()


def _series_id(connection: Connection, metric: Metric) -> int:
    return int(connection.execute(_SERIES, (metric.name, dimensions_text(metric))).fetchone()[0])
