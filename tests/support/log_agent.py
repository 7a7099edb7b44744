"""What CloudWatch Logs does with lines in the embedded metric format, which emulators leave out: it reads them by the
published specification and puts the metrics. What the specification forbids fails the test."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from mlops_api.adapters.aws.clients import Client

_SIZES = ("Kilo", "Mega", "Giga", "Tera")
_UNITS = {
    *("Seconds", "Microseconds", "Milliseconds"),
    *(
        f"{size}{what}{per}"
        for size in ("", "Kilo", "Mega", "Giga", "Tera")
        for what in ("bytes", "bits")
        for per in ("", "/Second")
    ),
    *("Bytes", "Bits", "Bytes/Second", "Bits/Second", "Percent", "Count", "Count/Second", "None"),
}
_DIRECTIVE = {"Namespace", "Dimensions", "Metrics"}
_DEFINITION = {"Name", "Unit", "StorageResolution"}
_MAX_LINE = 256 * 1024
_TWO_WEEKS = 14 * 86_400_000
_TWO_HOURS = 2 * 3_600_000

Datum = Mapping[str, Any]


class LogAgent:
    """Takes what a function prints."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.lines: list[str] = []

    def take(self, text: str) -> None:
        assert text.endswith("\n")
        for line in text.splitlines():
            self.lines.append(line)
            for namespace, datum in metrics_of(line):
                self._client.put_metric_data(Namespace=namespace, MetricData=[datum])


def metrics_of(line: str) -> Iterator[tuple[str, Datum]]:
    """(namespace, datum of PutMetricData) for every value and set of dimensions."""
    assert len(line.encode()) <= _MAX_LINE
    root = json.loads(line, parse_constant=_no_constant)
    metadata = root["_aws"]
    assert set(metadata) == {"Timestamp", "CloudWatchMetrics"}
    at = _time(metadata["Timestamp"])
    for directive in metadata["CloudWatchMetrics"]:
        assert set(directive) == _DIRECTIVE
        assert 1 <= len(directive["Namespace"]) <= 1024
        assert len(directive["Metrics"]) <= 100
        for names in _sets(directive["Dimensions"]):
            for definition in directive["Metrics"]:
                yield from _data(root, directive["Namespace"], names, definition, at)


def _data(
    root: Mapping[str, Any], namespace: str, names: list[str], definition: Mapping[str, Any], at: datetime
) -> Iterator[tuple[str, Datum]]:
    assert set(definition) <= _DEFINITION
    assert definition.get("Unit", "None") in _UNITS
    dimensions = [{"Name": name, "Value": _dimension(root[name])} for name in names]
    target = root[definition["Name"]]
    values = target if isinstance(target, list) else [target]
    assert 1 <= len(values) <= 100
    for value in values:
        assert type(value) in (int, float)
        assert math.isfinite(value)
        yield (
            namespace,
            {
                "MetricName": definition["Name"],
                "Dimensions": dimensions,
                "Timestamp": at,
                "Value": value,
                "Unit": definition.get("Unit", "None"),
            },
        )


def _sets(dimensions: Any) -> Iterator[list[str]]:
    assert isinstance(dimensions, list)
    assert dimensions
    for names in dimensions:
        assert len(names) <= 30
        assert len(set(names)) == len(names)
        yield names


def _dimension(value: Any) -> str:
    assert isinstance(value, str)
    assert 1 <= len(value) <= 1024
    assert value.isascii()
    return value


def _time(timestamp: Any) -> datetime:
    assert type(timestamp) is int
    age = time.time() * 1000 - timestamp
    assert -_TWO_HOURS <= age <= _TWO_WEEKS
    return datetime.fromtimestamp(timestamp / 1000, UTC)


def _no_constant(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")
