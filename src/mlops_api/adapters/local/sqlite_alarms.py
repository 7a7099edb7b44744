"""Alarms in the file of the metrics they watch. They look at the periods that end now."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson

from mlops_api.adapters.local.alarm_rule import judge
from mlops_api.adapters.local.events import alarm_event
from mlops_api.adapters.local.sqlite_connections import Connections
from mlops_api.adapters.metric_rules import check_alarm, check_alarm_name, check_alarm_page
from mlops_api.adapters.page_tokens import read_token, write_token
from mlops_api.domain.errors import NotFound
from mlops_api.domain.monitoring import AlarmState, Statistic
from mlops_api.domain.times import Clock
from mlops_api.ports import Alarm, AlarmPage, AlarmStatus, Metric, StateChange

AGGREGATES: Mapping[Statistic, str] = {
    "Average": "AVG(value)",
    "Sum": "SUM(value)",
    "Minimum": "MIN(value)",
    "Maximum": "MAX(value)",
    "SampleCount": "COUNT(value)",
}
_PUT = (
    "INSERT INTO alarms (name, definition, state, reason, since, told) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET definition = excluded.definition"
)
_COLUMNS = "SELECT definition, state, reason, since, told FROM alarms"
_NEW: AlarmState = "INSUFFICIENT_DATA"
_QUERY = ("alarms",)

_LOG = logging.getLogger(__name__)


class SqliteAlarms:
    """The part of SqliteMetrics that is about alarms."""

    def __init__(self, connections: Connections, clock: Clock) -> None:
        self._connections = connections
        self._clock = clock

    def put(self, alarm: Alarm) -> None:
        check_alarm(alarm)
        row = (alarm.alarm, orjson.dumps(asdict(alarm)).decode(), _NEW, "Not evaluated yet.", self._now(), _NEW)
        with self._connections.transaction() as connection:
            connection.execute(_PUT, row)

    def delete(self, name: str) -> None:
        with self._connections.transaction() as connection:
            connection.execute("DELETE FROM alarms WHERE name = ?", (name,))

    def get(self, name: str) -> AlarmStatus:
        check_alarm_name(name)
        found = self.find(name)
        if found is None:
            raise NotFound(f"There is no alarm {name!r}.")
        return found

    def find(self, name: str) -> AlarmStatus | None:
        rows = self._connections.read(f"{_COLUMNS} WHERE name = ?", (name,))
        return self._judged(rows[0]) if rows else None

    def page(self, limit: int, token: str | None) -> AlarmPage:
        check_alarm_page(limit)
        [after] = read_token(_QUERY, token, length=1) if token else [""]
        rows = self._connections.read(f"{_COLUMNS} WHERE name > ? ORDER BY name LIMIT ?", (after, limit + 1))
        alarms = [self._judged(row) for row in rows[:limit]]
        return AlarmPage(alarms, write_token(_QUERY, [alarms[-1].alarm.alarm]) if len(rows) > limit else None)

    def evaluate(self, tell: StateChange) -> None:
        """As SqliteMetrics.evaluate."""
        for row in self._connections.read(f"{_COLUMNS} ORDER BY name", ()):
            now, told = self._judged(row), row[-1]
            if now.state != row[1]:
                self._store(now)
            if now.state != told:
                self._tell(now, told, tell)

    def _store(self, status: AlarmStatus) -> None:
        with self._connections.transaction() as connection:
            connection.execute(
                "UPDATE alarms SET state = ?, reason = ?, since = ? WHERE name = ?",
                (status.state, status.reason, microseconds(status.since), status.alarm.alarm),
            )

    def _tell(self, status: AlarmStatus, told: AlarmState, tell: StateChange) -> None:
        try:
            tell(alarm_event(status, told))
        except Exception:  # noqa: BLE001 - logged whole; told again at the next evaluation
            _LOG.exception("the change of alarm %s was not taken; it is told again", status.alarm.alarm)
            return
        with self._connections.transaction() as connection:
            connection.execute("UPDATE alarms SET told = ? WHERE name = ?", (status.state, status.alarm.alarm))

    def _judged(self, row: Sequence[Any]) -> AlarmStatus:
        """As it is now, which may differ from what was stored at the last evaluation."""
        definition, state, _, since, _ = row
        alarm = _alarm(definition)
        now = self._now()
        state_now, reason = judge(alarm, self._values(alarm, now))
        return AlarmStatus(alarm, state_now, reason, _moment(since if state_now == state else now))

    def _values(self, alarm: Alarm, now: int) -> list[float | None]:
        """Of the last periods, newest first; None: no points."""
        step = alarm.period * 1_000_000
        rows = self._connections.read(
            f"SELECT (? - at) / ?, {AGGREGATES[alarm.statistic]} FROM points "  # noqa: S608 - from a fixed table
            "JOIN series ON series.id = points.series "
            "WHERE name = ? AND dimensions = ? AND at > ? AND at <= ? GROUP BY 1",
            (
                now,
                step,
                alarm.metric.name,
                dimensions_text(alarm.metric),
                now - step * alarm.evaluation_periods,
                now,
            ),
        )
        found = dict(rows)
        return [found.get(number) for number in range(alarm.evaluation_periods)]

    def _now(self) -> int:
        return microseconds(self._clock())


def dimensions_text(metric: Metric) -> str:
    """The same for the same dimensions, in whatever order they were given."""
    return orjson.dumps(dict(metric.dimensions), option=orjson.OPT_SORT_KEYS).decode()


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + moment.microsecond


def _moment(number: int) -> datetime:
    return datetime.fromtimestamp(number // 1_000_000, UTC).replace(microsecond=number % 1_000_000)


def _alarm(definition: str) -> Alarm:
    values = orjson.loads(definition)
    return Alarm(**(values | {"metric": Metric(**values["metric"])}))
