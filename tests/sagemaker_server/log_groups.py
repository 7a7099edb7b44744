"""CloudWatch Logs: what containers print, readable as `logs` serves it.

/aws/sagemaker/TrainingJobs       JOB/algo-1-EPOCH
/aws/sagemaker/ProcessingJobs     JOB/algo-1-EPOCH
/aws/sagemaker/TransformJobs      JOB/INSTANCE and JOB/INSTANCE/data-log
/aws/sagemaker/Endpoints/NAME     VARIANT/INSTANCE
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.sagemaker_server.pages import page
from tests.sagemaker_server.refusals import Refusal, ResourceNotFound

MAX_EVENT_BYTES = 262_118
"""Where the log driver of containers splits a line."""

_MAX_PAGE_BYTES = 1 << 20
_EVENT_OVERHEAD = 26


@dataclass(frozen=True)
class LogEvent:
    """Times are epoch milliseconds."""

    timestamp: int
    message: str


@dataclass
class LogStream:
    """Append-only; readers see a prefix of what was written."""

    group: str
    name: str
    arn: str
    created: int
    events: list[LogEvent] = field(default_factory=list)

    def append(self, line: str) -> None:
        """Store one line without its end; empty lines are dropped, as the log driver does."""
        data = line.encode()
        for start in range(0, len(data), MAX_EVENT_BYTES):
            text = data[start : start + MAX_EVENT_BYTES].decode("utf-8", "replace")
            self.events.append(LogEvent(milliseconds(), text))


def milliseconds() -> int:
    return round(time.time() * 1000)


class LogGroups:
    """All streams of one server. Safe to use from many threads."""

    def __init__(self, region: str, account: str) -> None:
        self._arn = f"arn:aws:logs:{region}:{account}:log-group"
        self._groups: dict[str, dict[str, LogStream]] = {}
        self._lock = threading.Lock()
        self.operations: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "GetLogEvents": self._get_log_events,
            "DescribeLogStreams": self._describe_log_streams,
            "FilterLogEvents": self._filter_log_events,
        }

    def stream(self, group: str, name: str) -> LogStream:
        """The stream of that name, made when it does not exist."""
        with self._lock:
            streams = self._groups.setdefault(group, {})
            if name not in streams:
                arn = f"{self._arn}:{group}:log-stream:{name}"
                streams[name] = LogStream(group, name, arn, milliseconds())
            return streams[name]

    def lines(self, group: str, prefix: str = "") -> list[str]:
        """Everything printed below a stream prefix, for tests."""
        with self._lock:
            streams = self._groups.get(group, {}).values()
            return [each.message for stream in streams if stream.name.startswith(prefix) for each in stream.events]

    def _streams(self, params: Mapping[str, Any]) -> dict[str, LogStream]:
        with self._lock:
            if params["logGroupName"] not in self._groups:
                raise ResourceNotFound("The specified log group does not exist.", "ResourceNotFoundException")
            return dict(self._groups[params["logGroupName"]])

    # ---------------------------------------------------------------- operations

    def _describe_log_streams(self, params: Mapping[str, Any]) -> dict[str, Any]:
        prefix = params.get("logStreamNamePrefix", "")
        if prefix and params.get("orderBy") == "LastEventTime":
            raise Refusal("InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")
        streams = [each for name, each in sorted(self._streams(params).items()) if name.startswith(prefix)]
        if params.get("orderBy") == "LastEventTime":
            streams.sort(key=lambda each: each.events[-1].timestamp if each.events else 0)
        if params.get("descending"):
            streams.reverse()
        query = {"MaxResults": params.get("limit", 50), "NextToken": params.get("nextToken")}
        chosen, token = page(streams, query, lambda each: each.name)
        return {"logStreams": [_description(each) for each in chosen], "nextToken": token}

    def _get_log_events(self, params: Mapping[str, Any]) -> dict[str, Any]:
        stream = self._streams(params).get(params["logStreamName"])
        if stream is None:
            raise ResourceNotFound("The specified log stream does not exist.", "ResourceNotFoundException")
        events, limit = list(stream.events), params.get("limit", 10_000)
        start, end = _window(events, params, limit)
        return {
            "events": [_event(each) for each in events[start:end]],
            # At the end of a stream the token is the one that was sent: this is how callers know.
            "nextForwardToken": f"f/{end:056d}/s",
            "nextBackwardToken": f"b/{start:056d}/s",
        }

    def _filter_log_events(self, params: Mapping[str, Any]) -> dict[str, Any]:
        phrase = _phrase(params.get("filterPattern", '""'))
        prefix, names = params.get("logStreamNamePrefix", ""), params.get("logStreamNames")
        found = [
            (each.timestamp, name, place, each.message)
            for name, stream in self._streams(params).items()
            if name.startswith(prefix) and (names is None or name in names)
            for place, each in enumerate(list(stream.events))
            if params.get("startTime", 0) <= each.timestamp <= params.get("endTime", 1 << 62) and phrase in each.message
        ]
        query = {"MaxResults": params.get("limit", 10_000), "NextToken": params.get("nextToken")}
        chosen, token = page(sorted(found), query, lambda each: f"{each[1]}:{each[2]}")
        return {"events": [_filtered(*each) for each in chosen], "nextToken": token}


def _phrase(pattern: str) -> str:
    """The words of a filter pattern that is one quoted phrase; other patterns are not served."""
    if len(pattern) < 2 or pattern[0] != '"' or pattern[-1] != '"' or '"' in pattern[1:-1]:
        raise Refusal("NotServedHere", f"The SageMaker test server does not serve the filter pattern {pattern}.", 501)
    return pattern[1:-1]


def _window(events: Sequence[LogEvent], params: Mapping[str, Any], limit: int) -> tuple[int, int]:
    """First and last place of a page: forward from a token, backward from one, or from either end."""
    token = params.get("nextToken")
    if token is None:
        if params.get("startFromHead"):
            return 0, _forward(events, 0, limit)
        return max(0, len(events) - limit), len(events)
    direction, place = _token(token)
    if direction == "f":
        start = min(place, len(events))
        return start, _forward(events, start, limit)
    return max(0, place - limit), place


def _token(token: str) -> tuple[str, int]:
    direction, _, rest = token.partition("/")
    digits = rest.removesuffix("/s")
    if direction not in ("f", "b") or not digits.isdigit():
        raise Refusal("InvalidParameterException", "The specified nextToken is invalid.")
    return direction, int(digits)


def _forward(events: Sequence[LogEvent], start: int, limit: int) -> int:
    """Place behind the page that begins at `start`: at most `limit` events and 1 MB."""
    size, end = 0, start
    while end < len(events) and end - start < limit:
        size += len(events[end].message.encode()) + _EVENT_OVERHEAD
        if size > _MAX_PAGE_BYTES and end > start:
            break
        end += 1
    return end


def _event(event: LogEvent) -> dict[str, Any]:
    return {"timestamp": event.timestamp, "message": event.message, "ingestionTime": event.timestamp}


def _filtered(timestamp: int, stream: str, place: int, message: str) -> dict[str, Any]:
    return {
        "logStreamName": stream,
        "timestamp": timestamp,
        "message": message,
        "ingestionTime": timestamp,
        "eventId": f"{timestamp:020d}{place:036d}",
    }


def _description(stream: LogStream) -> dict[str, Any]:
    times = [each.timestamp for each in stream.events]
    return {
        "logStreamName": stream.name,
        "creationTime": stream.created,
        "arn": stream.arn,
        "storedBytes": 0,
        "firstEventTimestamp": times[0] if times else None,
        "lastEventTimestamp": times[-1] if times else None,
        "lastIngestionTime": times[-1] if times else None,
    }
