"""What a training job measures of itself, and alarms that people are told of."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mlops_api.adapters.local.sqlite_metrics import SqliteMetrics
from mlops_api.domain.errors import BadRequest, Unavailable
from mlops_api.ports import Alarm, Metric, PeriodValue, Point
from tests.support.platform import ANN, World, world

METRIC = Metric("Rows", {"dataset": "flights"})
ALARM = Alarm("rows-of-flights", METRIC, "Minimum", "LessThanThreshold", 10, 300, description="flights has few rows")


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as it:
        yield it


def values(w: World, metric: Metric) -> list[float]:
    now = w.clock()
    found: list[PeriodValue] = list(
        w.metrics.series(
            metric, start=now - timedelta(hours=3), end=now + timedelta(hours=1), period=60, statistic="Average"
        )
    )
    return [each.value for each in found]


def measure(w: World, value: float) -> None:
    w.metrics.write([Point(METRIC, value, "Count", w.clock())])


def evaluate(w: World) -> None:
    assert isinstance(w.metrics, SqliteMetrics)
    w.metrics.evaluate(w.platform.events.handle)


class TestTrainingMetrics:
    def test_duration_and_objective_of_a_completed_job(self, w: World) -> None:
        job = w.start(w.ready().version).job
        w.clock.pass_time(seconds=150)
        w.completed(job)
        [seconds] = values(w, Metric("TrainingSeconds", {"model": "flights", "algorithm": "xgboost"}))
        assert seconds == pytest.approx(150, abs=0.1)
        assert values(w, Metric("TrainingObjective", {"model": "flights", "metric": "auc"})) == [0.7]
        assert values(w, Metric("TrainingFailed", {"model": "flights"})) == [0.0]

    def test_a_failed_job_counts(self, w: World) -> None:
        job = w.start(w.ready().version).job
        w.training.end(job, "Failed", "row 7")
        for _ in range(3):
            w.tell("training", job)
        assert values(w, Metric("TrainingFailed", {"model": "flights"})) == [1.0]
        assert values(w, Metric("TrainingObjective", {"model": "flights", "metric": "auc"})) == []

    def test_a_stopped_job_did_not_fail(self, w: World) -> None:
        job = w.start(w.ready().version).job
        w.platform.training.stop(ANN, job)
        w.training.end(job, "Stopped")
        w.tell("training", job)
        assert w.platform.training.get(job).status == "Stopped"
        assert values(w, Metric("TrainingFailed", {"model": "flights"})) == []

    def test_a_store_of_metrics_that_is_down_stops_nothing(self, w: World, monkeypatch: pytest.MonkeyPatch) -> None:
        def down(*_: object) -> None:
            raise Unavailable("The store of metrics is busy.")

        monkeypatch.setattr(w.metrics, "write", down)
        job = w.start(w.ready().version).job
        assert w.completed(job).training_job == job


class TestAlarmsAreTold:
    def test_once_for_each_time_it_goes_off(self, w: World) -> None:
        w.metrics.put_alarm(ALARM)
        measure(w, 3)
        for _ in range(3):
            evaluate(w)
        [notice] = w.notifier.taken
        assert (notice.kind, notice.severity, notice.path) == ("alarm", "error", "/monitoring/alarms")
        assert "rows-of-flights" in notice.subject
        assert "flights has few rows" in notice.body
        assert "under 10" in notice.body

        w.clock.pass_time(minutes=6)
        measure(w, 30)
        evaluate(w)
        w.clock.pass_time(minutes=6)
        measure(w, 3)
        evaluate(w)
        assert len({notice.key for notice in w.notifier.taken}) == len(w.notifier.taken) == 2

    def test_the_same_event_again_tells_nobody_again(self, w: World) -> None:
        w.metrics.put_alarm(ALARM)
        measure(w, 3)
        events: list[dict[str, object]] = []
        assert isinstance(w.metrics, SqliteMetrics)
        w.metrics.evaluate(lambda event: events.append(dict(event)))
        for _ in range(100):
            w.platform.events.handle(events[0])
        assert len(w.notifier.taken) == 1

    def test_no_data_and_ok_are_not_told(self, w: World) -> None:
        w.metrics.put_alarm(ALARM)
        evaluate(w)
        measure(w, 30)
        evaluate(w)
        w.clock.pass_time(hours=1)
        evaluate(w)
        assert w.notifier.taken == []

    def test_an_alarm_of_somebody_else_is_ignored(self, w: World) -> None:
        event = {"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change"}
        assert w.platform.events.handle(event | {"detail": {"alarmName": "Other/alarm"}})
        assert w.notifier.taken == []


class TestPages:
    def test_an_alarm_shows_its_rule_and_its_state(self, w: World) -> None:
        w.metrics.put_alarm(ALARM)
        [view] = w.platform.alarms.page(limit=10, token=None).alarms
        assert (view.alarm, view.state, view.threshold) == ("rows-of-flights", "INSUFFICIENT_DATA", 10)
        assert view.dimensions == {"dataset": "flights"}
        measure(w, 3)
        assert w.platform.alarms.page(limit=10, token=None).alarms[0].state == "ALARM"


class TestSeries:
    def test_what_was_measured_is_shown(self, w: World) -> None:
        w.completed(w.start(w.ready().version).job)
        found = w.platform.series.of(
            "TrainingObjective", "model=flights, metric=auc", statistic="Maximum", hours=2, period=300
        )
        assert [point.value for point in found.points] == [0.7]
        assert found.dimensions == {"model": "flights", "metric": "auc"}

    def test_nothing_measured_is_no_point_not_zero(self, w: World) -> None:
        assert w.platform.series.of("DatasetRows", "", statistic="Sum", hours=2, period=300).points == []

    @pytest.mark.parametrize("text", ["flights", "dataset=", "=flights", "a=b,a=c", "a=b,"])
    def test_what_is_no_dimension_is_refused(self, w: World, text: str) -> None:
        with pytest.raises(BadRequest, match="dataset=flights"):
            w.platform.series.of("DatasetRows", text, statistic="Sum", hours=2, period=300)

    def test_too_many_periods_are_refused(self, w: World) -> None:
        with pytest.raises(BadRequest, match="longer period"):
            w.platform.series.of("DatasetRows", "", statistic="Sum", hours=200, period=60)
