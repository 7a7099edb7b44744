"""`client.dashboard`: the figures of the first page, and who did what."""

from mlops_api.client import calls
from mlops_api.client.effects import Flow, Items
from mlops_api.client.resource import M, Resource, listing, operation
from mlops_api.domain.dashboard import Activity, ActivityPage, DashboardStats


class Dashboard(Resource[M]):
    @operation
    def stats(self) -> Flow[DashboardStats]:
        return calls.get("/dashboard/stats", DashboardStats)

    @listing
    def activity(self, *, page_size: int | None = None) -> Items[Activity]:
        """All entries, newest first."""
        return calls.pages("/dashboard/activity", ActivityPage, lambda page: page.activity, page_size=page_size)
