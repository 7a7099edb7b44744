"""State changes as EventBridge delivers them: at least once, several per change, in AWS's JSON."""

import json
import queue
import threading
import time
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.sagemaker_server.options import EventSink

_ATTEMPTS = 5
_PAUSE = 0.05


def epoch_milliseconds(moment: datetime | None) -> str | None:
    """Times inside SageMaker's events are epoch milliseconds written as text."""
    return None if moment is None else str(round(moment.timestamp() * 1000))


def posted(url: str) -> EventSink:
    """A sink that POSTs each event as JSON; an answer other than 2xx makes it come again."""

    def post(event: Mapping[str, Any]) -> None:
        httpx.post(url, json=event, timeout=10).raise_for_status()

    return post


def event_bus(client: Any) -> EventSink:
    """A sink that hands each event to EventBridge with PutEvents.

    AWS refuses the source `aws.sagemaker` from anyone but itself; emulators take it. Raises RuntimeError when an
    entry is refused.
    """

    def put(event: Mapping[str, Any]) -> None:
        entry = {
            "Source": event["source"],
            "DetailType": event["detail-type"],
            "Detail": json.dumps(event["detail"]),
            "Resources": event["resources"],
        }
        answer = client.put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise RuntimeError(f"PutEvents refused: {answer['Entries']}")

    return put


class EventSender:
    """Delivers events in order from one thread, each up to five times. `sent` holds what was delivered."""

    def __init__(self, region: str, account: str, sink: EventSink | None, copies: int) -> None:
        self.sent: list[dict[str, Any]] = []
        self.undelivered: list[tuple[dict[str, Any], Exception]] = []
        self._region, self._account, self._sink, self._copies = region, account, sink, copies
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._deliver_all, name="sagemaker-events", daemon=True)
        self._thread.start()

    def send(self, detail_type: str, arn: str, detail: Mapping[str, Any]) -> None:
        """Queue `events_per_change` events; members that are None are left out."""
        for _ in range(self._copies):
            self._queue.put(self._event(detail_type, arn, detail))

    def settle(self) -> None:
        """Wait until everything queued so far was delivered or given up."""
        self._queue.join()

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _event(self, detail_type: str, arn: str, detail: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": "aws.sagemaker",
            "account": self._account,
            "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._region,
            "resources": [arn],
            "detail": _plain({name: value for name, value in detail.items() if value is not None}),
        }

    def _deliver_all(self) -> None:
        while (event := self._queue.get()) is not None:
            try:
                self._deliver(event)
            finally:
                self._queue.task_done()
        self._queue.task_done()

    def _deliver(self, event: dict[str, Any]) -> None:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                if self._sink is not None:
                    self._sink(event)
            except Exception as error:  # noqa: BLE001 - whatever the receiver raises, EventBridge tries again
                if attempt == _ATTEMPTS:
                    self.undelivered.append((event, error))
                    return
                time.sleep(_PAUSE * attempt)
            else:
                self.sent.append(event)
                return


def _plain(value: Any) -> Any:
    """JSON values only: times become epoch milliseconds."""
    if isinstance(value, datetime):
        return epoch_milliseconds(value)
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items() if each is not None}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
