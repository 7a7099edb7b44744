"""What the function tells as it runs in Lambda: the subscriber of a topic, and CloudWatch by lines of its log."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.support.aws_server import AwsServer, aws_server
from tests.support.emulators import Cloud, Emulators
from tests.support.log_agent import LogAgent, metrics_of
from tests.support.notifiers import Outside, sns_outside

pytestmark = pytest.mark.aws

RAGGED = b"a,b\n1,2\n3\n"


@pytest.fixture(scope="module")
def outside(emulators: Emulators) -> Iterator[Outside]:
    with sns_outside(emulators.ministack) as outside:
        yield outside


@pytest.fixture(scope="module")
def server(emulators: Emulators, outside: Outside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    folder = tmp_path_factory.mktemp("alerts")
    with aws_server(emulators.ministack, emulators.ministack_url, folder, topic_arn=outside.topic) as server:
        yield server


def test_a_refused_table_is_told_and_measured(server: AwsServer, outside: Outside, emulators: Emulators) -> None:
    with server.client() as client:
        version = client.datasets.upload(RAGGED, name="broken", filename="broken.csv", wait=False).version
        deadline = time.monotonic() + 60
        while client.datasets.get(version).status != "Rejected":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        [failed] = outside.received(1)
        assert (failed.kind, failed.path) == ("pipeline.failed", "/pipelines/broken-v1")
        [alert] = client.monitoring.alerts()
        assert (alert.delivery, alert.attempts[-1].channel) == ("Delivered", "sns")

        lines = _metric_lines(server, emulators.ministack)
        measured = {datum["MetricName"]: datum["Value"] for line in lines for _, datum in metrics_of(line)}
        assert measured == {"DatasetViolations": 1, "DatasetRows": 2}
        agent = LogAgent(emulators.ministack.clients.client("cloudwatch"))
        agent.take("".join(line + "\n" for line in lines))
        states = {alarm.alarm: alarm.state for alarm in client.monitoring.alarms()}
        assert states["dataset-broken-violations"] == "ALARM"
        server.function.invoke(_alarm_event("MLOps/dataset-broken-violations"))
    [alarm] = outside.received(1)
    assert (alarm.kind, alarm.path) == ("alarm", "/monitoring/alarms")


def _metric_lines(server: AwsServer, cloud: Cloud) -> list[str]:
    """Of the function that serves and of the one the workflow calls: either may be the first to see a job's end."""
    group = f"/aws/lambda/{server.workflow.name}-worker"
    logged = [event["message"] for event in cloud.clients.logs.filter_log_events(logGroupName=group)["events"]]
    return [line for line in [*server.function.log().splitlines(), *logged] if line.startswith('{"_aws":')]


def _alarm_event(name: str) -> Mapping[str, Any]:
    detail = {"alarmName": name}
    return {"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "detail": detail}
