"""/dashboard"""

from typing import Annotated

from fastapi import APIRouter, Query

from mlops_api.domain.dashboard import ActivityPage, DashboardStats
from mlops_api.routers.depends import Limit, NextToken, PlatformDep, problems

router = APIRouter(prefix="/dashboard", tags=["dashboard"])


@router.get("/stats", responses=problems())
def get_stats(platform: PlatformDep) -> DashboardStats:
    """Counts, what needs attention, champions, serving, cost and storage; each with the path behind it."""
    return platform.dashboard.stats()


@router.get("/activity", responses=problems())
async def get_activity(
    platform: PlatformDep,
    after: Annotated[str | None, Query(max_length=100, description="An entry's id: only newer ones.")] = None,
    wait: Annotated[float, Query(ge=0, le=20, description="Seconds to wait for a newer entry.")] = 0,
    limit: Limit = 50,
    next_token: NextToken = None,
) -> ActivityPage:
    """Who did what, newest first; with `after` the newer ones, oldest first (long poll)."""
    return await platform.activity.wait_for_page(after=after, wait=wait, limit=limit, token=next_token)
