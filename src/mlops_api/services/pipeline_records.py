"""The record of an execution, and how one begins: in the write that makes a dataset version Validating."""

from collections.abc import Mapping

from pydantic import Field

from mlops_api.domain.pipelines import (
    Candidate,
    ExecutionSummary,
    GateVerdict,
    Recipe,
    automatic_execution,
)
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import Index, PipelineRunner, Place, Put, RecordStore
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.dataset_records import StoredDataset
from mlops_api.services.principal import Principal
from mlops_api.services.tally import Card, Tally, attention

EXECUTIONS = "pipeline-execution"
PATH = "/pipelines"


class StoredExecution(ExecutionSummary):
    """The record. `status` is the runner's, from its start to its end; the rest is what the steps found out.

    `recipe_revision`: of the recipe as it was planned with; None: not planned yet. `champion`: that the candidates are
    compared with. `retries`: how often it went on after a failure.
    """

    recipe: Recipe | None = None
    recipe_revision: int | None = None
    champion: str | None = None
    retries: int = 0
    candidates: list[Candidate] = Field(default_factory=list)
    comparison: GateVerdict | None = None
    approval: str | None = None
    notification: str | None = None

    @property
    def dataset_name(self) -> str:
        return self.dataset.partition(":")[0]


def execution_collection(records: RecordStore) -> Collection[StoredExecution]:
    def places(value: StoredExecution) -> Mapping[Index, Place]:
        name = value.dataset_name
        return {
            "all": Place(EXECUTIONS, value.created_at),
            "group": Place(f"{EXECUTIONS}/{name}", value.created_at),
            "status": Place(f"{EXECUTIONS}/{value.status}", value.created_at),
            "group_status": Place(f"{EXECUTIONS}/{name}/{value.status}", value.created_at),
        }

    return Collection(
        records,
        EXECUTIONS,
        StoredExecution,
        what="pipeline execution",
        key=lambda value: value.execution,
        places=places,
        tally=Tally(lambda value: {"pipelines": 1, f"pipelines/{value.status}": 1}, _card),
    )


def _card(value: StoredExecution) -> Card | None:
    """A refused table has a card of its own; whoever stopped an execution knows it."""
    if value.status not in ("FAILED", "TIMED_OUT") or value.error == "DatasetRejected":
        return None
    message = f"{value.error}: {value.cause}"
    at = value.ended_at or value.created_at
    return attention("failed_pipeline", value.execution, message, at, f"{PATH}/{value.execution}", days=7)


class PipelineLaunch:
    """What services that upload need of pipelines."""

    def __init__(self, records: RecordStore, runner: PipelineRunner, clock: Clock) -> None:
        self._runner = runner
        self._clock = clock
        self._executions = execution_collection(records)

    def plan(self, by: Principal, dataset: StoredDataset, execution: str | None = None) -> StoredExecution:
        """An execution to come: `put` records it, `launch` begins it after that."""
        return StoredExecution(
            execution=execution or automatic_execution(dataset.name, dataset.number),
            dataset=dataset.version,
            status="RUNNING",
            created_at=rfc3339(self._clock()),
            created_by=by.name,
        )

    def put(self, planned: StoredExecution) -> Put:
        return self._executions.to_put(Stored(planned, 0))

    def launch(self, recorded: StoredExecution) -> None:
        """Ask the runner for what is recorded; harmless when repeated."""
        name = recorded.execution
        self._runner.start(name, {"execution": name, "dataset": recorded.dataset})
