"""The promises of ports.MetricSink, on every adapter."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_api.domain.errors import BadRequest, NotFound
from mlops_api.domain.monitoring import AlarmState, Comparison, Statistic
from mlops_api.ports import Alarm, Metric, MetricSink, PeriodValue, Point
from tests.support.emulators import Emulators
from tests.support.metric_sinks import Measuring, cloudwatch_measuring, moto_measuring, sqlite_measuring

SINKS: dict[str, Callable[[Path, Emulators], AbstractContextManager[Measuring]]] = {
    "sqlite": lambda folder, _: sqlite_measuring(folder),
    "moto": lambda _, emulators: moto_measuring(emulators.moto),
    "ministack": lambda _, emulators: cloudwatch_measuring(emulators.ministack),
}
_BARE = "gives the points of all dimensions to a question without any; CloudWatch keeps them apart"
_UNJUDGED = "never evaluates an alarm, and a new one is OK"
EMULATOR_GAPS = {
    ("moto", "test_a_metric_without_dimensions_is_one_of_its_own"): _BARE,
    ("ministack", "test_a_metric_without_dimensions_is_one_of_its_own"): _BARE,
    ("moto", "test_a_new_alarm_is_not_ok"): _UNJUDGED,
    ("moto", "test_the_state_follows_the_threshold"): _UNJUDGED,
    ("moto", "test_what_it_says_of_a_state"): _UNJUDGED,
    ("moto", "test_data_of_other_dimensions_are_no_data"): _UNJUDGED,
    ("moto", "test_data_of_other_metrics_are_no_data"): _UNJUDGED,
    ("moto", "test_pages_hold_every_alarm_once_by_name"): "gives all alarms in one page, whatever is asked for",
    ("moto", "test_data_before_all_its_periods_are_no_data"): _UNJUDGED,
    ("moto", "test_enough_of_its_periods_have_to_breach"): _UNJUDGED,
    ("moto", "test_missing_periods_breach_where_it_is_asked"): _UNJUDGED,
    ("moto", "test_the_state_follows_a_changed_threshold"): _UNJUDGED,
    ("ministack", "test_data_of_other_dimensions_are_no_data"): "looks at no dimension of the alarm's metric",
    ("ministack", "test_enough_of_its_periods_have_to_breach"): "takes the statistic over all periods together",
    ("ministack", "test_missing_periods_breach_where_it_is_asked"): "knows no treatment of missing data",
}
MINUTE = timedelta(minutes=1)
METRIC = Metric("TrainingSeconds", {"model": "flights", "algorithm": "xgboost"})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("measuring", [_param(name, metafunc) for name in sorted(SINKS)], indirect=True)


def _param(adapter: str, metafunc: pytest.Metafunc) -> Any:
    gap = EMULATOR_GAPS.get((adapter, metafunc.function.__name__))
    return pytest.param(adapter, marks=[pytest.mark.xfail(reason=f"{adapter} {gap}", strict=True)] if gap else [])


@pytest.fixture
def measuring(request: pytest.FixtureRequest, tmp_path: Path, emulators: Emulators) -> Iterator[Measuring]:
    with SINKS[request.param](tmp_path, emulators) as measuring:
        yield measuring


@pytest.fixture
def sink(measuring: Measuring) -> MetricSink:
    return measuring.sink


@pytest.fixture
def hour() -> datetime:
    """A full hour, so long ago that no test meets its end."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)


def point(value: float, at: datetime, metric: Metric = METRIC) -> Point:
    return Point(metric, value, "Seconds", at)


def read(sink: MetricSink, start: datetime, statistic: Statistic = "Average", **changes: Any) -> list[PeriodValue]:
    options = {"start": start, "end": start + timedelta(hours=1), "period": 60} | changes
    metric = options.pop("metric", METRIC)
    return list(sink.series(metric, statistic=statistic, **options))


class TestSeries:
    @pytest.mark.parametrize(
        ("statistic", "value"), [("Average", 2.0), ("Sum", 6.0), ("Minimum", 0.5), ("Maximum", 4.5), ("SampleCount", 3)]
    )
    def test_each_statistic(self, sink: MetricSink, hour: datetime, statistic: Statistic, value: float) -> None:
        sink.write([point(each, hour + timedelta(seconds=10 * each)) for each in (0.5, 1.0, 4.5)])
        assert read(sink, hour, statistic) == [PeriodValue(hour, value)]

    def test_values_come_back_as_they_were(self, sink: MetricSink, hour: datetime) -> None:
        values = [0.1 + 0.2, -1e-9, 12345678.9, 0.0, -7.0, 1e300 / 1e200]
        sink.write([point(value, hour + number * MINUTE) for number, value in enumerate(values)])
        assert [found.value for found in read(sink, hour)] == pytest.approx(values, rel=1e-12, abs=0)

    def test_periods_without_points_are_left_out(self, sink: MetricSink, hour: datetime) -> None:
        sink.write([point(0.0, hour + 3 * MINUTE), point(1.0, hour + 30 * MINUTE)])
        assert read(sink, hour) == [PeriodValue(hour + 3 * MINUTE, 0.0), PeriodValue(hour + 30 * MINUTE, 1.0)]

    def test_periods_begin_at_multiples_whatever_the_start(self, sink: MetricSink, hour: datetime) -> None:
        sink.write([point(1.0, hour + timedelta(seconds=1)), point(3.0, hour + timedelta(minutes=4, seconds=59))])
        found = read(sink, hour + timedelta(minutes=2, seconds=7), period=300)
        assert found == [PeriodValue(hour, 2.0)]

    def test_the_period_that_begins_at_the_end_is_not_asked_for(self, sink: MetricSink, hour: datetime) -> None:
        sink.write([point(1.0, hour + 9 * MINUTE), point(2.0, hour + 10 * MINUTE)])
        assert read(sink, hour, end=hour + 10 * MINUTE) == [PeriodValue(hour + 9 * MINUTE, 1.0)]

    def test_the_period_that_the_end_lies_in_is_whole(self, sink: MetricSink, hour: datetime) -> None:
        sink.write([point(1.0, hour + timedelta(seconds=5)), point(2.0, hour + timedelta(seconds=55))])
        found = read(sink, hour, "Sum", end=hour + timedelta(seconds=30))
        assert found == [PeriodValue(hour, 3.0)]

    @pytest.mark.parametrize("period", [60, 120, 300, 3600])
    def test_longer_periods(self, sink: MetricSink, hour: datetime, period: int) -> None:
        sink.write([point(1.0, hour + number * MINUTE) for number in range(60)])
        found = read(sink, hour, "SampleCount", period=period)
        assert [each.value for each in found] == [period / 60] * (3600 // period)

    def test_points_of_one_moment_all_count(self, sink: MetricSink, hour: datetime) -> None:
        sink.write([point(float(number), hour) for number in range(250)])
        assert read(sink, hour, "SampleCount") == [PeriodValue(hour, 250)]
        assert read(sink, hour, "Sum") == [PeriodValue(hour, sum(range(250)))]

    def test_another_dimension_is_another_metric(self, sink: MetricSink, hour: datetime) -> None:
        others = [
            {"model": "flights", "algorithm": "random_forest"},
            {"model": "flights"},
            {"model": "flights", "algorithm": "xgboost", "host": "a"},
        ]
        points = [point(9.0, hour, Metric(METRIC.name, other)) for other in others]
        sink.write([*points, point(8.0, hour, Metric("Other", METRIC.dimensions)), point(1.0, hour)])
        assert read(sink, hour, "Sum") == [PeriodValue(hour, 1.0)]

    def test_the_order_of_dimensions_does_not_matter(self, sink: MetricSink, hour: datetime) -> None:
        sink.write([point(1.0, hour)])
        turned = Metric(METRIC.name, dict(reversed(METRIC.dimensions.items())))
        assert read(sink, hour, metric=turned) == [PeriodValue(hour, 1.0)]

    def test_a_metric_without_dimensions_is_one_of_its_own(self, sink: MetricSink, hour: datetime) -> None:
        bare = Metric(METRIC.name)
        sink.write([point(1.0, hour), point(2.0, hour, bare)])
        assert read(sink, hour, "Sum", metric=bare) == [PeriodValue(hour, 2.0)]

    def test_what_was_never_written_is_empty(self, sink: MetricSink, hour: datetime) -> None:
        assert read(sink, hour, metric=Metric("Never", {"model": "flights"})) == []

    def test_nothing_to_write(self, sink: MetricSink) -> None:
        sink.write([])

    def test_names_with_blanks_and_signs(self, sink: MetricSink, hour: datetime) -> None:
        metric = Metric("validation: auc, mean", {"col umn": 'a "quoted" {value}\\'})
        sink.write([point(1.0, hour, metric)])
        assert read(sink, hour, metric=metric) == [PeriodValue(hour, 1.0)]

    def test_a_thousand_points_of_many_metrics_at_once(self, sink: MetricSink, hour: datetime) -> None:
        metrics = [Metric(f"Metric{number}", {"model": "flights"}) for number in range(250)]
        sink.write([point(float(turn), hour, metric) for metric in metrics for turn in range(4)])
        for metric in (metrics[0], metrics[100], metrics[249]):
            assert read(sink, hour, "Sum", metric=metric) == [PeriodValue(hour, 6.0)]


class TestRefusals:
    @pytest.mark.parametrize(
        "metric",
        [
            Metric(""),
            Metric("x" * 256),
            Metric("ä"),
            Metric("  "),
            Metric(":x"),
            Metric("a\nb"),
            Metric("_aws"),
            Metric("x", {"": "a"}),
            Metric("x", {"a": ""}),
            Metric("x", {"a": "ä"}),
            Metric("x", {"a": "b" * 256}),
            Metric("x", {":a": "b"}),
            Metric("x", {"x": "b"}),
            Metric("x", {f"d{number}": "b" for number in range(31)}),
        ],
        ids=repr,
    )
    def test_metrics_out_of_bounds(self, sink: MetricSink, hour: datetime, metric: Metric) -> None:
        with pytest.raises(BadRequest):
            sink.write([point(1.0, hour, metric)])
        with pytest.raises(BadRequest):
            read(sink, hour, metric=metric)
        with pytest.raises(BadRequest):
            sink.put_alarm(an_alarm(metric=metric))

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2.0**361])
    def test_values_that_are_none(self, sink: MetricSink, hour: datetime, value: float) -> None:
        with pytest.raises(BadRequest):
            sink.write([point(1.0, hour), point(value, hour)])
        assert read(sink, hour) == []

    @pytest.mark.parametrize("hours", [-24 * 14 - 1, 2.1])
    def test_times_too_far_from_now(self, sink: MetricSink, hours: float) -> None:
        with pytest.raises(BadRequest, match="14 days"):
            sink.write([point(1.0, datetime.now(UTC) + timedelta(hours=hours))])

    def test_too_many_points(self, sink: MetricSink, hour: datetime) -> None:
        with pytest.raises(BadRequest, match="1000"):
            sink.write([point(1.0, hour)] * 1001)

    def test_an_unknown_unit_or_statistic(self, sink: MetricSink, hour: datetime) -> None:
        with pytest.raises(BadRequest, match="Seconds"):
            sink.write([replace(point(1.0, hour), unit="Fortnights")])  # type: ignore[arg-type]
        with pytest.raises(BadRequest, match="Average"):
            read(sink, hour, "Median")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "changes",
        [
            {"period": 0},
            {"period": 61},
            {"period": 86_460},
            {"end": timedelta(0)},
            {"end": -MINUTE},
            {"end": timedelta(days=2)},
            {"start": timedelta(days=-16), "end": timedelta(days=-16, hours=1)},
            {"start": timedelta(days=-64), "end": timedelta(days=-64, hours=1), "period": 300},
        ],
        ids=repr,
    )
    def test_series_out_of_bounds(self, sink: MetricSink, hour: datetime, changes: dict[str, Any]) -> None:
        moved = {name: hour + value if isinstance(value, timedelta) else value for name, value in changes.items()}
        with pytest.raises(BadRequest):
            read(sink, **({"start": hour} | moved))

    @pytest.mark.parametrize(
        "changes",
        [
            {"alarm": ""},
            {"alarm": "x" * 141},
            {"alarm": "ä"},
            {"alarm": "a b"},
            {"alarm": "x\n"},
            {"period": 90},
            {"period": 60, "evaluation_periods": 1441},
            {"period": 3600, "evaluation_periods": 169},
            {"evaluation_periods": 0, "datapoints_to_alarm": 0},
            {"evaluation_periods": 2, "datapoints_to_alarm": 3},
            {"datapoints_to_alarm": 0},
            {"threshold": math.nan},
            {"comparison": "GreaterThanUpperThreshold"},
            {"statistic": "p99"},
            {"description": "x" * 1025},
        ],
        ids=repr,
    )
    def test_alarms_out_of_bounds(self, sink: MetricSink, changes: dict[str, Any]) -> None:
        with pytest.raises(BadRequest):
            sink.put_alarm(replace(an_alarm(), **changes))
        assert sink.alarms().alarms == []


def an_alarm(**changes: Any) -> Alarm:
    values: dict[str, Any] = {
        "alarm": "flights-violations",
        "metric": METRIC,
        "statistic": "Maximum",
        "comparison": "GreaterThanThreshold",
        "threshold": 10.0,
        "period": 300,
    }
    return Alarm(**(values | changes))


def ago(**parts: float) -> datetime:
    return datetime.now(UTC) - timedelta(**parts)


def state(sink: MetricSink, alarm: str = "flights-violations") -> AlarmState:
    return sink.alarm(alarm).state


class TestAlarms:
    def test_a_new_alarm_is_not_ok(self, sink: MetricSink) -> None:
        sink.put_alarm(an_alarm())
        status = sink.alarm("flights-violations")
        assert status.state == "INSUFFICIENT_DATA"
        assert status.reason
        assert abs(status.since - datetime.now(UTC)) < timedelta(minutes=1)

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"metric": Metric("Bare"), "statistic": "SampleCount", "threshold": 0.25},
            {"evaluation_periods": 3, "datapoints_to_alarm": 2, "missing_breaches": True, "description": "Why: ä"},
            {"period": 86_400, "evaluation_periods": 7, "datapoints_to_alarm": 7, "comparison": "LessThanThreshold"},
        ],
        ids=repr,
    )
    def test_what_was_put_is_read_back(self, sink: MetricSink, changes: dict[str, Any]) -> None:
        alarm = an_alarm(**changes)
        sink.put_alarm(alarm)
        assert sink.alarm(alarm.alarm).alarm == alarm
        assert [status.alarm for status in sink.alarms().alarms] == [alarm]

    def test_the_state_follows_the_threshold(self, sink: MetricSink) -> None:
        cases: list[tuple[Comparison, float, AlarmState]] = [
            ("GreaterThanThreshold", 10.0, "OK"),
            ("GreaterThanThreshold", 10.5, "ALARM"),
            ("GreaterThanOrEqualToThreshold", 10.0, "ALARM"),
            ("GreaterThanOrEqualToThreshold", 9.5, "OK"),
            ("LessThanThreshold", 10.0, "OK"),
            ("LessThanThreshold", 9.5, "ALARM"),
            ("LessThanOrEqualToThreshold", 10.0, "ALARM"),
            ("LessThanOrEqualToThreshold", 10.5, "OK"),
        ]
        for number, (comparison, value, _) in enumerate(cases):
            metric = Metric(f"Metric{number}", {"model": "flights"})
            sink.put_alarm(an_alarm(alarm=str(number), metric=metric, comparison=comparison))
            sink.write([point(value, ago(seconds=30), metric)])
        assert [state(sink, str(number)) for number in range(len(cases))] == [wanted for *_, wanted in cases]

    def test_what_it_says_of_a_state(self, sink: MetricSink) -> None:
        sink.put_alarm(an_alarm())
        sink.write([point(12.5, ago(seconds=30))])
        status = sink.alarm("flights-violations")
        assert status.state == "ALARM"
        assert "12.5" in status.reason
        assert abs(status.since - datetime.now(UTC)) < timedelta(minutes=1)

    def test_data_of_other_dimensions_are_no_data(self, sink: MetricSink) -> None:
        sink.put_alarm(an_alarm())
        sink.write([point(1.0, ago(seconds=30), Metric(METRIC.name, {"model": "hotels"}))])
        assert state(sink) == "INSUFFICIENT_DATA"

    def test_data_of_other_metrics_are_no_data(self, sink: MetricSink) -> None:
        sink.put_alarm(an_alarm())
        sink.write([point(1.0, ago(seconds=30), Metric("Other", METRIC.dimensions))])
        assert state(sink) == "INSUFFICIENT_DATA"

    def test_data_before_all_its_periods_are_no_data(self, sink: MetricSink) -> None:
        sink.put_alarm(an_alarm())
        sink.write([point(1.0, ago(hours=2))])
        assert state(sink) == "INSUFFICIENT_DATA"

    def test_enough_of_its_periods_have_to_breach(self, sink: MetricSink) -> None:
        cases: list[tuple[tuple[float, ...], AlarmState]] = [
            ((1.0, 100.0, 1.0), "OK"),
            ((11.0, 1.0, 11.0), "ALARM"),
            ((1.0, 11.0, 11.0), "ALARM"),
            ((1.0, 1.0, 1.0), "OK"),
        ]
        for number, (values, _) in enumerate(cases):
            metric = Metric(f"Metric{number}", {"model": "flights"})
            sink.put_alarm(an_alarm(alarm=str(number), metric=metric, evaluation_periods=3, datapoints_to_alarm=2))
            sink.write([point(value, ago(seconds=150 + 300 * back), metric) for back, value in enumerate(values)])
        assert [state(sink, str(number)) for number in range(len(cases))] == [wanted for _, wanted in cases]

    def test_missing_periods_breach_where_it_is_asked(self, sink: MetricSink) -> None:
        sink.put_alarm(an_alarm(evaluation_periods=3, datapoints_to_alarm=2, missing_breaches=True))
        sink.write([point(1.0, ago(seconds=30))])
        assert state(sink) == "ALARM"

    def test_the_state_follows_a_changed_threshold(self, sink: MetricSink) -> None:
        sink.put_alarm(an_alarm())
        sink.write([point(9.0, ago(seconds=30))])
        assert state(sink) == "OK"
        sink.put_alarm(an_alarm(threshold=5.0))
        sink.write([point(9.0, ago(seconds=20))])
        assert sink.alarm("flights-violations").alarm.threshold == 5.0
        assert state(sink) == "ALARM"

    def test_putting_the_same_again_keeps_one(self, sink: MetricSink) -> None:
        for _ in range(2):
            sink.put_alarm(an_alarm())
        assert len(sink.alarms().alarms) == 1

    def test_a_deleted_alarm_is_gone(self, sink: MetricSink) -> None:
        sink.put_alarm(an_alarm())
        for _ in range(2):
            sink.delete_alarm("flights-violations")
        with pytest.raises(NotFound, match="flights-violations"):
            sink.alarm("flights-violations")
        assert sink.alarms().alarms == []

    def test_pages_hold_every_alarm_once_by_name(self, sink: MetricSink) -> None:
        names = [f"alarm-{number:03}" for number in range(25)]
        for name in reversed(names):
            sink.put_alarm(an_alarm(alarm=name))
        found: list[str] = []
        token: str | None = None
        while True:
            page = sink.alarms(limit=10, token=token)
            assert len(page.alarms) <= 10
            found += [status.alarm.alarm for status in page.alarms]
            token = page.next_token
            if token is None:
                break
        assert found == names

    @pytest.mark.parametrize("limit", [0, 101])
    def test_a_page_has_bounds(self, sink: MetricSink, limit: int) -> None:
        with pytest.raises(BadRequest):
            sink.alarms(limit=limit)

    def test_a_token_that_was_not_given_here_is_refused(self, sink: MetricSink) -> None:
        with pytest.raises(BadRequest):
            sink.alarms(token="bm90IG91cnM")  # noqa: S106 - a page token

    def test_an_event_names_an_alarm(self, measuring: Measuring) -> None:
        measuring.sink.put_alarm(an_alarm())
        found = measuring.sink.alarm_of_event(measuring.event_name("flights-violations"))
        assert found is not None
        assert found.alarm == an_alarm()

    @pytest.mark.parametrize("name", ["somebody-elses", "", "ä", "x" * 300])
    def test_an_event_of_another_alarm_is_none_of_ours(self, measuring: Measuring, name: str) -> None:
        measuring.sink.put_alarm(an_alarm())
        assert measuring.sink.alarm_of_event(name) is None
        assert measuring.sink.alarm_of_event(measuring.event_name("gone")) is None
