"""Training jobs: start, follow, stop (job_life says how), and what happens when one ends.

The version is registered in the same write that makes its job Completed, so once.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import ValidationError

from mlops_api.domain.errors import Conflict, Invalid, NotFound
from mlops_api.domain.names import VersionRef, job_name, parse_version
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
from mlops_api.ports import JobState, RecordName, RecordStore, TrainingRunner, TrainingSpec, Write
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.dataset_reading import check_ready
from mlops_api.services.dataset_records import StoredDataset
from mlops_api.services.datasets import DatasetService
from mlops_api.services.found import Found
from mlops_api.services.idempotency import Idempotency, IdempotentCall
from mlops_api.services.job_life import JobKind, JobLife
from mlops_api.services.listing import listed
from mlops_api.services.principal import PLATFORM, Principal
from mlops_api.services.registration import Source, check_purpose
from mlops_api.services.registry import RegistryService
from mlops_api.services.training_records import (
    JOBS,
    PATH,
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
        self._life = JobLife(records, self._jobs, self._kind(), activity, clock)

    def _kind(self) -> JobKind[StoredJob, JobState]:
        return JobKind(
            word="training",
            path=PATH,
            all=JOBS,
            name_of=lambda job: job.job,
            runner=self._runner,
            start=lambda job: self._runner.start(spec_of(job)),
            of_state=lambda state: state,
            status_of=lambda state: state.status,
            end=self._end,
            waits=lambda job: job.execution is not None,
        )

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
        return call.once(lambda: self._start_once(by, request, call), what=request.dataset)

    def _start_once(self, by: Principal, request: StartTraining, call: IdempotentCall) -> TrainingJob:
        read, table = self._read(request, call.names)
        earlier = call.earlier_result(read)
        if earlier is not None:
            return self.get(earlier)
        dataset = self._ready(read, table)
        stored = Stored(self._new_job(by, request, read, dataset.value), 0)
        self._write_new(by, stored, dataset, call.writes(stored.value.job))
        return visible(self._life.began(stored.written()))

    def _read(self, request: StartTraining, others: Sequence[RecordName] = ()) -> tuple[Found, VersionRef]:
        """What a new job rests on, or the first half of it, and which dataset version is meant."""
        table = parse_version(request.dataset, what="dataset version")
        names = [self._registry.resolver.models.name_of(request.model), self._datasets.resolver.first(table)]
        return Found.read(self._records, [*names, *others]), table

    def _ready(self, read: Found, table: VersionRef) -> Stored[StoredDataset]:
        resolver = self._datasets.resolver
        dataset = resolver.version_in(read.and_also([resolver.target(read, table)]), table)
        check_ready(dataset.value)
        return dataset

    def _write_new(
        self, by: Principal, stored: Stored[StoredJob], dataset: Stored[StoredDataset], others: Sequence[Write]
    ) -> None:
        job = stored.value
        detail = f"{job.algorithm} on {job.dataset}"
        entry = self._activity.entry(by, "training.start", job.job, detail=detail, path=f"{PATH}/{job.job}")
        self._records.write([self._jobs.to_put(stored), self._datasets.use(dataset, job.job), entry, *others])

    def _new_job(
        self, by: Principal, request: StartTraining, read: Found, dataset: StoredDataset, **own: Any
    ) -> StoredJob:
        """Raises Invalid for what could only fail."""
        model = read.find(self._registry.resolver.models, request.model)
        if model is not None:
            check_purpose(model.value, request.target, request.problem_type)
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
        read, table = self._read(request, [self._jobs.name_of(job)])
        found = read.find(self._jobs, job)
        if found is not None:
            return visible(found.value)
        dataset = self._ready(read, table)
        new = self._new_job(by, request, read, dataset.value, job=job, **own)
        self._write_new(by, Stored(new, 0), dataset, [])
        return visible(new)

    def check(self, request: StartTraining) -> None:
        """Raises as `start` does, and starts nothing."""
        read, table = self._read(request)
        self._new_job(PLATFORM, request, read, self._ready(read, table).value)

    def carry_on(self, job: str) -> TrainingJob:
        """Begin a recorded job unless it was begun, write its end if it has ended. Harmless when repeated."""
        return visible(self._life.carry_on(job))

    def spec(self, job: str) -> TrainingSpec:
        """What the runner is asked for. Raises NotFound."""
        return spec_of(self._jobs.get(job).value)

    def settled(self, job: str) -> TrainingJob:
        """What is recorded of it, once its end is written if it has ended."""
        return visible(self._life.settled(job))

    # ---- follow

    def get(self, job: str) -> TrainingJob:
        return self._live(self._jobs.get(job).value)

    def _live(self, job: StoredJob) -> TrainingJob:
        """The record, with what the runner knows while the job is under way."""
        state = self._life.state(job)
        if state is None:
            return visible(job)
        # Terminal only once its record says so: a client that sees Completed finds the model version.
        status: JobStatus = job.status if state.status in TERMINAL else _status(job, state)
        return visible(job.model_copy(update=progress_of(state) | {"status": status}))

    def progress(self, job: str) -> float:
        """Of a job under way, as its runner tells it: from 0, before it began, to 1."""
        try:
            return self._runner.describe(job).progress
        except NotFound:
            return 0.0

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
        index, partition = listed(JOBS, model, status, ranked="completed jobs" if by_metric else None)
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
        return self._live(self._life.stop(by, job))

    # ---- events

    def on_training_change(self, job: str) -> None:
        """React to a job's event: once it has ended, write how, and register the version. Repeats change nothing."""
        self._life.on_change(job)

    def reconcile(self) -> None:
        """Make good what a crash left undone: every job under way is known to the runner, every ended one settled."""
        self._life.reconcile()

    def _end(self, stored: Stored[StoredJob], state: JobState) -> StoredJob:
        ended = stored.with_value(stored.value.model_copy(update=progress_of(state) | {"status": state.status}))
        return self._complete(ended) if state.status == "Completed" else self._write_end(ended)

    def _complete(self, stored: Stored[StoredJob]) -> StoredJob:
        job = stored.value
        try:
            source = Source(job.job, job.model, job.dataset, model_key(job.job), job.created_by)
            registration = self._registry.registrar.prepare(source)
        except (Invalid, NotFound, ValidationError) as error:
            reason = f"The job ended well, but its bundle cannot be registered: {error}"
            failed = job.model_copy(
                update={"status": "Failed", "secondary_status": "Failed", "failure_reason": reason[:1024]}
            )
            return self._write_end(stored.with_value(failed))
        version = registration.registered
        completed = job.model_copy(
            update={
                "model_version": version.version,
                "progress": 1.0,
                "metrics": job.metrics | {f"validation:{name}": value for name, value in version.metrics.items()},
                "objective_value": version.objective_value,
                "problem_type": version.problem_type,
            }
        )
        ended = self._write_end(stored.with_value(completed), registration.writes)
        self._registry.mirroring.show(version)
        return ended

    def _write_end(self, ended: Stored[StoredJob], more: Sequence[Write] = ()) -> StoredJob:
        self._records.write([self._jobs.to_put(ended), *self._reports.entries(ended.value), *more])
        self._reports.send(ended.value)
        return ended.value


def _status(job: StoredJob, state: JobState) -> JobStatus:
    return "Stopping" if job.status == "Stopping" else state.status
