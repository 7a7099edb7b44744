"""Training jobs, in SageMaker's words.

InProgress --> Completed | Failed | Stopping --> Stopped
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from mlops_api.domain.base import Answer, Page, Request
from mlops_api.domain.names import Name, Reference
from mlops_contracts.hyperparameters import AlgorithmName, ProblemType
from mlops_contracts.job import SplitName

JobStatus = Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]
TERMINAL: frozenset[JobStatus] = frozenset({"Completed", "Failed", "Stopped"})

ColumnName = Annotated[str, Field(min_length=1, max_length=256)]


class StartTraining(Request):
    dataset: Reference
    target: ColumnName
    algorithm: AlgorithmName
    model: Name
    problem_type: Annotated[ProblemType | None, Field(description="Empty: inferred from the target column.")] = None
    exclude: Annotated[list[ColumnName], Field(max_length=10_000)] = Field(default_factory=list)
    time_column: ColumnName | None = None
    split: Annotated[
        SplitName,
        Field(
            description="auto: by time_column, or else drawn, stratified for classes. hash: by what a row holds, so "
            "that rows held out once stay so in later versions of the dataset."
        ),
    ] = "auto"
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    validation_fraction: Annotated[float, Field(ge=0.05, le=0.5)] = 0.2
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    instance_type: Annotated[str | None, Field(max_length=64)] = None
    instance_count: Annotated[int, Field(ge=1, le=20)] = 1
    spot: bool = False
    max_runtime_seconds: Annotated[int, Field(ge=10, le=432_000)] = 3600


class TrainingJob(Answer):
    job: str
    status: JobStatus
    secondary_status: str
    progress: float = Field(0.0, ge=0, le=1)
    metrics: dict[str, float] = Field(default_factory=dict)
    failure_reason: str | None = None
    model_version: str | None = None
    model: str
    algorithm: AlgorithmName
    dataset: str
    target: str
    exclude: list[str] = Field(default_factory=list)
    time_column: str | None = None
    split: SplitName = "auto"
    champion: str | None = Field(None, description="Model version that is judged on the same held-out rows.")
    problem_type: ProblemType | None = None
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    validation_fraction: float
    seed: int
    instance_type: str | None = None
    instance_count: int = 1
    spot: bool = False
    max_runtime_seconds: int
    attempt: int = 1
    execution: str | None = Field(None, description="The pipeline execution it belongs to, if any.")
    created_at: str
    created_by: str
    started_at: str | None = None
    ended_at: str | None = None


class TrainingJobPage(Page):
    jobs: list[TrainingJob]


class AlgorithmInfo(Answer):
    algorithm: AlgorithmName
    title: str
    problem_types: list[ProblemType]
    hyperparameters: dict[str, Any] = Field(description="JSON Schema.")


class AlgorithmList(Answer):
    algorithms: list[AlgorithmInfo]


class LogPage(Answer):
    """`next_after` is the place to go on from; `complete` when the job has ended and all was read."""

    lines: list[str]
    next_after: int
    complete: bool


class MetricPoint(Answer):
    name: str
    step: int | None = None
    value: float


class MetricSeries(Answer):
    points: list[MetricPoint]
