"""Alerts, each delivered at least once: recorded first, then sent, again and again until it was taken.

    add `entry` to the write of what happened, then `push`      nothing is lost between the two
    `tell`                                                      where nothing is written but the alert
    `reconcile`                                                 sends what is due: at start, and on a schedule

An attempt is recorded before it is made, so that no two are under way; one that a crash cut off is made again. The
record tells of every attempt. The same key is told of once, however often it is asked for.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import takewhile

from mlops_api.domain.alerts import Alert, AlertPage, DeliveryAttempt, DeliveryStatus
from mlops_api.domain.errors import AlreadyExists, PlatformError, RevisionMismatch
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import Index, Notice, Notifier, Place, Put, RecordStore
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.repair import each

ALERTS = "alert"
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 300, 600, 840, 1200, 1440))
"""After each failed attempt: three days in all. After one more it is Failed."""

_KEPT = timedelta(days=400)
_CUT_OFF = "no answer yet"

_LOG = logging.getLogger(__name__)


def alert_collection(records: RecordStore) -> Collection[Alert]:
    def places(alert: Alert) -> Mapping[Index, Place]:
        return {
            "all": Place(ALERTS, alert.at),
            "status": Place(f"{ALERTS}/{alert.delivery}", alert.next_attempt_at or alert.at),
        }

    return Collection(records, ALERTS, Alert, what="alert", key=lambda alert: alert.alert, places=places)


class AlertService:
    def __init__(self, *, records: RecordStore, notifier: Notifier, clock: Clock) -> None:
        self._records = records
        self._notifier = notifier
        self._clock = clock
        self._alerts = alert_collection(records)

    def entry(self, notice: Notice) -> Put:
        """The write to add to what happened; push it once that has succeeded. A key that was told of before makes the
        whole write fail with AlreadyExists."""
        alert = Alert(
            alert=notice.key,
            kind=notice.kind,
            severity=notice.severity,
            subject=notice.subject,
            body=notice.body,
            path=notice.path,
            at=notice.at,
            next_attempt_at=rfc3339(self._clock()),
        )
        return self._alerts.to_put(Stored(alert, 0), expires_at=int((self._clock() + _KEPT).timestamp()))

    def push(self, key: str) -> None:
        """Send it now, if it is due. What fails is recorded and logged; `reconcile` tries again."""
        try:
            self._attempt(key)
        except PlatformError as error:
            _LOG.warning("alert %s is recorded but was not sent yet: %s", key, error.detail)

    def tell(self, notice: Notice) -> None:
        """Record it and send it; nothing when this key was told of before."""
        try:
            self._records.write([self.entry(notice)])
        except AlreadyExists:
            return
        self.push(notice.key)

    def reconcile(self) -> None:
        """Send whatever is due."""
        now = self._clock()
        due = takewhile(lambda alert: _due(alert, now), self._alerts.every("status", f"{ALERTS}/Pending"))
        each([alert.alert for alert in due], self._attempt)

    def get(self, key: str) -> Alert:
        """Raises NotFound."""
        return self._alerts.get(key).value

    def page(self, *, delivery: DeliveryStatus | None, limit: int, token: str | None) -> AlertPage:
        """Newest first; of one delivery status by the time at which it is due or was told."""
        index: Index = "status" if delivery else "all"
        page = self._alerts.page(index, f"{ALERTS}/{delivery}" if delivery else ALERTS, limit=limit, token=token)
        return AlertPage(alerts=list(page.values), next_token=page.next_token)

    # ---- one attempt

    def _attempt(self, key: str) -> None:
        claimed = self._claim(key)
        if claimed is None:
            return
        try:
            receipt = self._notifier.send(_notice(claimed.value))
        except PlatformError as error:
            self._record(claimed, _end(claimed.value, "Pending", error=error.detail))
            _LOG.warning("alert %s was not delivered: %s", key, error.detail)
            return
        self._record(claimed, _end(claimed.value, "Delivered", channel=receipt.channel, reference=receipt.reference))

    def _claim(self, key: str) -> Stored[Alert] | None:
        """Record that an attempt begins; None when none is due, or another has just begun one."""
        stored = self._alerts.find(key)
        now = self._clock()
        if stored is None or not _due(stored.value, now):
            return None
        begun = DeliveryAttempt(at=rfc3339(now), error=_CUT_OFF)
        attempts = [*stored.value.attempts, begun]
        pause = PAUSES[min(len(attempts), len(PAUSES)) - 1]
        claimed = stored.value.model_copy(update={"attempts": attempts, "next_attempt_at": rfc3339(now + pause)})
        try:
            return self._alerts.save(stored.with_value(claimed))
        except RevisionMismatch:
            return None

    def _record(self, claimed: Stored[Alert], ended: Alert) -> None:
        try:
            self._alerts.save(claimed.with_value(ended))
        except RevisionMismatch:
            _LOG.info("alert %s was attempted again meanwhile", ended.alert)


def _due(alert: Alert, now: datetime) -> bool:
    return alert.delivery == "Pending" and (alert.next_attempt_at or "") <= rfc3339(now)


def _end(alert: Alert, delivery: DeliveryStatus, **outcome: str) -> Alert:
    """How the last attempt went; a failed one is the last when no pause is left after it."""
    last = DeliveryAttempt.model_validate({"at": alert.attempts[-1].at} | outcome)
    over = delivery == "Pending" and len(alert.attempts) > len(PAUSES)
    ended: dict[str, object] = {"attempts": [*alert.attempts[:-1], last], "delivery": "Failed" if over else delivery}
    if delivery == "Delivered" or over:
        ended["next_attempt_at"] = None
    return alert.model_copy(update=ended)


def _notice(alert: Alert) -> Notice:
    return Notice(alert.alert, alert.kind, alert.severity, alert.subject, alert.body, alert.at, alert.path)
