"""/health"""

from fastapi import APIRouter

from mlops_api.domain.base import Answer
from mlops_api.routers.depends import PlatformDep, problems

router = APIRouter(prefix="/health", tags=["health"])


class Health(Answer):
    status: str


@router.get("/live")
def live() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get("/ready", responses=problems())
def ready(platform: PlatformDep) -> Health:
    """The store can be read: requests can be served."""
    platform.records.ready()
    return Health(status="ok")
