"""Pipeline executions: listed, followed, started by hand, stopped, retried, and what happens when one ends.

The record is written first, then the runner is asked to start; both are idempotent by the execution's name, so a
crash between them is made good by `reconcile`. What an execution's steps do: pipeline_steps.
"""

from collections.abc import Mapping

from pydantic import BaseModel

from mlops_api.domain.errors import Conflict, NotFound, PlatformError
from mlops_api.domain.names import parse_version
from mlops_api.domain.pipelines import (
    ALWAYS,
    ENDED,
    RETRIABLE,
    STEPS,
    Candidate,
    Execution,
    ExecutionPage,
    ExecutionStatus,
    ExecutionSummary,
    StartPipeline,
    Step,
    automatic_execution,
    check_action,
    later_execution,
)
from mlops_api.domain.training import TERMINAL
from mlops_api.ports import Index, PipelineRunner, PipelineState, Place, RecordName, RecordStore
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.dataset_reading import check_ready
from mlops_api.services.dataset_records import StoredDataset
from mlops_api.services.datasets import DatasetService
from mlops_api.services.found import Found
from mlops_api.services.idempotency import Idempotency, IdempotentCall
from mlops_api.services.pipeline_records import (
    EXECUTIONS,
    PATH,
    PipelineLaunch,
    StoredExecution,
    execution_collection,
)
from mlops_api.services.pipeline_steps import PipelineSteps
from mlops_api.services.principal import PLATFORM, Principal
from mlops_api.services.recipes import RecipeService
from mlops_api.services.repair import begin, each
from mlops_api.services.training_records import StoredJob, job_collection

_FORESEEN = 10
"""Executions of one version by hand that are read before it is known how many there were."""

_BEGUN = {"status": "RUNNING", "ended_at": None, "error": None, "cause": None}


class VersionRuns(BaseModel):
    """`last`: the number of a version's last execution; that of its upload is 1."""

    dataset: str
    last: int = 1


class PipelineService:
    def __init__(
        self,
        *,
        records: RecordStore,
        runner: PipelineRunner,
        launch: PipelineLaunch,
        steps: PipelineSteps,
        datasets: DatasetService,
        recipes: RecipeService,
        activity: ActivityLog,
        idempotency: Idempotency,
    ) -> None:
        self.steps = steps
        self.recipes = recipes
        self._records = records
        self._runner = runner
        self._launch = launch
        self._datasets = datasets
        self._activity = activity
        self._idempotency = idempotency
        self._executions = execution_collection(records)
        self._jobs = job_collection(records)
        self._runs = Collection(
            records, "pipeline-number", VersionRuns, what="execution of", key=lambda runs: runs.dataset, places=_nowhere
        )

    # ---- reading

    def get(self, execution: str) -> Execution:
        """With its steps, those to come too while it runs. Raises NotFound."""
        return self._told(self._executions.get(execution).value)

    def _shown(self, stored: StoredExecution, jobs: Mapping[str, StoredJob]) -> Execution:
        try:
            state = self._runner.describe(stored.execution)
        except NotFound:  # recorded, not begun yet: reconcile begins it
            state = PipelineState("RUNNING", stored.created_at)
        candidates = [_with_job(candidate, jobs.get(candidate.job)) for candidate in stored.candidates]
        return Execution(**(stored.model_dump() | {"candidates": candidates, "steps": _timeline(state)}))

    def page(
        self, *, dataset: str | None, status: ExecutionStatus | None, limit: int, token: str | None
    ) -> ExecutionPage:
        """Newest first."""
        index, partition = _partition(dataset, status)
        page = self._executions.page(index, partition, limit=limit, token=token)
        return ExecutionPage(executions=[_summary(value) for value in page.values], next_token=page.next_token)

    # ---- starting by hand

    def start(self, by: Principal, request: StartPipeline, idempotency_key: str | None) -> Execution:
        """Train a Ready version once more, with the recipe as it is now.

        Raises NotFound without a recipe, Conflict for a version that is not Ready or in an execution that runs.
        """
        call = self._idempotency.call(by, "start-pipeline", idempotency_key, request.model_dump_json())
        return call.once(lambda: self._start_once(by, request, call), what=request.dataset)

    def _start_once(self, by: Principal, request: StartPipeline, call: IdempotentCall) -> Execution:
        resolver = self._datasets.resolver
        table = parse_version(request.dataset, what="dataset version")
        first, recipe = resolver.first(table), self.recipes.name_of(table.name)
        read = Found.read(self._records, [*call.names, first, recipe, self._runs.name_of(request.dataset)])
        earlier = call.earlier_result(read)
        if earlier is not None:
            return self.get(earlier)
        target = resolver.target(read, table)
        read = read.and_also([target, self._runs.name_of(target[1]), *self._first_executions(target[1])])
        dataset = resolver.version_in(read, table).value
        check_ready(dataset)
        self.recipes.in_(read, dataset.name)
        runs = read.find(self._runs, dataset.version) or Stored(VersionRuns(dataset=dataset.version), 0)
        last = _last_execution(dataset, runs.value)
        _check_idle(dataset, read.and_also([self._executions.name_of(last)]).find(self._executions, last))
        planned = self._launch.plan(by, dataset, later_execution(dataset.name, dataset.number, runs.value.last + 1))
        entry = self._activity.entry(by, "pipeline.start", planned.execution, path=f"{PATH}/{planned.execution}")
        taken = self._runs.to_put(runs.with_value(runs.value.model_copy(update={"last": runs.value.last + 1})))
        self._records.write([self._launch.put(planned), taken, entry, *call.writes(planned.execution)])
        begin(lambda: self._launch.launch(planned), planned.execution)
        return self._shown(planned, {})

    def _first_executions(self, version: str) -> list[RecordName]:
        """Those that a version may have had: the last one is among them, unless there were many."""
        name, _, number = version.partition(":")
        if not number.isdigit():
            return []  # an alias that stands for no version: that is said when it is looked at
        later = [later_execution(name, int(number), count) for count in range(2, 2 + _FORESEEN)]
        return [self._executions.name_of(each) for each in (automatic_execution(name, int(number)), *later)]

    # ---- stop and retry

    def stop(self, by: Principal, execution: str, idempotency_key: str | None = None) -> Execution:
        """End it; its jobs are stopped by its event. Raises Conflict when it has ended, saying what is possible."""
        call = self._idempotency.call(by, "stop-pipeline", idempotency_key, execution)
        return call.once(lambda: self._stop_once(by, execution, call), what=execution)

    def _stop_once(self, by: Principal, execution: str, call: IdempotentCall) -> Execution:
        read = Found.read(self._records, [*call.names, self._executions.name_of(execution)])
        stored = read.get(self._executions, execution).value
        if call.earlier_result(read) is not None:
            return self._told(stored)
        check_action(execution, stored.status, "stop")
        self._launch.launch(stored)  # so that one whose start was lost in a crash can be stopped
        self._runner.stop(execution, f"Stopped by {by.name}.")
        entry = self._activity.entry(by, "pipeline.stop", execution, path=f"{PATH}/{execution}")
        self._records.write([entry, *call.writes(execution)])
        return self._told(stored.model_copy(update=_ending(self._runner.describe(execution))))

    def retry(self, by: Principal, execution: str, idempotency_key: str | None = None) -> Execution:
        """Go on from the step that failed. Raises Conflict when there is none, or when it could only fail again."""
        call = self._idempotency.call(by, "retry-pipeline", idempotency_key, execution)
        return call.once(lambda: self._retry_once(by, execution, call), what=execution)

    def _retry_once(self, by: Principal, execution: str, call: IdempotentCall) -> Execution:
        read = Found.read(self._records, [*call.names, self._executions.name_of(execution)])
        stored = read.get(self._executions, execution)
        if call.earlier_result(read) is not None:
            return self._told(stored.value)
        check_action(execution, stored.value.status, "retry")
        jobs = self._jobs_of(stored.value)
        _check_worth(stored.value, jobs)
        again = stored.value.model_copy(update=_BEGUN | {"retries": stored.value.retries + 1})
        entry = self._activity.entry(by, "pipeline.retry", execution, path=f"{PATH}/{execution}")
        self._records.write([self._executions.to_put(stored.with_value(again)), entry, *call.writes(execution)])
        self._go_on(execution)
        return self._shown(again, jobs)

    def _go_on(self, execution: str) -> None:
        try:
            self._runner.retry(execution)
        except PlatformError:
            self.on_execution_change(execution)  # it stands as before
            raise

    def _told(self, stored: StoredExecution) -> Execution:
        return self._shown(stored, self._jobs_of(stored))

    def _jobs_of(self, stored: StoredExecution) -> Mapping[str, StoredJob]:
        return self._jobs.find_many([candidate.job for candidate in stored.candidates])

    # ---- events

    def on_execution_change(self, execution: str) -> None:
        """React to an execution's event: write how it stands. Repeats change nothing."""
        until_unbeaten(lambda: self._settle(execution), what=execution)

    def _settle(self, execution: str) -> None:
        stored = self._executions.find(execution)
        if stored is None:
            return
        try:
            state = self._runner.describe(execution)
        except NotFound:
            return
        if state.status == stored.value.status:
            return
        if state.status in RETRIABLE:  # before that is written, so that a crash between leaves none
            self.steps.stop_jobs(execution, f"its pipeline execution is {state.status}")
        self._write_end(stored, state)

    def _write_end(self, stored: Stored[StoredExecution], state: PipelineState) -> None:
        changed = stored.value.model_copy(update=_ending(state))
        writes = [self._executions.to_put(stored.with_value(changed))]
        if state.status in RETRIABLE or (state.status == "SUCCEEDED" and changed.candidates):
            action, path = f"pipeline.{state.status.lower()}", f"{PATH}/{changed.execution}"
            detail = changed.cause or changed.approval or ""
            writes.append(self._activity.entry(PLATFORM, action, changed.execution, detail=detail, path=path))
        self._records.write(writes)

    def reconcile(self) -> None:
        """Make good what a crash left undone: every execution under way is known to the runner, every ended one is
        settled, every version that waits for its verdict has an execution."""
        each(list(self._executions.every("status", f"{EXECUTIONS}/RUNNING")), self._repair)
        each(self._datasets.validation.under_way(), self._ensure)

    def _repair(self, execution: StoredExecution) -> None:
        self._launch.launch(execution)
        self.on_execution_change(execution.execution)

    def _ensure(self, dataset: StoredDataset) -> None:
        """Versions whose validation began before there were executions, or whose execution ended without a verdict."""
        name = automatic_execution(dataset.name, dataset.number)
        found = self._executions.find(name)
        if found is None:
            planned = self._launch.plan(Principal(dataset.created_by), dataset)
            self._records.write([self._launch.put(planned)])
            self._launch.launch(planned)
        elif found.value.status in ENDED:
            self._datasets.validation.give_up(dataset, f"its pipeline execution is {found.value.status}")


def _nowhere(_: VersionRuns) -> Mapping[Index, Place]:
    return {}


def _last_execution(dataset: StoredDataset, runs: VersionRuns) -> str:
    if runs.last == 1:
        return automatic_execution(dataset.name, dataset.number)
    return later_execution(dataset.name, dataset.number, runs.last)


def _check_idle(dataset: StoredDataset, last: Stored[StoredExecution] | None) -> None:
    """One at a time of a version: the last one has to have ended."""
    if last is not None and last.value.status == "RUNNING":
        name = last.value.execution
        raise Conflict(
            f"{name} works on {dataset.version} already. Follow it: mlops pipelines watch {name}", status_now="RUNNING"
        )


def _check_worth(execution: StoredExecution, jobs: Mapping[str, StoredJob]) -> None:
    """Raises Conflict for what would only fail again, saying what to do instead."""
    name = execution.execution
    ended = bool(jobs) and all(job.status in TERMINAL and job.model_version is None for job in jobs.values())
    if execution.error == "DatasetRejected":
        why = f"{execution.dataset} was refused, and would be again."
        instead = (
            f"Mend the file and upload it as a new version: mlops data upload FILE --name {execution.dataset_name}"
        )
    elif execution.error == "NoCandidate" or ended:
        why, instead = "None of its jobs left a model.", f"Start anew: mlops pipelines start {execution.dataset}"
    else:
        return
    raise Conflict(f"{name} cannot go on. {why} {instead}", status_now=execution.status, allowed=[])


def _ending(state: PipelineState) -> dict[str, str | None]:
    return {"status": state.status, "ended_at": state.ended_at, "error": state.error, "cause": state.cause}


def _with_job(candidate: Candidate, job: StoredJob | None) -> Candidate:
    if job is None:
        return candidate
    changes = {"status": job.status, "model_version": job.model_version, "failure_reason": job.failure_reason}
    return candidate.model_copy(update=changes)


def _timeline(state: PipelineState) -> list[Step]:
    """The steps that were passed and, unless it ended well, those still to come."""
    passed = list(state.steps)
    if state.status == "SUCCEEDED":
        return passed
    verdict = next((step.output for step in passed if step.name == "CheckQuality" and step.output), None)
    way = STEPS if verdict is None or verdict.get("train") else ALWAYS
    entered = {step.name for step in passed}
    return [*passed, *(Step(name=name, status="PENDING") for name in way if name not in entered)]


def _partition(dataset: str | None, status: ExecutionStatus | None) -> tuple[Index, str]:
    if dataset is not None:
        return ("group_status", f"{EXECUTIONS}/{dataset}/{status}") if status else ("group", f"{EXECUTIONS}/{dataset}")
    return ("status", f"{EXECUTIONS}/{status}") if status else ("all", EXECUTIONS)


def _summary(execution: StoredExecution) -> ExecutionSummary:
    return ExecutionSummary.model_validate(execution.model_dump())
