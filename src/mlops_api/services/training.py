"""Training jobs: start, follow, stop, and what happens when one ends.

The record is written first, then the runner is asked to start; both ends are idempotent by the job's name, so a
crash between them is made good by `reconcile`. A job's end reaches `on_training_change` as an event, perhaps
several times; the version is registered in the same write that makes the job Completed, so once.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from mlops_api.domain.errors import Conflict, Invalid, NotFound
from mlops_api.domain.names import job_name
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.domain.training import (
    TERMINAL,
    AlgorithmInfo,
    AlgorithmList,
    JobStatus,
    LogPage,
    MetricPoint,
    MetricSeries,
    StartTraining,
    TrainingJob,
    TrainingJobPage,
)
from mlops_api.ports import Index, JobState, RecordStore, TrainingRunner, Write
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.dataset_records import StoredDataset
from mlops_api.services.datasets import DatasetService
from mlops_api.services.idempotency import Idempotency, IdempotentCall
from mlops_api.services.principal import PLATFORM, Principal
from mlops_api.services.registration import Source
from mlops_api.services.registry import RegistryService
from mlops_api.services.repair import begin, each
from mlops_api.services.training_records import (
    JOBS,
    StoredJob,
    job_collection,
    model_key,
    progress_of,
    spec_of,
    visible,
)
from mlops_api.services.training_reports import TrainingReports
from mlops_api.services.training_request import check_request
from mlops_contracts.hyperparameters import HYPERPARAMETERS, PROBLEM_TYPES

_TITLES = {"random_forest": "Random forest", "xgboost": "XGBoost", "logistic_regression": "Logistic regression"}


class TrainingService:
    def __init__(
        self,
        *,
        records: RecordStore,
        runner: TrainingRunner,
        datasets: DatasetService,
        registry: RegistryService,
        activity: ActivityLog,
        reports: TrainingReports,
        idempotency: Idempotency,
        clock: Clock,
        most_instances: int,
    ) -> None:
        self._records = records
        self._runner = runner
        self._datasets = datasets
        self._registry = registry
        self._activity = activity
        self._reports = reports
        self._idempotency = idempotency
        self._clock = clock
        self._most_instances = most_instances
        self._jobs = job_collection(records)

    def algorithms(self) -> AlgorithmList:
        infos = [
            AlgorithmInfo(
                algorithm=name,
                title=_TITLES[name],
                problem_types=list(PROBLEM_TYPES[name]),
                hyperparameters=parameters.model_json_schema(),
            )
            for name, parameters in HYPERPARAMETERS.items()
        ]
        return AlgorithmList(algorithms=infos)

    # ---- start

    def start(self, by: Principal, request: StartTraining, idempotency_key: str | None) -> TrainingJob:
        call = self._idempotency.call(by, "start-training", idempotency_key, request.model_dump_json())
        # Another request may claim the same key, or another job use the dataset.
        return until_unbeaten(lambda: self._start_once(by, request, call), what=request.dataset)

    def _start_once(self, by: Principal, request: StartTraining, call: IdempotentCall) -> TrainingJob:
        earlier = call.earlier_result()
        if earlier is not None:
            return self.get(earlier)
        dataset = self._datasets.ready(request.dataset)
        job = self._new_job(by, request, dataset.value)
        self._write_new(by, job, dataset, call.writes(job.job))
        refused = begin(lambda: self._launch(job), job.job) is False
        return self.get(job.job) if refused else visible(job)

    def _write_new(
        self, by: Principal, job: StoredJob, dataset: Stored[StoredDataset], others: Sequence[Write]
    ) -> None:
        entry = self._activity.entry(
            by, "training.start", job.job, detail=f"{job.algorithm} on {job.dataset}", path=f"/training/jobs/{job.job}"
        )
        put = self._jobs.to_put(Stored(job, 0))
        self._records.write([put, self._datasets.use(dataset, job.job), entry, *others])

    def _launch(self, job: StoredJob) -> bool:
        """False when the runner will never take it: then it has failed."""
        try:
            self._runner.start(spec_of(job))
        except Invalid as error:
            reason = error.detail[:1024]
            state = JobState("Failed", "Failed", reason, ended_at=rfc3339(self._clock()))
            until_unbeaten(lambda: self._end(job.job, state), what=job.job)
            return False
        return True

    def _new_job(self, by: Principal, request: StartTraining, dataset: StoredDataset, **own: Any) -> StoredJob:
        """Raises Invalid for what could only fail."""
        self._registry.check_purpose(request.model, request.target, request.problem_type)
        parameters = check_request(request, self._datasets.report(dataset), self._most_instances)
        now = self._clock()
        values = request.model_dump() | {
            "dataset": dataset.version,
            "hyperparameters": parameters,
            "job": job_name(request.model, request.algorithm, now),
            "status": "InProgress",
            "secondary_status": "Pending",
            "dataset_sha256": dataset.sha256,
            "created_at": rfc3339(now),
            "created_by": by.name,
        }
        return StoredJob(**(values | own))

    # ---- jobs of pipelines

    def record(self, by: Principal, request: StartTraining, job: str, **own: str | None) -> TrainingJob:
        """Record a job that its pipeline begins; one of that name is left as it is. Raises as `start` does.

        `own`: its execution, champion and champion_key.
        """
        return until_unbeaten(lambda: self._record_once(by, request, job, own), what=job)

    def _record_once(self, by: Principal, request: StartTraining, job: str, own: Mapping[str, Any]) -> TrainingJob:
        found = self._jobs.find(job)
        if found is not None:
            return visible(found.value)
        dataset = self._datasets.ready(request.dataset)
        new = self._new_job(by, request, dataset.value, job=job, **own)
        self._write_new(by, new, dataset, [])
        return visible(new)

    def check(self, request: StartTraining) -> None:
        """Raises as `start` does, and starts nothing."""
        self._new_job(PLATFORM, request, self._datasets.ready(request.dataset).value)

    def carry_on(self, job: str) -> TrainingJob:
        """Begin a recorded job unless it was begun, write its end if it has ended. Harmless when repeated."""
        stored = self._jobs.get(job).value
        if stored.status == "InProgress":
            self._launch(stored)
        return self.settled(job)

    def settled(self, job: str) -> TrainingJob:
        """What is recorded of it, once its end is written if it has ended."""
        if self._is_begun(job):
            self.on_training_change(job)
        return visible(self._jobs.get(job).value)

    def _is_begun(self, job: str) -> bool:
        try:
            self._runner.describe(job)
        except NotFound:
            return False
        return True

    # ---- follow

    def get(self, job: str) -> TrainingJob:
        return self._live(self._jobs.get(job).value)

    def _live(self, job: StoredJob) -> TrainingJob:
        """The record, with what the runner knows while the job is under way."""
        if job.status in TERMINAL:
            return visible(job)
        try:
            state = self._runner.describe(job.job)
        except NotFound:
            return visible(job)  # written, not started yet: reconcile starts it
        # Terminal only once its record says so: a client that sees Completed finds the model version.
        status: JobStatus = job.status if state.status in TERMINAL else _status(job, state)
        return visible(job.model_copy(update=progress_of(state) | {"status": status}))

    def page(
        self,
        *,
        model: str | None,
        status: JobStatus | None,
        by_metric: bool,
        descending: bool,
        limit: int,
        token: str | None,
    ) -> TrainingJobPage:
        """By start time, newest first, or by the objective metric of one model's completed jobs."""
        index, partition = _partition(model, status, by_metric)
        page = self._jobs.page(index, partition, descending=descending, limit=limit, token=token)
        return TrainingJobPage(jobs=[self._live(job) for job in page.values], next_token=page.next_token)

    def logs(self, job: str, *, after: int, limit: int) -> LogPage:
        stored = self._jobs.get(job).value
        try:
            chunk = self._runner.logs(job, after=after, limit=limit)
        except NotFound:
            return LogPage(lines=[], next_after=after, complete=stored.status in TERMINAL)
        complete = stored.status in TERMINAL and len(chunk.lines) < limit
        return LogPage(lines=list(chunk.lines), next_after=chunk.next_after, complete=complete)

    def metrics(self, job: str) -> MetricSeries:
        self._jobs.get(job)
        try:
            values = self._runner.metrics(job)
        except NotFound:
            values = []
        return MetricSeries(points=[MetricPoint(name=item.name, step=item.step, value=item.value) for item in values])

    # ---- stop

    def abandon(self, by: Principal, job: str) -> None:
        """As stop; no error when it has ended or was never recorded."""
        with suppress(NotFound, Conflict):
            self.stop(by, job)

    def stop(self, by: Principal, job: str) -> TrainingJob:
        """Ask a job to stop. Raises Conflict when it has ended; asking twice is no error."""
        stopping = until_unbeaten(lambda: self._mark_stopping(by, job), what=job)
        self._stop_marked(stopping)
        return self.get(job)

    def _stop_marked(self, job: StoredJob) -> None:
        if job.execution is not None and not self._is_begun(job.job):
            never = JobState(
                "Stopped", "Stopped", "Its pipeline ended before it began.", ended_at=rfc3339(self._clock())
            )
            until_unbeaten(lambda: self._end(job.job, never), what=job.job)
        elif self._launch(job):  # so that a job whose start was lost in a crash can be stopped
            self._runner.stop(job.job)

    def _mark_stopping(self, by: Principal, job: str) -> StoredJob:
        stored = self._jobs.get(job)
        if stored.value.status in TERMINAL:
            raise Conflict(f"{job} is {stored.value.status}: it has ended.", status_now=stored.value.status)
        if stored.value.status == "Stopping":
            return stored.value
        stopping = stored.value.model_copy(update={"status": "Stopping"})
        entry = self._activity.entry(by, "training.stop", job, path=f"/training/jobs/{job}")
        self._records.write([self._jobs.to_put(stored.with_value(stopping)), entry])
        return stopping

    # ---- events

    def on_training_change(self, job: str) -> None:
        """React to a job's event: once it has ended, write how, and register the version. Repeats change nothing."""
        # A stop, another delivery or another version's number may come between.
        until_unbeaten(lambda: self._settle(job), what=job)

    def _settle(self, job: str) -> None:
        stored = self._jobs.find(job)
        if stored is None or stored.value.status in TERMINAL:
            return
        state = self._runner.describe(job)
        if state.status in TERMINAL:
            self._end(job, state)

    def _end(self, job: str, state: JobState) -> None:
        stored = self._jobs.get(job)
        if stored.value.status in TERMINAL:
            return
        ended = stored.value.model_copy(update=progress_of(state) | {"status": state.status})
        if state.status == "Completed":
            self._complete(stored.with_value(ended))
        else:
            self._write_end(stored.with_value(ended))

    def _complete(self, stored: Stored[StoredJob]) -> None:
        job = stored.value
        try:
            source = Source(job.job, job.model, job.dataset, model_key(job.job), job.created_by)
            registration = self._registry.registrar.prepare(source)
        except (Invalid, NotFound, ValidationError) as error:
            reason = f"The job ended well, but its bundle cannot be registered: {error}"
            failed = job.model_copy(
                update={"status": "Failed", "secondary_status": "Failed", "failure_reason": reason[:1024]}
            )
            self._write_end(stored.with_value(failed))
            return
        completed = job.model_copy(
            update={
                "model_version": registration.version,
                "progress": 1.0,
                "metrics": job.metrics | {f"validation:{name}": value for name, value in registration.metrics.items()},
                "objective_value": registration.objective_value,
                "problem_type": registration.problem_type,
            }
        )
        self._write_end(stored.with_value(completed), registration.writes)
        self._registry.mirroring.push(registration.version)

    def _write_end(self, ended: Stored[StoredJob], more: Sequence[Write] = ()) -> None:
        self._records.write([self._jobs.to_put(ended), *self._reports.entries(ended.value), *more])
        self._reports.send(ended.value)

    def reconcile(self) -> None:
        """Make good what a crash left undone: every job under way is known to the runner, every ended one settled."""
        statuses = ("InProgress", "Stopping")
        each([job for status in statuses for job in self._jobs.every("status", f"{JOBS}/{status}")], self._repair)

    def _repair(self, job: StoredJob) -> None:
        if job.status == "Stopping":
            self._stop_marked(job)
        elif job.execution is None and not self._launch(job):
            return
        self.settled(job.job)


def _status(job: StoredJob, state: JobState) -> JobStatus:
    return "Stopping" if job.status == "Stopping" else state.status


def _partition(model: str | None, status: JobStatus | None, by_metric: bool) -> tuple[Index, str]:
    if by_metric:
        if model is None or status is not None:
            raise Invalid("sort=metric ranks the completed jobs of one model: give model, leave out status.")
        return "rank", f"{JOBS}/{model}"
    if model is not None:
        return ("group_status", f"{JOBS}/{model}/{status}") if status else ("group", f"{JOBS}/{model}")
    return ("status", f"{JOBS}/{status}") if status else ("all", JOBS)
