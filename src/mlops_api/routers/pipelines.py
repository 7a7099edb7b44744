"""/pipelines"""

from typing import Annotated

from fastapi import APIRouter, Path

from mlops_api.domain.names import EXECUTION_LENGTH, NAME_PATTERN
from mlops_api.domain.pipelines import Execution, ExecutionPage, ExecutionStatus, StartPipeline
from mlops_api.routers.depends import By, IdempotencyKey, Limit, NameQuery, NextToken, PlatformDep, problems

router = APIRouter(prefix="/pipelines", tags=["pipelines"])

ExecutionPath = Annotated[str, Path(pattern=NAME_PATTERN, max_length=EXECUTION_LENGTH)]


@router.get("", responses=problems())
def list_executions(
    platform: PlatformDep,
    dataset: NameQuery = None,
    status: ExecutionStatus | None = None,
    limit: Limit = 50,
    next_token: NextToken = None,
) -> ExecutionPage:
    """Newest first; `dataset`: its name."""
    return platform.pipelines.page(dataset=dataset, status=status, limit=limit, token=next_token)


@router.post("/start", status_code=202, responses=problems(404, 409))
def start_execution(platform: PlatformDep, by: By, request: StartPipeline, key: IdempotencyKey = None) -> Execution:
    """Train a Ready version once more, with its dataset's recipe as it is now. Uploads start theirs by themselves."""
    return platform.pipelines.start(by, request, key)


@router.get("/{execution}", responses=problems(404))
def get_execution(platform: PlatformDep, execution: ExecutionPath) -> Execution:
    """The steps with input, output and cause of failure, the candidates, and their comparison with the champion."""
    return platform.pipelines.get(execution)


@router.post("/{execution}/stop", status_code=202, responses=problems(404, 409))
def stop_execution(platform: PlatformDep, by: By, execution: ExecutionPath, key: IdempotencyKey = None) -> Execution:
    """End it, and the jobs it has under way."""
    return platform.pipelines.stop(by, execution, key)


@router.post("/{execution}/retry", status_code=202, responses=problems(404, 409))
def retry_execution(platform: PlatformDep, by: By, execution: ExecutionPath, key: IdempotencyKey = None) -> Execution:
    """Go on from the step that failed."""
    return platform.pipelines.retry(by, execution, key)
