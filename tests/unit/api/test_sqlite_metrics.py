"""What only the local MetricSink promises: durability, retention, alarms that are evaluated."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_api.adapters.local.alarm_rule import judge
from mlops_api.adapters.local.sqlite_metrics import SqliteMetrics
from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.domain.errors import Conflict, Unavailable
from mlops_api.domain.monitoring import AlarmState
from mlops_api.ports import Alarm, Metric, Point
from tests.support.platform import TestClock, at_once

METRIC = Metric("Rows", {"dataset": "flights"})


@contextmanager
def opened(folder: Path, clock: TestClock, **options: Any) -> Iterator[SqliteMetrics]:
    with closing(SqliteMetrics(folder / "metrics.sqlite3", keep=timedelta(days=30), clock=clock, **options)) as sink:
        yield sink


def count(sink: SqliteMetrics, clock: TestClock, days: float = 1) -> float:
    now = clock()
    found = sink.series(
        METRIC, start=now - timedelta(days=days), end=now + timedelta(hours=1), period=86_400, statistic="SampleCount"
    )
    return sum(each.value for each in found)


def an_alarm(**changes: Any) -> Alarm:
    values: dict[str, Any] = {"evaluation_periods": 3, "datapoints_to_alarm": 3}
    return Alarm("rows", METRIC, "Minimum", "LessThanThreshold", 10, 60, **(values | changes))


X, O, N = 1.0, 100.0, None  # noqa: E741 - breaching, not breaching, no data: as CloudWatch's documentation draws them


class TestRule:
    """Newest period first."""

    @pytest.mark.parametrize(
        ("values", "needed", "wanted"),
        [
            ([N, N, N], 3, "INSUFFICIENT_DATA"),
            ([O, N, N], 3, "OK"),
            ([N, N, O], 3, "OK"),
            ([X, X, X], 3, "ALARM"),
            ([X, X, O], 3, "OK"),
            ([O, X, X], 3, "OK"),
            ([X, N, N], 3, "INSUFFICIENT_DATA"),
            ([N, X, N], 3, "INSUFFICIENT_DATA"),
            ([N, N, X], 3, "ALARM"),
            ([X, N, X], 3, "ALARM"),
            ([O, N, X], 3, "OK"),
            ([X, N, X], 2, "ALARM"),
            ([X, O, X], 2, "ALARM"),
            ([X, N, O], 2, "OK"),
            ([X, N, N], 2, "INSUFFICIENT_DATA"),
            ([N, X, N], 2, "ALARM"),
            ([X, N, N], 1, "ALARM"),
            ([N, N, X], 1, "ALARM"),
        ],
    )
    def test_states(self, values: list[float | None], needed: int, wanted: AlarmState) -> None:
        assert judge(an_alarm(datapoints_to_alarm=needed), values)[0] == wanted

    def test_no_combination_without_data_is_ok(self) -> None:
        for needed in (1, 2, 3):
            for breaches in (False, True):
                state, reason = judge(an_alarm(datapoints_to_alarm=needed, missing_breaches=breaches), [None] * 3)
                assert state == ("ALARM" if breaches else "INSUFFICIENT_DATA")
                assert reason


class TestEvaluation:
    def test_each_change_is_told_once(self, tmp_path: Path) -> None:
        clock, told = TestClock(), []
        with opened(tmp_path, clock) as sink:
            sink.put_alarm(an_alarm(datapoints_to_alarm=1))
            for value in (100, 1, None):
                if value is not None:
                    sink.write([Point(METRIC, value, "Count", clock())])
                for _ in range(3):
                    sink.evaluate(lambda event: told.append(event["detail"]))
                clock.pass_time(minutes=4)
            sink.evaluate(lambda event: told.append(event["detail"]))
        states = [(detail["previousState"]["value"], detail["state"]["value"]) for detail in told]
        assert states == [("INSUFFICIENT_DATA", "OK"), ("OK", "ALARM"), ("ALARM", "INSUFFICIENT_DATA")]

    def test_a_change_that_was_not_taken_is_told_after_a_restart(self, tmp_path: Path) -> None:
        clock, told = TestClock(), []

        def refuse(event: object) -> None:
            raise Unavailable("The store of records is busy.")

        with opened(tmp_path, clock) as sink:
            sink.put_alarm(an_alarm(datapoints_to_alarm=1))
            sink.write([Point(METRIC, 1, "Count", clock())])
            sink.evaluate(refuse)
            since = sink.alarm("rows").since
        with opened(tmp_path, clock) as sink:
            sink.evaluate(told.append)
            sink.evaluate(told.append)
            assert sink.alarm("rows").since == since
        assert len(told) == 1

    def test_one_that_is_not_taken_does_not_keep_the_others_waiting(self, tmp_path: Path) -> None:
        clock, told = TestClock(), []

        def tell(event: Any) -> None:
            if event["detail"]["alarmName"] == "a":
                raise Unavailable("busy")
            told.append(event["detail"]["alarmName"])

        with opened(tmp_path, clock) as sink:
            for name in "abc":
                sink.put_alarm(Alarm(name, METRIC, "Minimum", "LessThanThreshold", 10, 60))
            sink.write([Point(METRIC, 1, "Count", clock())])
            sink.evaluate(tell)
        assert told == ["b", "c"]

    def test_points_ahead_of_now_wait_for_their_time(self, tmp_path: Path) -> None:
        clock = TestClock()
        with opened(tmp_path, clock) as sink:
            sink.put_alarm(an_alarm(datapoints_to_alarm=1))
            sink.write([Point(METRIC, 1, "Count", clock() + timedelta(minutes=10))])
            assert sink.alarm("rows").state == "INSUFFICIENT_DATA"
            clock.pass_time(minutes=11)
            assert sink.alarm("rows").state == "ALARM"


class TestFile:
    def test_points_and_alarms_survive_a_restart(self, tmp_path: Path) -> None:
        clock = TestClock()
        with opened(tmp_path, clock) as sink:
            sink.write([Point(METRIC, 1, "Count", clock())])
            sink.put_alarm(an_alarm())
        with opened(tmp_path, clock) as sink:
            assert count(sink, clock) == 1
            assert sink.alarm("rows").alarm == an_alarm()

    def test_a_write_is_synced(self, tmp_path: Path) -> None:
        with opened(tmp_path, TestClock()) as sink:
            [(level,)] = sink._connections._writer.execute("PRAGMA synchronous").fetchall()
            [(mode,)] = sink._connections._writer.execute("PRAGMA journal_mode").fetchall()
        assert (level, mode) == (2, "wal")

    def test_old_points_are_dropped_by_later_writes(self, tmp_path: Path) -> None:
        clock = TestClock()
        with opened(tmp_path, clock) as sink:
            sink.write([Point(METRIC, 1, "Count", clock()) for _ in range(100)])
            clock.pass_time(days=31)
            sink.write([Point(METRIC, 1, "Count", clock()) for _ in range(50)])
        with closing(sqlite3.connect(tmp_path / "metrics.sqlite3")) as connection:
            assert connection.execute("SELECT COUNT(*) FROM points").fetchone() == (50,)

    def test_writers_at_once_lose_nothing(self, tmp_path: Path) -> None:
        clock = TestClock()
        with opened(tmp_path, clock) as sink:
            outcomes = at_once(*[lambda: sink.write([Point(METRIC, 1, "Count", clock())] * 20)] * 8)
            assert outcomes == [None] * 8
            assert count(sink, clock) == 160

    def test_a_busy_store_is_unavailable(self, tmp_path: Path) -> None:
        clock = TestClock()
        with opened(tmp_path, clock, busy_seconds=0.05) as sink:
            with closing(sqlite3.connect(tmp_path / "metrics.sqlite3")) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(Unavailable, match="metrics"):
                    sink.write([Point(METRIC, 1, "Count", clock())])
                other.rollback()
            sink.write([Point(METRIC, 1, "Count", clock())])

    def test_a_closed_store_is_unavailable(self, tmp_path: Path) -> None:
        with opened(tmp_path, TestClock()) as sink:
            sink.close()
            with pytest.raises(Unavailable, match="metrics is closed"):
                sink.alarm("rows")

    def test_a_file_of_another_program_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "metrics.sqlite3").write_bytes(b"no database, but long enough to be taken for one" * 100)
        with pytest.raises(Conflict, match="metrics file"), opened(tmp_path, TestClock()):
            pass

    def test_a_file_of_another_format_is_refused(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "metrics.sqlite3")) as connection:
            connection.execute("PRAGMA user_version = 7")
        with pytest.raises(Conflict, match="format 7"), opened(tmp_path, TestClock()):
            pass

    def test_metrics_and_records_have_files_of_their_own(self, tmp_path: Path) -> None:
        with opened(tmp_path, TestClock()), closing(SqliteRecords(tmp_path / "records.sqlite3")) as records:
            records.ready()
