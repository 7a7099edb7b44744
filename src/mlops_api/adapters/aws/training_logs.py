"""What containers print, from CloudWatch Logs.

Lines come in the order of their times, those of several hosts mixed. A cursor is the time of the last line that
was read and how many lines of that millisecond were: lines that CloudWatch takes in late, with a time that was
already passed, are not shown to a reader that follows. One beginning at 0 sees them.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.errors import code_of, translated
from mlops_api.ports import LogChunk, MetricValue
from mlops_contracts.metrics import read_metrics

TRAINING_GROUP: Final = "/aws/sagemaker/TrainingJobs"
MAX_LINE: Final = 8192
_EPOCH: Final = int(datetime(2020, 1, 1, tzinfo=UTC).timestamp() * 1000)
_PER_MILLISECOND: Final = 10_000
"""With this many cursors for each millisecond since 2020 they stay below 2**53, what a browser can count to."""

_MOST_EVENTS: Final = 10_000
_LOG_CALLS: Final = 4
_METRIC_CALLS: Final = 12
"""Bounds on the calls for one answer, which has to come before API Gateway gives up."""

Event = Mapping[str, Any]


class TrainingLogs:
    """Logs of training jobs: streams `{job}/algo-{n}-{time}` of one group."""

    def __init__(self, clients: AwsClients) -> None:
        self._clients = clients

    def read(self, job: str, after: int, limit: int) -> LogChunk:
        """At most `limit` lines behind the cursor; none for a job that has not printed, or that there never was."""
        start, seen = _position(after)
        lines: list[str] = []
        cursor = after
        wanted = min(limit + seen, _MOST_EVENTS)
        for time, number, line in _numbered(self._events(job, _LOG_CALLS, startTime=start, limit=wanted)):
            if (time, number) <= (start, seen):
                continue
            lines.append(line)
            cursor = _cursor(time, number)
            if len(lines) == limit:
                break
        return LogChunk(lines, cursor)

    def metrics(self, job: str) -> Sequence[MetricValue]:
        """Every value in order; a round that was repeated after an interruption counts once, as it was repeated."""
        found: dict[tuple[str, int | str], MetricValue] = {}
        for event in self._events(job, _METRIC_CALLS, filterPattern='"#metric"'):
            values = dict(read_metrics(event["message"]))
            step = int(values.pop("round")) if "round" in values else None
            for name, value in values.items():
                found[name, f"at {len(found)}" if step is None else step] = MetricValue(name, value, step)
        return list(found.values())

    def _events(self, job: str, calls: int, **request: Any) -> Iterator[Event]:
        return log_events(self._clients, TRAINING_GROUP, f"{job}/", calls, **request)


def log_events(clients: AwsClients, group: str, prefix: str, calls: int, **request: Any) -> Iterator[Event]:
    """Events of the streams that begin with `prefix`, by time, in at most so many calls; none without the group."""
    token: str | None = None
    for _ in range(calls):
        page = _page(clients, group, prefix, request | ({"nextToken": token} if token else {}))
        yield from page["events"]
        token = page.get("nextToken")
        if not token:
            return


def _page(clients: AwsClients, group: str, prefix: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
    with translated(f"The log {group} cannot be read"):
        try:
            streams = {"logStreamNamePrefix": prefix} if prefix else {}
            page: Mapping[str, Any] = clients.logs.filter_log_events(logGroupName=group, **streams, **request)
        except ClientError as error:
            if code_of(error) == "ResourceNotFoundException":
                return {"events": []}
            raise
    return page


def _numbered(events: Iterator[Event]) -> Iterator[tuple[int, int, str]]:
    """(milliseconds, number from 1 inside that millisecond, line)."""
    time, number = -1, 0
    for event in events:
        number = number + 1 if event["timestamp"] == time else 1
        time = event["timestamp"]
        yield time, number, event["message"].rstrip("\r\n")[:MAX_LINE]


def _position(cursor: int) -> tuple[int, int]:
    """Milliseconds since 1970, and how many lines of that millisecond were read."""
    if cursor <= 0:
        return 0, 0
    milliseconds, seen = divmod(cursor, _PER_MILLISECOND)
    return _EPOCH + milliseconds, seen


def _cursor(time: int, number: int) -> int:
    return (time - _EPOCH) * _PER_MILLISECOND + min(number, _PER_MILLISECOND - 1)
