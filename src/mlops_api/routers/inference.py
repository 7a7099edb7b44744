"""/inference"""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from mlops_api.domain.inference import (
    Endpoint,
    EndpointPage,
    Feedback,
    FeedbackStored,
    Predict,
    Predictions,
    PutEndpoint,
    StartBatch,
    TransformJob,
    TransformJobPage,
)
from mlops_api.domain.models import DownloadUrl
from mlops_api.domain.training import JobStatus
from mlops_api.routers.depends import (
    By,
    IdempotencyKey,
    JobPath,
    Limit,
    NamePath,
    NextToken,
    PlatformDep,
    RawBody,
    problems,
)

router = APIRouter(prefix="/inference", tags=["inference"])

_PREDICT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": Predict.model_json_schema()},
            "text/csv": {"schema": {"type": "string", "description": "With a header line; model in the query."}},
        },
    }
}


@router.post(
    "/predict",
    response_model=Predictions,
    openapi_extra=_PREDICT_BODY,
    responses=problems(404, 409, 415, 502),
)
def predict(
    platform: PlatformDep,
    body: RawBody,
    content_type: Annotated[str, Header(include_in_schema=False)] = "application/json",
    model: Annotated[str | None, Query(max_length=100, description="For text/csv bodies.")] = None,
) -> Response:
    """Labels and probabilities, or values, in row order, and the version that answered."""
    return Response(platform.inference.predict(body, content_type, model), media_type="application/json")


@router.post("/feedback", responses=problems())
def store_feedback(platform: PlatformDep, by: By, request: Feedback) -> FeedbackStored:
    """Keep the true labels of earlier predictions; a label sent again replaces the one before."""
    return platform.feedback.store(by, request)


@router.get("/endpoints", responses=problems())
def list_endpoints(platform: PlatformDep, limit: Limit = 50, next_token: NextToken = None) -> EndpointPage:
    """Endpoints with what answers behind them."""
    return platform.endpoints.page(limit=limit, token=next_token)


@router.get("/endpoints/{endpoint}", responses=problems(404))
def get_endpoint(platform: PlatformDep, endpoint: NamePath) -> Endpoint:
    """Status, variants, and why the last deployment failed, if it did."""
    return platform.endpoints.get(endpoint)


@router.put("/endpoints/{endpoint}", status_code=202, responses=problems(404, 409))
def put_endpoint(
    platform: PlatformDep, by: By, endpoint: NamePath, request: PutEndpoint, key: IdempotencyKey = None
) -> Endpoint:
    """Deploy approved versions with weights; the old ones answer until all new ones do."""
    return platform.endpoints.put(by, endpoint, request, key)


@router.delete("/endpoints/{endpoint}", status_code=204, responses=problems(404))
def delete_endpoint(platform: PlatformDep, by: By, endpoint: NamePath) -> None:
    """Stop serving."""
    platform.endpoints.delete(by, endpoint)


@router.post("/batch", status_code=202, responses=problems(404, 409))
def start_batch(platform: PlatformDep, by: By, request: StartBatch, key: IdempotencyKey = None) -> TransformJob:
    """Score every row of a dataset version."""
    return platform.batch.start(by, request, key)


@router.get("/batch", responses=problems())
def list_batch_jobs(
    platform: PlatformDep, status: JobStatus | None = None, limit: Limit = 50, next_token: NextToken = None
) -> TransformJobPage:
    """Newest first."""
    return platform.batch.page(status=status, limit=limit, token=next_token)


@router.get("/batch/{job}", responses=problems(404))
def get_batch_job(platform: PlatformDep, job: JobPath) -> TransformJob:
    """Progress, rows done and rows that could not be scored."""
    return platform.batch.get(job)


@router.get("/batch/{job}/results", responses=problems(404, 409))
def get_batch_results(platform: PlatformDep, job: JobPath) -> DownloadUrl:
    """A URL for the results: one row per input row, in order."""
    return platform.batch.results(job)


@router.post("/batch/{job}/stop", status_code=202, responses=problems(404, 409))
def stop_batch(platform: PlatformDep, by: By, job: JobPath) -> TransformJob:
    """Ask a batch job to stop."""
    return platform.batch.stop(by, job)
