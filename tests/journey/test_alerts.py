"""A real server, a table that is refused, and somebody who listens; then somebody who does not."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops_api.client import MLOps
from mlops_api.domain.alerts import Alert
from tests.support.notifiers import SECRET, Received, WebhookReceiver, webhook_receiver
from tests.support.server import Server

RAGGED = b"a,b\n1,2\n3\n"


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
def server(tmp_path: Path, receiver: WebhookReceiver) -> Iterator[Server]:
    settings = {"URL": receiver.url, "SECRET": SECRET, "LOOPBACK": "true"}
    with Server(tmp_path / "data", {f"MLOPS_WEBHOOK_{name}": value for name, value in settings.items()}) as server:
        yield server


def refused(client: MLOps) -> None:
    dataset = client.datasets.upload(RAGGED, name="broken", filename="broken.csv", wait=False)
    until(lambda: client.datasets.get(dataset.version).status == "Rejected")


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alerts(client: MLOps, kind: str = "pipeline.failed") -> list[Alert]:
    return [alert for alert in client.monitoring.alerts() if alert.kind == kind]


def test_a_refused_table_is_told_and_measured(server: Server, receiver: WebhookReceiver) -> None:
    with server.client() as client:
        refused(client)
        until(lambda: receiver.requests)
        taken: list[Received] = receiver.take()
        assert [received.kind for received in taken] == ["pipeline.failed"]
        assert "broken:1" in taken[0].text
        until(lambda: alerts(client)[0].delivery == "Delivered")
        assert alerts(client)[0].attempts[-1].channel == "webhook"
        states = {alarm.alarm: alarm.state for alarm in client.monitoring.alarms()}
    assert states["dataset-broken-violations"] == "ALARM"
    assert states["dataset-broken-drift"] == "INSUFFICIENT_DATA"
    assert not [path for path in server.data_dir.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_what_nobody_takes_outlives_a_kill_and_alarms_go_on(server: Server, receiver: WebhookReceiver) -> None:
    with receiver.answering(503), server.client() as client:
        refused(client)
        until(lambda: alerts(client) and alerts(client)[0].attempts[-1].error != "no answer yet")
        [before] = alerts(client)
    assert (before.delivery, len(before.attempts)) == ("Pending", 1)
    assert before.attempts[0].error is not None
    assert "503" in before.attempts[0].error
    server.kill()
    server.start()
    with server.client() as client:
        assert alerts(client) == [before]
        until(lambda: alerts(client, "alarm"))
    until(lambda: receiver.requests)
    assert [received.kind for received in receiver.take()] == ["alarm"]
