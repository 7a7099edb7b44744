"""Points as lines of CloudWatch's embedded metric format, which CloudWatch Logs makes metrics of.

    {"_aws": {"Timestamp": <ms>, "CloudWatchMetrics": [{"Namespace", "Dimensions": [[names]], "Metrics": [...]}]},
     <dimension>: <value>, <metric>: <numbers>}

A line has the points of one moment and one set of dimensions: at most 100 metrics, each of at most 100 values.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from mlops_api.domain.monitoring import Unit
from mlops_api.ports import Point

MAX_METRICS: Final = 100
MAX_VALUES: Final = 100

_Member = tuple[str, Unit, list[float]]


def embedded_lines(namespace: str, points: Sequence[Point]) -> Iterator[str]:
    """The lines, without their ends. Every point is in one of them."""
    groups: dict[tuple[int, tuple[tuple[str, str], ...]], list[Point]] = {}
    for point in points:
        dimensions = tuple(sorted(point.metric.dimensions.items()))
        groups.setdefault((_milliseconds(point.at), dimensions), []).append(point)
    for (timestamp, dimensions), group in groups.items():
        for members in _packed(group):
            yield orjson.dumps(_document(namespace, timestamp, dict(dimensions), members)).decode()


def _packed(points: Iterable[Point]) -> Iterator[list[_Member]]:
    """Into lists that one line each can take: a name is once in a line, with one unit."""
    lines: list[dict[str, _Member]] = []
    for point in points:
        name, unit = point.metric.name, point.unit
        line = next((line for line in lines if _has_room(line, name, unit)), None)
        if line is None:
            lines.append(line := {})
        line.setdefault(name, (name, unit, []))[2].append(point.value)
    for line in lines:
        yield list(line.values())


def _has_room(line: Mapping[str, _Member], name: str, unit: Unit) -> bool:
    if name not in line:
        return len(line) < MAX_METRICS
    _, used, values = line[name]
    return used == unit and len(values) < MAX_VALUES


def _document(
    namespace: str, timestamp: int, dimensions: Mapping[str, str], members: Sequence[_Member]
) -> Mapping[str, Any]:
    directive = {
        "Namespace": namespace,
        "Dimensions": [list(dimensions)],
        "Metrics": [{"Name": name, "Unit": unit} for name, unit, _ in members],
    }
    metadata = {"Timestamp": timestamp, "CloudWatchMetrics": [directive]}
    return {"_aws": metadata, **dimensions, **{name: values for name, _, values in members}}


def _milliseconds(moment: datetime) -> int:
    return int(moment.replace(microsecond=0).timestamp()) * 1000 + moment.microsecond // 1000
