"""/monitoring"""

from typing import Annotated

from fastapi import APIRouter, Query

from mlops_api.domain.alerts import AlertPage, DeliveryStatus
from mlops_api.domain.monitoring import AlarmViewPage
from mlops_api.routers.depends import Limit, NextToken, PlatformDep, problems

router = APIRouter(prefix="/monitoring", tags=["monitoring"])

Delivery = Annotated[DeliveryStatus | None, Query(description="Only those of this delivery status.")]


@router.get("/alarms", responses=problems())
def list_alarms(platform: PlatformDep, limit: Limit = 50, next_token: NextToken = None) -> AlarmViewPage:
    """Every alarm and its state, by name. Without data an alarm is never OK."""
    return platform.alarms.page(limit=limit, token=next_token)


@router.get("/alerts", responses=problems())
def list_alerts(
    platform: PlatformDep, delivery: Delivery = None, limit: Limit = 50, next_token: NextToken = None
) -> AlertPage:
    """What people were told, newest first, and what became of each attempt; of one delivery status: by the time at
    which it is due or was told, latest first."""
    return platform.alerts.page(delivery=delivery, limit=limit, token=next_token)
