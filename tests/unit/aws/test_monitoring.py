"""From a rejected table to a message in a subscriber's queue, on AWS's services."""

from datetime import UTC, datetime
from pathlib import Path

from mlops_api.adapters.aws.cloudwatch_metrics import CloudWatchMetrics
from mlops_contracts.dataset import Finding
from tests.support.aws import fresh_name
from tests.support.emulators import Cloud
from tests.support.log_agent import LogAgent
from tests.support.notifiers import sns_outside
from tests.support.platform import TestClock, World, a_preview, a_profile, a_report, processing_job, world_of

REPEATS = 100


def validated(here: World, *violations: Finding) -> str:
    version = here.uploaded()
    here.processing.complete(processing_job(version), a_report((), *violations), a_profile(()), a_preview(()))
    here.tell("processing", processing_job(version))
    return version


def test_an_alarm_on_a_rejected_version_is_told_once(ministack: Cloud, tmp_path: Path) -> None:
    namespace = fresh_name("MLOps")
    agent = LogAgent(ministack.clients.client("cloudwatch"))
    metrics = CloudWatchMetrics(ministack.clients, namespace, out=agent.take)
    with ministack.records() as records, sns_outside(ministack) as outside:
        clock = TestClock(datetime.now(UTC))
        here = world_of(tmp_path, records, clock, metrics, notifier=outside.notifier)
        validated(here)
        name = "dataset-flights-violations"
        assert here.platform.alarms.page(limit=100, token=None).alarms[-1].alarm == name
        assert metrics.alarm(name).state == "OK"
        validated(here, Finding(code="ragged_row", message="Row 7 has 3 fields.", row=7))
        assert metrics.alarm(name).state == "ALARM"

        change = {"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change"}
        outside.received(0)  # the pipeline's own words on the rejected version
        for _ in range(REPEATS):
            assert here.platform.events.handle(change | {"detail": {"alarmName": f"{namespace}/{name}"}})
        [received] = outside.received(1)
    assert (received.kind, received.path) == ("alarm", "/monitoring/alarms")
    assert name in received.text
