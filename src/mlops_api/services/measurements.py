"""Points the platform writes of itself. What cannot be measured is logged: it must not undo what it tells of."""

import logging
from collections.abc import Sequence

from mlops_api.domain.errors import PlatformError
from mlops_api.ports import MetricSink, Point

_LOG = logging.getLogger(__name__)


class Measurements:
    def __init__(self, sink: MetricSink) -> None:
        self._sink = sink

    def record(self, points: Sequence[Point]) -> None:
        """Once what they tell of is written. Points that a crash cuts off are lost."""
        try:
            self._sink.write(points)
        except PlatformError as error:
            names = ", ".join(sorted({point.metric.name for point in points}))
            _LOG.warning("%s could not be recorded: %s", names, error.detail)
