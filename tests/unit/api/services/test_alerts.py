"""Alerts: nothing that was recorded goes untold, and nothing is told twice without need."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from mlops_api.domain.alerts import Alert
from mlops_api.domain.errors import AlreadyExists, NotFound
from mlops_api.ports import Notice, Receipt
from mlops_api.services.alerts import PAUSES, AlertService
from tests.support.manual_notifier import ManualNotifier
from tests.support.platform import ANN, World, at_once, world

NOTICE = Notice(
    "key-1", "training.failed", "error", "It failed", "Why", "2026-11-22T12:00:00.000000Z", "/training/jobs/a"
)


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as it:
        yield it


def alert(w: World, key: str = "key-1") -> Alert:
    return w.platform.alerts.get(key)


def service(w: World, notifier: ManualNotifier) -> AlertService:
    return AlertService(records=w.records, notifier=notifier, clock=w.clock)


class TestDelivery:
    def test_all_of_the_notice_comes_through_the_record(self, w: World) -> None:
        w.platform.alerts.tell(NOTICE)
        assert w.notifier.taken == [NOTICE]

    def test_the_second_of_a_key_is_not_told(self, w: World) -> None:
        for _ in range(2):
            w.platform.alerts.tell(NOTICE)
        assert len(w.notifier.taken) == 1

    def test_each_attempt_and_its_error_are_on_record(self, w: World) -> None:
        w.notifier.down = True
        w.platform.alerts.tell(NOTICE)
        [attempt] = alert(w).attempts
        assert attempt.error == "The receiver is down."
        assert alert(w).delivery == "Pending"

    def test_an_unknown_key_is_not_found(self, w: World) -> None:
        with pytest.raises(NotFound, match="key-2"):
            w.platform.alerts.get("key-2")

    def test_an_entry_fails_the_whole_write_when_its_key_was_told_of(self, w: World) -> None:
        w.platform.alerts.tell(NOTICE)
        with pytest.raises(AlreadyExists):
            w.records.write([w.platform.alerts.entry(NOTICE)])


class TestRetries:
    def test_pauses_grow_and_end_in_failed_after_three_days(self, w: World) -> None:
        w.notifier.down = True
        w.platform.alerts.tell(NOTICE)
        for made, pause in enumerate(PAUSES, start=1):
            w.clock.pass_time(seconds=pause.total_seconds() - 1)
            w.platform.alerts.reconcile()
            assert len(alert(w).attempts) == made
            w.clock.pass_time(seconds=2)
            w.platform.alerts.reconcile()
            assert len(alert(w).attempts) == made + 1
        assert alert(w).delivery == "Failed"
        assert timedelta(days=3) <= sum(PAUSES, timedelta()) < timedelta(days=4)
        w.clock.pass_time(days=10)
        w.notifier.down = False
        w.platform.alerts.reconcile()
        assert w.notifier.taken == []

    def test_one_that_fails_does_not_keep_the_others_waiting(self, w: World) -> None:
        w.notifier.down = True
        for number in range(5):
            w.platform.alerts.tell(replace(NOTICE, key=f"key-{number}"))
        w.notifier.down = False
        w.clock.pass_time(minutes=2)
        w.platform.alerts.reconcile()
        assert {notice.key for notice in w.notifier.taken} == {f"key-{number}" for number in range(5)}

    def test_an_attempt_that_a_crash_cut_off_is_made_again(self, w: World) -> None:
        class Killed(ManualNotifier):
            def send(self, notice: Notice) -> Receipt:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            service(w, Killed()).tell(NOTICE)
        w.platform.alerts.reconcile()
        assert w.notifier.taken == []
        w.clock.pass_time(minutes=2)
        w.platform.alerts.reconcile()
        assert [notice.key for notice in w.notifier.taken] == ["key-1"]
        assert [attempt.error for attempt in alert(w).attempts] == ["no answer yet", None]

    def test_a_crash_between_the_write_and_the_push_loses_nothing(self, w: World) -> None:
        w.records.write([w.platform.alerts.entry(NOTICE)])
        w.platform.alerts.reconcile()
        assert [notice.key for notice in w.notifier.taken] == ["key-1"]

    def test_of_many_that_push_at_once_one_sends(self, w: World) -> None:
        w.records.write([w.platform.alerts.entry(NOTICE)])
        at_once(*[lambda: w.platform.alerts.push("key-1")] * 8)
        assert len(w.notifier.taken) == 1
        assert len(alert(w).attempts) == 1


class TestFailedTraining:
    def test_is_told_with_reason_and_path(self, w: World) -> None:
        job = w.start(w.ready().version).job
        w.training.end(job, "Failed", "row 7: not a number")
        w.tell("training", job)
        [notice] = w.notifier.taken
        assert (notice.kind, notice.path) == ("training.failed", f"/training/jobs/{job}")
        assert "row 7: not a number" in notice.body
        assert "ann" in notice.body

    def test_is_told_once_however_often_the_event_comes(self, w: World) -> None:
        job = w.start(w.ready().version).job
        w.training.end(job, "Failed", "row 7")
        at_once(*[lambda: w.tell("training", job)] * 8)
        assert len(w.notifier.taken) == 1

    def test_is_told_later_when_nobody_listens_now(self, w: World) -> None:
        w.notifier.down = True
        job = w.start(w.ready().version).job
        w.training.end(job, "Failed", "row 7")
        w.tell("training", job)
        assert w.platform.training.get(job).status == "Failed"
        w.notifier.down = False
        w.clock.pass_time(minutes=2)
        w.platform.reconcile()
        assert len(w.notifier.taken) == 1

    def test_a_bundle_that_cannot_be_registered_is_told_too(self, w: World) -> None:
        job = w.start(w.ready().version).job
        w.training.end(job, "Completed")
        w.tell("training", job)
        assert [notice.kind for notice in w.notifier.taken] == ["training.failed"]

    def test_success_and_stopping_are_not_told(self, w: World) -> None:
        w.trained()
        job = w.start("flights:1").job
        w.platform.training.stop(ANN, job)
        w.training.end(job, "Stopped")
        w.tell("training", job)
        assert w.notifier.taken == []
