"""Lines in CloudWatch's embedded metric format, and CloudWatch's answers."""

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from mlops_api.adapters.aws.cloudwatch_metrics import CloudWatchMetrics
from mlops_api.adapters.aws.embedded_metrics import embedded_lines
from mlops_api.domain.errors import Unavailable
from mlops_api.ports import Alarm, Metric, Point
from tests.support.aws import counting, fresh_name, throttled
from tests.support.emulators import Cloud
from tests.support.log_agent import LogAgent, metrics_of

NOW = datetime.now(UTC)
METRIC = Metric("Rows", {"dataset": "flights"})


def lines(*points: Point) -> list[str]:
    return list(embedded_lines("MLOps", points))


def data(*points: Point) -> Counter[tuple[str, str, float, str]]:
    """What the log agent makes of them."""
    found = [datum for line in lines(*points) for _, datum in metrics_of(line)]
    return Counter(
        (datum["MetricName"], json.dumps(datum["Dimensions"]), datum["Value"], datum["Unit"]) for datum in found
    )


class TestLines:
    def test_a_line_is_as_the_specification_shows_it(self) -> None:
        at = datetime(2026, 11, 22, 19, 45, 1, 123456, tzinfo=UTC)
        [line] = lines(Point(METRIC, 3, "Count", at))
        assert json.loads(line) == {
            "_aws": {
                "Timestamp": 1795376701123,
                "CloudWatchMetrics": [
                    {
                        "Namespace": "MLOps",
                        "Dimensions": [["dataset"]],
                        "Metrics": [{"Name": "Rows", "Unit": "Count"}],
                    }
                ],
            },
            "dataset": "flights",
            "Rows": [3],
        }

    def test_points_of_one_moment_and_one_thing_share_a_line(self) -> None:
        other = Metric("Violations", METRIC.dimensions)
        assert len(lines(Point(METRIC, 3, "Count", NOW), Point(other, 0, "Count", NOW))) == 1

    def test_another_moment_or_thing_is_another_line(self) -> None:
        points = [Point(METRIC, 3, "Count", NOW), Point(METRIC, 3, "Count", NOW - timedelta(seconds=1))]
        points.append(Point(Metric("Rows", {"dataset": "hotels"}), 3, "Count", NOW))
        assert len(lines(*points)) == 3

    @pytest.mark.parametrize(("metrics", "values"), [(1, 1), (100, 100), (101, 1), (1, 101), (250, 4), (3, 333)])
    def test_no_point_is_lost_whatever_their_number(self, metrics: int, values: int) -> None:
        points = [
            Point(Metric(f"M{number}", METRIC.dimensions), float(value), "Count", NOW)
            for number in range(metrics)
            for value in range(values)
        ]
        assert data(*points).total() == metrics * values
        assert len(data(*points)) == metrics * values

    def test_one_name_with_two_units_takes_two_lines(self) -> None:
        points = [Point(METRIC, 3, "Count", NOW), Point(METRIC, 3, "Bytes", NOW), Point(METRIC, 4, "Count", NOW)]
        assert len(lines(*points)) == 2
        assert data(*points).total() == 3

    def test_no_text_breaks_a_line(self) -> None:
        metric = Metric("a\\b", {"dataset": 'x" }, "_aws": {"'})
        [line] = lines(Point(metric, 1, "Count", NOW))
        assert "\n" not in line
        assert data(Point(metric, 1, "Count", NOW)).total() == 1

    @pytest.mark.parametrize(
        "change",
        [
            lambda root: root.pop("Rows"),
            lambda root: root.update(Rows="3"),
            lambda root: root.update(Rows=[1.0] * 101),
            lambda root: root.update(dataset=7),
            lambda root: root["_aws"].update(Timestamp="now"),
            lambda root: root["_aws"].pop("CloudWatchMetrics"),
            lambda root: root["_aws"]["CloudWatchMetrics"][0].update(Dimensions=[]),
            lambda root: root["_aws"]["CloudWatchMetrics"][0]["Metrics"][0].update(Unit="Rows"),
        ],
    )
    def test_the_log_agent_of_these_tests_takes_sound_lines_only(self, change) -> None:
        [line] = lines(Point(METRIC, 3, "Count", NOW))
        root = json.loads(line)
        change(root)
        with pytest.raises((AssertionError, KeyError)):
            list(metrics_of(json.dumps(root)))


def test_lines_go_to_standard_output_which_lambda_keeps() -> None:
    code = (
        "import datetime as d; from mlops_api.adapters.aws.clients import AwsClients;"
        "from mlops_api.adapters.aws.cloudwatch_metrics import CloudWatchMetrics;"
        "from mlops_api.ports import Metric, Point;"
        "sink = CloudWatchMetrics(AwsClients('eu-central-1'), 'MLOps');"
        "sink.write([Point(Metric('Rows'), 3, 'Count', d.datetime.now(d.UTC))]); import os; os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    [(namespace, datum)] = metrics_of(done.stdout.removesuffix("\n"))
    assert (namespace, datum["MetricName"], datum["Value"]) == ("MLOps", "Rows", 3)


class TestCloudWatch:
    def test_a_point_costs_no_call(self, ministack: Cloud) -> None:
        client = ministack.clients.client("cloudwatch")
        printed: list[str] = []
        with counting(client) as calls:
            CloudWatchMetrics(ministack.clients, "MLOps", out=printed.append).write([Point(METRIC, 3, "Count", NOW)])
        assert calls == {}
        assert len(printed) == 1

    def test_alarms_of_another_platform_in_the_account_are_not_ours(self, ministack: Cloud) -> None:
        ours, theirs = (CloudWatchMetrics(ministack.clients, fresh_name("MLOps")) for _ in range(2))
        alarm = Alarm("rows", METRIC, "Minimum", "LessThanThreshold", 10, 60)
        theirs.put_alarm(alarm)
        assert ours.alarms().alarms == []
        ours.put_alarm(alarm)
        ours.delete_alarm("rows")
        assert theirs.alarm("rows").alarm == alarm

    def test_their_points_are_not_ours(self, ministack: Cloud) -> None:
        agent = LogAgent(ministack.clients.client("cloudwatch"))
        ours, theirs = (CloudWatchMetrics(ministack.clients, fresh_name("MLOps"), out=agent.take) for _ in range(2))
        theirs.write([Point(METRIC, 3, "Count", NOW)])
        span = {"start": NOW - timedelta(hours=1), "end": NOW + timedelta(hours=1)}
        assert len(theirs.series(METRIC, period=60, statistic="Sum", **span)) == 1
        assert ours.series(METRIC, period=60, statistic="Sum", **span) == []

    def test_throttling_is_absorbed_and_then_unavailable(self, ministack: Cloud, pauses: list[float]) -> None:
        sink = CloudWatchMetrics(ministack.clients, fresh_name("MLOps"))
        client = ministack.clients.client("cloudwatch")
        with throttled(client, "DescribeAlarms", 2, "Throttling"):
            assert sink.alarms().alarms == []
        with throttled(client, "DescribeAlarms", 3, "Throttling"), pytest.raises(Unavailable):
            sink.alarms()
