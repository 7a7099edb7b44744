"""What every MetricSink refuses, so that adapters agree on it. All of it is what CloudWatch refuses."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, get_args

from mlops_api.domain.errors import BadRequest
from mlops_api.domain.monitoring import Comparison, Statistic, Unit
from mlops_api.ports import Alarm, Metric, Point

MAX_POINTS: Final = 1000
MAX_PERIODS: Final = 1440
MAX_ALARMS: Final = 100
DAY: Final = 86_400
HOUR: Final = 3600

_MAX_DIMENSIONS = 30
_MAX_VALUE = 2.0**360
_MAX_DESCRIPTION = 1024
_TEXT = re.compile(r"(?=.*\S)[ -~]{1,255}")
_ALARM_NAME = re.compile(r"[!-~]{1,140}")
_OLDEST = timedelta(days=14)
_NEWEST = timedelta(hours=2)
_COARSER = ((timedelta(days=63), HOUR), (timedelta(days=15), 300))


def check_points(points: Sequence[Point], now: datetime) -> None:
    """Raises BadRequest as ports.Point and MetricSink.write say."""
    if len(points) > MAX_POINTS:
        raise BadRequest(f"One write holds at most {MAX_POINTS} points, not {len(points)}. Write them in turns.")
    for point in points:
        _check_point(point, now)


def check_metric(metric: Metric) -> None:
    names = [metric.name, *metric.dimensions]
    if len(metric.dimensions) > _MAX_DIMENSIONS:
        raise BadRequest(f"A metric has at most {_MAX_DIMENSIONS} dimensions, not {len(metric.dimensions)}.")
    for text in [*names, *metric.dimensions.values()]:
        if not _TEXT.fullmatch(text):
            raise BadRequest(f"{text[:80]!a} cannot stand in a metric: 1 to 255 printable ASCII characters can.")
    for name in names:
        if name.startswith((":", "_aws")):
            raise BadRequest(f"{name[:80]!r} cannot name a metric or dimension: it begins with a colon or _aws.")
    if metric.name in metric.dimensions:
        raise BadRequest(f"{metric.name!r} names the metric and a dimension of it. Name one otherwise.")


def check_series(start: datetime, end: datetime, period: int, statistic: str, now: datetime) -> None:
    """Raises BadRequest as MetricSink.series says."""
    _check_period(period)
    _check_word(statistic, get_args(Statistic), "statistic")
    if start >= end:
        raise BadRequest("A series ends after it starts.")
    periods = (end - aligned(start, period)).total_seconds() / period
    if periods > MAX_PERIODS:
        raise BadRequest(f"{math.ceil(periods)} periods are too many: at most {MAX_PERIODS}. Ask for a longer period.")
    for age, multiple in _COARSER:
        if now - start > age and period % multiple:
            raise BadRequest(f"Over {age.days} days back the period is a multiple of {multiple} seconds.")


def check_alarm(alarm: Alarm) -> None:
    """Raises BadRequest as ports.Alarm says."""
    check_alarm_name(alarm.alarm)
    check_metric(alarm.metric)
    _check_period(alarm.period)
    _check_word(alarm.statistic, get_args(Statistic), "statistic")
    _check_word(alarm.comparison, get_args(Comparison), "comparison")
    _check_value(alarm.threshold)
    if not 1 <= alarm.datapoints_to_alarm <= alarm.evaluation_periods:
        raise BadRequest("datapoints_to_alarm is at least 1 and at most evaluation_periods.")
    longest = DAY if alarm.period < HOUR else 7 * DAY
    if alarm.period * alarm.evaluation_periods > longest:
        raise BadRequest(f"All periods of {alarm.alarm} together are at most {longest} seconds.")
    if len(alarm.description) > _MAX_DESCRIPTION:
        raise BadRequest(f"An alarm's description has at most {_MAX_DESCRIPTION} characters.")


def check_alarm_name(name: str) -> None:
    if not _ALARM_NAME.fullmatch(name):
        raise BadRequest(f"{name[:80]!a} cannot name an alarm: 1 to 140 printable ASCII characters without blanks can.")


def check_alarm_page(limit: int) -> None:
    if not 1 <= limit <= MAX_ALARMS:
        raise BadRequest(f"limit is {limit}; it must be between 1 and {MAX_ALARMS}.")


def aligned(moment: datetime, period: int) -> datetime:
    """The beginning of the period that the moment lies in."""
    epoch = moment.timestamp()
    return datetime.fromtimestamp(epoch - epoch % period, UTC)


def _check_point(point: Point, now: datetime) -> None:
    check_metric(point.metric)
    _check_word(point.unit, get_args(Unit), "unit")
    _check_value(point.value)
    if not now - _OLDEST <= point.at <= now + _NEWEST:
        raise BadRequest(
            f"{point.metric.name} of {point.at}: a point is at most 14 days old, and at most 2 hours ahead."
        )


def _check_value(value: float) -> None:
    if not (math.isfinite(value) and abs(value) <= _MAX_VALUE):
        raise BadRequest(f"{value} is no value of a metric: it must be finite, and at most 2**360.")


def _check_period(period: int) -> None:
    if period % 60 or not 60 <= period <= DAY:
        raise BadRequest(f"A period is a multiple of 60 seconds, at most {DAY}; not {period}.")


def _check_word(word: str, known: Sequence[str], what: str) -> None:
    if word not in known:
        raise BadRequest(f"{word[:80]!r} is no {what}: {', '.join(known)} are.")
