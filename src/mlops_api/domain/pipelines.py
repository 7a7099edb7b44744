"""Recipes and pipeline executions, in Step Functions' words.

    Prepare -> Preprocess -> CheckQuality -> PlanTraining -> Train -> Evaluate -> Register -> Notify -> SUCCEEDED
                                  |                '-- no recipe: SUCCEEDED after CheckQuality
                                  '-- a refused table: DatasetRejected
    any failure -> RecordFailure -> FAILED

RUNNING --> SUCCEEDED | FAILED | TIMED_OUT | ABORTED, and from the last three back to RUNNING by a retry.
"""

import json
from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import Field, StringConstraints, model_validator

from mlops_api.domain.base import Answer, Page, Request
from mlops_api.domain.errors import Conflict
from mlops_api.domain.names import Name, Reference
from mlops_api.domain.training import ColumnName, JobStatus
from mlops_contracts.hyperparameters import AlgorithmName, ProblemType

ExecutionStatus = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
StepStatus = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]

ENDED: Final[frozenset[ExecutionStatus]] = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})
RETRIABLE: Final[frozenset[ExecutionStatus]] = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})

ALWAYS: Final = ("Prepare", "Preprocess", "CheckQuality")
WITH_RECIPE: Final = ("PlanTraining", "Train", "Evaluate", "Register", "Notify")
STEPS: Final = (*ALWAYS, *WITH_RECIPE)
"""The states of the way to success, in order; both modes have them by these names."""
ON_FAILURE: Final = "RecordFailure"

ALGORITHMS: Final[tuple[AlgorithmName, ...]] = get_args(AlgorithmName)
MAX_CANDIDATES: Final = 12
MAX_CAUSE: Final = 4000
"""Characters of a cause that are kept."""


def plain_cause(cause: str) -> str:
    """What a Lambda function's error says, without its stack trace; any other cause as it is."""
    try:
        document = json.loads(cause)
    except ValueError:
        return cause
    return str(document["errorMessage"]) if isinstance(document, dict) and "errorMessage" in document else cause


class DatasetRejected(Conflict):
    """CheckQuality: the table was refused. The detail names code, column and row of the first violation."""

    title = "Dataset rejected"


class NoCandidate(Conflict):
    """Evaluate: not one of the training jobs ended well."""

    title = "No candidate"


# --------------------------------------------------------------------------- recipes


class Gate(Request):
    """What a candidate has to hold against the champion, on the same held-out rows."""

    metric: Annotated[
        str | None,
        StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64),
        Field(description="Of the evaluation; empty: the objective of the problem (auc or rmse)."),
    ] = None
    margin: Annotated[float, Field(ge=0, le=1e12, description="By how much it has to be better.")] = 0.0
    auto_approve: Annotated[bool, Field(description="Approve the best candidate when it passes.")] = False
    deploy: Annotated[bool, Field(description="With auto_approve: deploy it too.")] = False

    @model_validator(mode="after")
    def _deploys_what_is_approved(self) -> "Gate":
        if self.deploy and not self.auto_approve:
            raise ValueError("deploy needs auto_approve: only approved versions can be deployed")
        return self


class Recipe(Request):
    """How every new version of a dataset is trained."""

    target: ColumnName
    algorithms: Annotated[
        list[AlgorithmName] | None,
        Field(min_length=1, max_length=3, description="Empty: every algorithm that suits the target."),
    ] = None
    model: Annotated[Name | None, Field(description="Empty: the dataset's name.")] = None
    problem_type: ProblemType | None = None
    exclude: Annotated[list[ColumnName], Field(max_length=10_000)] = Field(default_factory=list)
    time_column: ColumnName | None = None
    validation_fraction: Annotated[float, Field(ge=0.05, le=0.5)] = 0.2
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    hyperparameters: Annotated[
        dict[AlgorithmName, dict[str, Any]], Field(description="By algorithm; the rest have their defaults.")
    ] = Field(default_factory=dict)
    search: Annotated[
        dict[AlgorithmName, dict[str, Annotated[list[Any], Field(min_length=1, max_length=MAX_CANDIDATES)]]],
        Field(description="By algorithm and hyperparameter: values to try, each with each."),
    ] = Field(default_factory=dict)
    gate: Gate = Gate()
    instance_type: Annotated[str | None, Field(max_length=64)] = None
    spot: bool = False
    max_runtime_seconds: Annotated[int, Field(ge=10, le=432_000, description="Of each training job.")] = 3600

    @model_validator(mode="after")
    def _few_candidates_of_known_algorithms(self) -> "Recipe":
        chosen = self.chosen
        if len(set(chosen)) < len(chosen):
            raise ValueError("algorithms: each may be named once")
        idle = [name for name in (*self.hyperparameters, *self.search) if name not in chosen]
        if idle:
            raise ValueError(f"{idle[0]} has hyperparameters but is none of the algorithms {', '.join(chosen)}")
        count = sum(prod(len(values) for values in self.search.get(name, {}).values()) for name in chosen)
        if count > MAX_CANDIDATES:
            raise ValueError(f"the search has {count} candidates; at most {MAX_CANDIDATES} are trained")
        return self

    @property
    def chosen(self) -> tuple[AlgorithmName, ...]:
        return tuple(self.algorithms) if self.algorithms else ALGORITHMS

    def grid(self) -> Iterator[tuple[AlgorithmName, dict[str, Any]]]:
        """Every candidate: its algorithm and the hyperparameters that were said."""
        for algorithm in self.chosen:
            search = self.search.get(algorithm, {})
            for values in product(*search.values()):
                yield algorithm, self.hyperparameters.get(algorithm, {}) | dict(zip(search, values, strict=True))


class DatasetRecipe(Answer):
    """`revision`: pass it as If-Match to change what was read."""

    dataset: str
    revision: int
    recipe: Recipe
    updated_at: str
    updated_by: str


# --------------------------------------------------------------------------- executions


class StartPipeline(Request):
    dataset: Annotated[Reference, Field(description="A Ready version, such as flights:2 or flights:latest.")]


class Step(Answer):
    """One state as it was passed. `attempt` counts from 1; a retried execution goes on counting."""

    name: str
    status: StepStatus
    entered_at: str | None = None
    exited_at: str | None = None
    input: dict[str, Any] = Field(default_factory=dict)
    output: dict[str, Any] | None = None
    error: str | None = None
    cause: str | None = None
    attempt: int = 1


class Candidate(Answer):
    """One training job of an execution. `value`: of the gate's metric, once evaluated."""

    job: str
    algorithm: AlgorithmName
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    status: JobStatus = "InProgress"
    model_version: str | None = None
    value: float | None = None
    failure_reason: str | None = None


class GateVerdict(Answer):
    """The best candidate against the champion, measured on the same held-out rows."""

    metric: str
    candidate: str = Field(description="The best candidate's model version.")
    candidate_value: float
    champion: str | None = None
    champion_value: float | None = None
    rows: int | None = Field(None, description="Held-out rows both were measured on.")
    difference: float | None = Field(None, description="Positive: the candidate is better.")
    margin: float
    passed: bool
    reasons: list[str] = Field(default_factory=list)


class ExecutionSummary(Answer):
    execution: str
    dataset: str
    status: ExecutionStatus
    error: str | None = Field(None, description="Name of what ended it, such as DatasetRejected.")
    cause: str | None = None
    model_version: str | None = Field(None, description="The best candidate.")
    passed: bool | None = Field(None, description="Whether it passed the gate.")
    created_at: str
    created_by: str
    ended_at: str | None = None


class Execution(ExecutionSummary):
    steps: list[Step] = Field(default_factory=list)
    recipe: Recipe | None = Field(None, description="As it was when training was planned.")
    candidates: list[Candidate] = Field(default_factory=list)
    comparison: GateVerdict | None = None
    approval: str | None = Field(None, description="What became of the best candidate, in a sentence.")
    notification: str | None = Field(None, description="Subject of the notification that went out.")


class ExecutionPage(Page):
    executions: list[ExecutionSummary]


_ALLOWED: Final[Mapping[str, tuple[ExecutionStatus, ...]]] = {
    "stop": ("RUNNING",),
    "retry": ("FAILED", "TIMED_OUT", "ABORTED"),
}


def check_action(execution: str, status: ExecutionStatus, action: Literal["stop", "retry"]) -> None:
    """Raises Conflict naming the status and what is possible from it."""
    if status not in _ALLOWED[action]:
        possible = [name for name, statuses in _ALLOWED.items() if status in statuses]
        rest = f"possible now: {', '.join(possible)}" if possible else "it has ended well, and nothing is left to do"
        raise Conflict(f"{execution} is {status} and cannot {action}; {rest}.", status_now=status, allowed=possible)


def automatic_execution(dataset: str, number: int) -> str:
    """The one that an upload starts: one name per dataset version, however often its event is delivered."""
    return f"{dataset}-v{number}"


def later_execution(dataset: str, number: int, count: int) -> str:
    """One asked for by hand; `count` from 2."""
    return f"{dataset}-v{number}-{count}"
