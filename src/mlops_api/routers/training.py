"""/training"""

from typing import Annotated

from fastapi import APIRouter, Query

from mlops_api.domain.training import (
    AlgorithmList,
    JobStatus,
    LogPage,
    MetricSeries,
    StartTraining,
    TrainingJob,
    TrainingJobPage,
)
from mlops_api.routers.depends import (
    By,
    IdempotencyKey,
    JobPath,
    Limit,
    NameQuery,
    NextToken,
    Order,
    PlatformDep,
    Sort,
    problems,
)

router = APIRouter(prefix="/training", tags=["training"])


@router.get("/algorithms", responses=problems())
def list_algorithms(platform: PlatformDep) -> AlgorithmList:
    """What can be trained, each with the JSON Schema of its hyperparameters."""
    return platform.training.algorithms()


@router.post("/start", status_code=202, responses=problems(404, 409))
def start_training(platform: PlatformDep, by: By, request: StartTraining, key: IdempotencyKey = None) -> TrainingJob:
    """Start a training job on a Ready dataset version."""
    return platform.training.start(by, request, key)


@router.get("/jobs", responses=problems())
def list_training_jobs(
    platform: PlatformDep,
    status: JobStatus | None = None,
    model: NameQuery = None,
    sort: Sort = "created_at",
    order: Order = "desc",
    limit: Limit = 50,
    next_token: NextToken = None,
) -> TrainingJobPage:
    """Newest first, or ranked by the objective metric."""
    return platform.training.page(
        model=model,
        status=status,
        by_metric=sort == "metric",
        descending=order == "desc",
        limit=limit,
        token=next_token,
    )


@router.get("/jobs/{job}", responses=problems(404))
def get_training_job(platform: PlatformDep, job: JobPath) -> TrainingJob:
    """Status, progress and the last value of each metric, live."""
    return platform.training.get(job)


@router.get("/jobs/{job}/logs", responses=problems(404))
def get_training_logs(
    platform: PlatformDep,
    job: JobPath,
    after: Annotated[int, Query(ge=0, le=2**53, description="next_after of the page before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=2000)] = 500,
) -> LogPage:
    """Lines of the log from a position on."""
    return platform.training.logs(job, after=after, limit=limit)


@router.get("/jobs/{job}/metrics", responses=problems(404))
def get_training_metrics(platform: PlatformDep, job: JobPath) -> MetricSeries:
    """Every metric value reported so far, in order."""
    return platform.training.metrics(job)


@router.post("/jobs/{job}/stop", status_code=202, responses=problems(404, 409))
def stop_training(platform: PlatformDep, by: By, job: JobPath) -> TrainingJob:
    """Ask a job to stop; it is Stopped once its processes have ended."""
    return platform.training.stop(by, job)
