"""`client.monitoring`: alarms, and what people were told."""

from mlops_api.client import calls
from mlops_api.client.effects import Items
from mlops_api.client.resource import M, Resource, listing
from mlops_api.domain.alerts import Alert, AlertPage, DeliveryStatus
from mlops_api.domain.monitoring import AlarmView, AlarmViewPage


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
