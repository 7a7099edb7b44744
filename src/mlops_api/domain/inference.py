"""Predictions, endpoints and batch scoring."""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from mlops_api.domain.base import Answer, Page, Request
from mlops_api.domain.names import Name, Reference
from mlops_api.domain.training import JobStatus
from mlops_contracts.transform import ResultFormat

EndpointStatus = Literal["Creating", "InService", "Updating", "Failed", "Deleting"]
ModelRef = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Predict(Request):
    """Either `instances` (rows as objects) or `columns` with `rows`."""

    model: ModelRef
    instances: list[dict[str, Any]] | None = None
    columns: list[str] | None = None
    rows: list[list[Any]] | None = None


class ClassPrediction(Answer):
    label: str
    probabilities: dict[str, float]


class ValuePrediction(Answer):
    value: float


class Predictions(Answer):
    model_version: str
    prediction_id: str
    predictions: list[ClassPrediction] | list[ValuePrediction]


class FeedbackLabel(Request):
    """The true label (or value, as text) of one row of a prediction; rows count from 0."""

    prediction_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{24}$")]
    row: Annotated[int, Field(ge=0, lt=100_000)] = 0
    label: Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Feedback(Request):
    labels: Annotated[list[FeedbackLabel], Field(min_length=1, max_length=1000)]


class FeedbackStored(Answer):
    stored: int


class Variant(Answer):
    variant: str = Field(description="Name of the production variant.")
    model_version: str
    weight: float


class Endpoint(Answer):
    endpoint: str
    model: str
    status: EndpointStatus
    variants: list[Variant] = Field(description="What answers now.")
    pending: list[Variant] = Field(default_factory=list, description="What is being deployed, if anything.")
    failure_reason: str | None = Field(None, description="Why the last deployment failed, if it did.")
    created_at: str
    updated_at: str


class EndpointPage(Page):
    endpoints: list[Endpoint]


class VariantRequest(Request):
    variant: Name
    model_version: Reference
    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0


class PutEndpoint(Request):
    variants: Annotated[list[VariantRequest], Field(min_length=1, max_length=10)]


class StartBatch(Request):
    model: ModelRef
    input: Reference
    format: ResultFormat = "csv"
    max_runtime_seconds: Annotated[int, Field(ge=10, le=432_000)] = 3600


class TransformJob(Answer):
    transform_job: str
    status: JobStatus
    model_version: str
    input: str
    format: ResultFormat
    progress: float = 0.0
    rows: int | None = None
    done_rows: int = 0
    failed_rows: int = 0
    failure_reason: str | None = None
    created_at: str
    created_by: str
    ended_at: str | None = None


class TransformJobPage(Page):
    transform_jobs: list[TransformJob]
