"""A metric over time, as it is shown: the statistic over each period, those without points left out."""

from datetime import timedelta

from mlops_api.domain.errors import BadRequest
from mlops_api.domain.monitoring import MetricValues, PeriodPoint, Statistic
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import Metric, MetricSink


class MetricSeries:
    def __init__(self, *, metrics: MetricSink, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock

    def of(self, metric: str, dimensions: str, *, statistic: Statistic, hours: int, period: int) -> MetricValues:
        """The last `hours`, in periods of so many seconds. Raises BadRequest, saying which periods can be had."""
        asked = Metric(metric, parse_dimensions(dimensions))
        now = self._clock()
        found = self._metrics.series(
            asked, start=now - timedelta(hours=hours), end=now, period=period, statistic=statistic
        )
        return MetricValues(
            metric=metric,
            dimensions=dict(asked.dimensions),
            statistic=statistic,
            period_seconds=period,
            points=[PeriodPoint(at=rfc3339(each.at), value=each.value) for each in found],
        )


def parse_dimensions(text: str) -> dict[str, str]:
    """`dataset=flights,metric=auc`; empty: none. Raises BadRequest."""
    pairs = [pair.partition("=") for pair in text.split(",")] if text else []
    found = {name.strip(): value.strip() for name, _, value in pairs}
    if len(found) < len(pairs) or not all(name and value for name, value in found.items()):
        raise BadRequest(f"{text[:80]!r} are no dimensions. Write name=value, such as dataset=flights, each name once.")
    return found
