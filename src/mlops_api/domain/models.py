"""Model versions, approval and aliases.

    PendingManualApproval --> Approved <--> Rejected
                          '-> Rejected

`champion` can only stand on an Approved version; it is the version that the model's endpoint serves.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from mlops_api.domain.base import Answer, Page, Request
from mlops_api.domain.errors import Conflict
from mlops_contracts.bundle import Feature
from mlops_contracts.hyperparameters import AlgorithmName, ProblemType

ApprovalStatus = Literal["PendingManualApproval", "Approved", "Rejected"]

TRANSITIONS: dict[ApprovalStatus, tuple[ApprovalStatus, ...]] = {
    "PendingManualApproval": ("Approved", "Rejected"),
    "Approved": ("Rejected",),
    "Rejected": ("Approved",),
}

Comment = Annotated[str, StringConstraints(max_length=2000)]


def check_transition(version: str, current: ApprovalStatus, wanted: ApprovalStatus) -> None:
    """Raises Conflict naming the current status and what is allowed from it."""
    allowed = TRANSITIONS[current]
    if wanted not in allowed:
        raise Conflict(
            f"{version} is {current}; from there it can become {' or '.join(allowed)}, not {wanted}.",
            status_now=current,
            allowed=list(allowed),
        )


class Decision(Answer):
    """One entry of a version's audit trail."""

    at: str
    by: str
    action: str
    comment: str = ""


class ModelVersionSummary(Answer):
    version: str
    model: str
    number: int
    approval_status: ApprovalStatus
    algorithm: AlgorithmName
    problem_type: ProblemType
    objective: str
    metrics: dict[str, float]
    aliases: list[str] = Field(default_factory=list)
    dataset: str
    training_job: str
    created_at: str
    created_by: str


class ModelVersion(ModelVersionSummary):
    target: str
    signature: list[Feature] = Field(default_factory=list)
    classes: list[str] = Field(default_factory=list)
    threshold: float | None = None
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    importance: dict[str, float] = Field(default_factory=dict)
    size_bytes: int
    bundle_sha256: str
    decisions: list[Decision] = Field(default_factory=list)
    deployment: str | None = Field(None, description="Status of the endpoint that was asked to serve this version.")


class ModelVersionPage(Page):
    models: list[ModelVersionSummary]


class Approve(Request):
    comment: Comment = ""
    deploy: bool = False


class Reject(Request):
    comment: Comment = ""


class Rollback(Request):
    comment: Comment = ""


class SetAlias(Request):
    version: Annotated[str, StringConstraints(max_length=100)]
    comment: Comment = ""


class LineageNode(Answer):
    id: str
    kind: Literal["dataset", "training_job", "model_version", "endpoint", "transform_job"]
    status: str
    path: str


class LineageEdge(Answer):
    """From one node's `path` to another's: an id such as flights:1 may be a dataset's and a model's at once."""

    source: str
    target: str


class Lineage(Answer):
    nodes: list[LineageNode]
    edges: list[LineageEdge]


class Difference(Answer):
    """A value that differs between two versions; None where one of them lacks it."""

    name: str
    left: Any = None
    right: Any = None


class MetricDifference(Answer):
    name: str
    left: float | None
    right: float | None
    change: float | None = Field(None, description="right - left")
    better: Literal["left", "right", "equal"] | None = None


class SchemaDifference(Answer):
    feature: str
    change: Literal["added", "removed", "type", "required", "categories"]
    breaking: bool = Field(description="A request that left accepts may be refused by right.")
    detail: str


class Comparison(Answer):
    left: str
    right: str
    metrics: list[MetricDifference]
    parameters: list[Difference]
    schema_changes: list[SchemaDifference]
    importance: list[Difference]
    same_dataset: bool = Field(
        description="Both were measured on the same held-out rows, target and table. Only then do metrics compare."
    )


class Card(Answer):
    version: str
    markdown: str


class DownloadUrl(Answer):
    url: str
    expires_at: str
    size_bytes: int
    sha256: str | None = None
