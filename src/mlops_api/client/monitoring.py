"""`client.monitoring`: alarms, and what people were told."""

from collections.abc import Mapping

from mlops_api.client import calls
from mlops_api.client.effects import Flow, Items
from mlops_api.client.resource import M, Resource, listing, operation
from mlops_api.domain.alerts import Alert, AlertPage, DeliveryStatus
from mlops_api.domain.monitoring import AlarmView, AlarmViewPage, MetricValues, Statistic


class Monitoring(Resource[M]):
    @listing
    def alarms(self, *, page_size: int | None = None) -> Items[AlarmView]:
        """All alarms with their states, by name. Without data an alarm is never OK."""
        return calls.pages("/monitoring/alarms", AlarmViewPage, lambda page: page.alarms, page_size=page_size)

    @listing
    def alerts(self, *, delivery: DeliveryStatus | None = None, page_size: int | None = None) -> Items[Alert]:
        """What people were told, newest first; of one delivery status by the time it is due, or was told."""
        return calls.pages(
            "/monitoring/alerts", AlertPage, lambda page: page.alerts, page_size=page_size, delivery=delivery
        )

    @operation
    def series(
        self,
        metric: str,
        dimensions: Mapping[str, str] | None = None,
        *,
        statistic: Statistic = "Average",
        hours: int = 168,
        period: int = 3600,
    ) -> Flow[MetricValues]:
        """A metric over time, oldest first; periods without a point are left out.

        `dimensions`: all it has, such as {"dataset": "flights"}. `period` in seconds: a multiple of 60.
        """
        of = ",".join(f"{name}={value}" for name, value in (dimensions or {}).items())
        return calls.get(
            "/monitoring/series",
            MetricValues,
            metric=metric,
            dimensions=of or None,
            statistic=statistic,
            hours=hours,
            period=period,
        )
