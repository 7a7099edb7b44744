"""The promises of ports.Notifier, on every adapter, and those of services.alerts over each of them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.domain.errors import BadRequest, Invalid, Unavailable
from mlops_api.ports import Notice
from mlops_api.services.alerts import AlertService
from tests.contract.conftest import sqlite_records
from tests.support.emulators import Emulators
from tests.support.notifiers import Outside, sns_outside, webhook_outside
from tests.support.platform import TestClock

NOTIFIERS: dict[str, Callable[[Emulators], AbstractContextManager[Outside]]] = {
    "webhook": lambda _: webhook_outside(),
    "moto": lambda emulators: sns_outside(emulators.moto),
    "ministack": lambda emulators: sns_outside(emulators.ministack),
}
NOTICE = Notice(
    key="training-failed-flights-1",
    kind="training.failed",
    severity="error",
    subject="Training of flights failed",
    body="Row 7, column delay: not a number.\nMend the file.",
    at="2026-11-22T19:45:01.123456Z",
    path="/training/jobs/flights-1",
)


@pytest.fixture(params=sorted(NOTIFIERS))
def outside(request: pytest.FixtureRequest, emulators: Emulators) -> Iterator[Outside]:
    with NOTIFIERS[request.param](emulators) as outside:
        yield outside


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteRecords]:
    with sqlite_records(tmp_path) as records:
        yield records


class TestOneAttempt:
    def test_the_whole_notice_arrives(self, outside: Outside) -> None:
        receipt = outside.notifier.send(NOTICE)
        assert receipt.channel
        [received] = outside.received(1)
        assert (received.key, received.kind, received.severity) == (NOTICE.key, NOTICE.kind, NOTICE.severity)
        assert (received.at, received.path) == (NOTICE.at, NOTICE.path)
        assert NOTICE.subject in received.text
        assert NOTICE.body in received.text

    def test_without_a_path(self, outside: Outside) -> None:
        outside.notifier.send(replace(NOTICE, path=None))
        assert outside.received(1)[0].path is None

    @pytest.mark.parametrize("subject", ["Verspätet: ä€𝄞", "é" * 200, "x" * 200, "  blanks  ", "ü"])
    def test_any_subject_arrives_whole(self, outside: Outside, subject: str) -> None:
        outside.notifier.send(replace(NOTICE, subject=subject, body="ä" * 20_000))
        [received] = outside.received(1)
        assert subject in received.text
        assert "ä" * 20_000 in received.text

    def test_a_repeat_has_the_same_key(self, outside: Outside) -> None:
        for _ in range(2):
            outside.notifier.send(NOTICE)
        assert [received.key for received in outside.received(2)] == [NOTICE.key] * 2

    def test_many_at_once(self, outside: Outside) -> None:
        keys = {f"key-{number}" for number in range(20)}
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: outside.notifier.send(replace(NOTICE, key=key)), keys))
        assert sorted(received.key for received in outside.received(20)) == sorted(keys)

    @pytest.mark.parametrize(
        "change",
        [
            {"key": ""},
            {"key": "with blank"},
            {"key": "a\nb"},
            {"key": "ä"},
            {"key": "k" * 201},
            {"kind": "a\r\nX-Header: b"},
            {"subject": ""},
            {"subject": "two\nlines"},
            {"subject": "x" * 201},
            {"body": "x" * 20_001},
        ],
    )
    def test_a_notice_out_of_bounds_is_refused(self, outside: Outside, change: dict[str, str]) -> None:
        with pytest.raises(BadRequest):
            outside.notifier.send(replace(NOTICE, **change))
        assert outside.received(0) == []

    def test_a_receiver_that_does_not_take_it_is_unavailable(self, outside: Outside) -> None:
        with outside.refusing(), pytest.raises(Unavailable):
            outside.notifier.send(NOTICE)
        outside.received(0)
        outside.notifier.send(NOTICE)
        assert len(outside.received(1)) == 1

    def test_what_can_never_arrive_says_which_setting_to_mend(self, outside: Outside) -> None:
        with pytest.raises(Invalid, match="MLOPS_"):
            outside.gone().send(NOTICE)
        assert outside.received(0) == []


class TestAlerts:
    def test_told_once_and_recorded(self, outside: Outside, store: SqliteRecords) -> None:
        alerts = AlertService(records=store, notifier=outside.notifier, clock=TestClock())
        for _ in range(3):
            alerts.tell(NOTICE)
            alerts.reconcile()
        assert [received.key for received in outside.received(1)] == [NOTICE.key]
        alert = alerts.get(NOTICE.key)
        assert (alert.delivery, alert.next_attempt_at) == ("Delivered", None)
        assert [attempt.error for attempt in alert.attempts] == [None]
        assert alert.attempts[0].channel

    def test_a_restart_goes_on_delivering(self, outside: Outside, store: SqliteRecords) -> None:
        clock = TestClock()
        with outside.refusing():
            AlertService(records=store, notifier=outside.notifier, clock=clock).tell(NOTICE)
        outside.received(0)
        restarted = AlertService(records=store, notifier=outside.notifier, clock=clock)
        restarted.reconcile()
        assert outside.received(0) == []
        clock.pass_time(minutes=2)
        restarted.reconcile()
        assert [received.key for received in outside.received(1)] == [NOTICE.key]
        alert = restarted.get(NOTICE.key)
        assert alert.delivery == "Delivered"
        assert [attempt.error is None for attempt in alert.attempts] == [False, True]
