"""/monitoring"""

from typing import Annotated

from fastapi import APIRouter, Query

from mlops_api.domain.alerts import AlertPage, DeliveryStatus
from mlops_api.domain.monitoring import AlarmViewPage, MetricValues, Statistic
from mlops_api.routers.depends import Limit, NextToken, PlatformDep, problems

router = APIRouter(prefix="/monitoring", tags=["monitoring"])

MetricName = Annotated[str, Query(min_length=1, max_length=255, description="Such as DatasetRows.")]
Dimensions = Annotated[str, Query(max_length=1000, description="All it has: dataset=flights, or a=b,c=d.")]
Hours = Annotated[int, Query(ge=1, le=24 * 365, description="How far back.")]
Period = Annotated[int, Query(ge=60, le=86_400, description="Seconds, a multiple of 60; at most 1,440 periods.")]
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


@router.get("/series", responses=problems())
def get_series(
    platform: PlatformDep,
    metric: MetricName,
    dimensions: Dimensions = "",
    statistic: Statistic = "Average",
    hours: Hours = 168,
    period: Period = 3600,
) -> MetricValues:
    """A metric over time, oldest first; periods without a point are left out."""
    return platform.series.of(metric, dimensions, statistic=statistic, hours=hours, period=period)
