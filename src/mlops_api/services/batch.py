"""Batch scoring: a dataset version through an approved model version, by the transform runner."""

from collections.abc import Mapping

from mlops_api.domain.errors import Conflict
from mlops_api.domain.inference import StartBatch, TransformJob, TransformJobPage
from mlops_api.domain.models import DownloadUrl
from mlops_api.domain.names import job_name, parse_model, parse_version
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.domain.training import JobStatus
from mlops_api.ports import (
    Index,
    ObjectStore,
    Place,
    RecordStore,
    TransformRunner,
    TransformSpec,
    TransformState,
    Write,
)
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.dataset_reading import check_ready
from mlops_api.services.dataset_records import StoredDataset, table_prefix
from mlops_api.services.datasets import DatasetService
from mlops_api.services.found import Found
from mlops_api.services.idempotency import Idempotency, IdempotentCall
from mlops_api.services.job_life import JobKind, JobLife, JobRecord
from mlops_api.services.listing import listed
from mlops_api.services.model_records import StoredVersion, check_approved, relatives
from mlops_api.services.policy import Policy
from mlops_api.services.principal import PLATFORM, Principal
from mlops_api.services.registry import RegistryService
from mlops_api.services.tally import Card, Tally, attention

_ALL = "transform-job"
OUTPUT_PREFIX = "transform"
PATH = "/inference/batch"


class StoredTransform(TransformJob, JobRecord):
    """The record: the job as clients see it and what its spec needs."""

    bundle_key: str
    max_runtime_seconds: int


def transform_collection(records: RecordStore) -> Collection[StoredTransform]:
    def places(job: StoredTransform) -> Mapping[Index, Place]:
        return {
            "all": Place(_ALL, job.created_at),
            "status": Place(f"{_ALL}/{job.status}", job.created_at),
            "related": Place(relatives(job.model_version), job.created_at),
        }

    return Collection(
        records,
        "transform-job",
        StoredTransform,
        what="batch job",
        key=lambda job: job.transform_job,
        places=places,
        tally=Tally(lambda job: {"batch_jobs": 1, f"batch_jobs/{job.status}": 1}, _card),
    )


def _card(job: StoredTransform) -> Card | None:
    if job.status != "Failed":
        return None
    at, path = job.ended_at or job.created_at, f"{PATH}/{job.transform_job}"
    return attention("failed_batch", job.transform_job, job.failure_reason or "failed", at, path, days=7)


class BatchService:
    def __init__(
        self,
        *,
        records: RecordStore,
        objects: ObjectStore,
        runner: TransformRunner,
        datasets: DatasetService,
        registry: RegistryService,
        activity: ActivityLog,
        idempotency: Idempotency,
        policy: Policy,
        clock: Clock,
    ) -> None:
        self._records = records
        self._objects = objects
        self._datasets = datasets
        self._registry = registry
        self._activity = activity
        self._idempotency = idempotency
        self._policy = policy
        self._clock = clock
        self._jobs = transform_collection(records)
        self._life = JobLife(records, self._jobs, self._kind(runner), activity, clock)

    def _kind(self, runner: TransformRunner) -> JobKind[StoredTransform, TransformState]:
        return JobKind(
            word="batch",
            path=PATH,
            all=_ALL,
            name_of=lambda job: job.transform_job,
            runner=runner,
            start=lambda job: runner.start(_spec(job)),
            of_state=lambda state: TransformState(state, None, 0, 0),
            status_of=lambda state: state.state.status,
            end=self._end,
        )

    def start(self, by: Principal, request: StartBatch, idempotency_key: str | None) -> TransformJob:
        """Raises Conflict when the model version is not Approved or the dataset version not Ready."""
        call = self._idempotency.call(by, "start-batch", idempotency_key, request.model_dump_json())
        # Another request may claim the same key, or another job use the dataset.
        return call.once(lambda: self._start_once(by, request, call), what=request.input)

    def _start_once(self, by: Principal, request: StartBatch, call: IdempotentCall) -> TransformJob:
        versions, datasets = self._registry.resolver, self._datasets.resolver
        model, table = parse_model(request.model), parse_version(request.input, what="dataset version")
        read = Found.read(self._records, [*call.names, versions.first(model), datasets.first(table)])
        earlier = call.earlier_result(read)
        if earlier is not None:
            return self.get(earlier)
        read = read.and_also([versions.target(read, model), datasets.target(read, table)])
        version, dataset = versions.version_in(read, model), datasets.version_in(read, table)
        check_approved(version.value)
        check_ready(dataset.value)
        stored = Stored(self._new_job(by, request, version.value, dataset.value), 0)
        self._records.write([self._jobs.to_put(stored), *self._beginning(by, stored.value, dataset, call)])
        return _visible(self._life.began(stored.written()))

    def _new_job(
        self, by: Principal, request: StartBatch, version: StoredVersion, dataset: StoredDataset
    ) -> StoredTransform:
        now = self._clock()
        return StoredTransform(
            transform_job=job_name(version.model, "batch", now),
            status="InProgress",
            model_version=version.version,
            input=dataset.version,
            format=request.format,
            rows=dataset.rows,
            created_at=rfc3339(now),
            created_by=by.name,
            bundle_key=version.bundle_key,
            max_runtime_seconds=request.max_runtime_seconds,
        )

    def _beginning(
        self, by: Principal, job: StoredTransform, dataset: Stored[StoredDataset], call: IdempotentCall
    ) -> list[Write]:
        """What is written with a new job."""
        detail = f"{job.input} with {job.model_version}"
        name = job.transform_job
        entry = self._activity.entry(by, "batch.start", name, detail=detail, path=f"{PATH}/{name}")
        return [self._datasets.use(dataset, name), entry, *call.writes(name)]

    def get(self, job: str) -> TransformJob:
        return self._live(self._jobs.get(job).value)

    def page(self, *, status: JobStatus | None, limit: int, token: str | None) -> TransformJobPage:
        page = self._jobs.page(*listed(_ALL, None, status), limit=limit, token=token)
        return TransformJobPage(transform_jobs=[self._live(job) for job in page.values], next_token=page.next_token)

    def results(self, job: str) -> DownloadUrl:
        """Raises Conflict while the job is not Completed."""
        stored = self._jobs.get(job).value
        if stored.status != "Completed":
            raise Conflict(f"{job} is {stored.status}: results exist once it is Completed.", status_now=stored.status)
        key = f"{OUTPUT_PREFIX}/{job}/results.{stored.format}"
        url, expires_at = self._objects.download_url(
            key, filename=f"{job}.{stored.format}", expires_in=self._policy.download_seconds
        )
        return DownloadUrl(url=url, expires_at=expires_at, size_bytes=self._objects.info(key).size)

    def stop(self, by: Principal, job: str) -> TransformJob:
        """Raises Conflict when it has ended."""
        return self._live(self._life.stop(by, job))

    def on_transform_change(self, job: str) -> None:
        """React to a transform job's event: once it has ended, write how. Repeats change nothing."""
        self._life.on_change(job)

    def reconcile(self) -> None:
        """Make good what a crash left undone."""
        self._life.reconcile()

    def _end(self, stored: Stored[StoredTransform], state: TransformState) -> StoredTransform:
        ended = _with_state(stored.value, state, state.state.status)
        entry = self._activity.entry(
            PLATFORM,
            f"batch.{ended.status.lower()}",
            ended.transform_job,
            detail=ended.failure_reason or f"{ended.done_rows} rows, {ended.failed_rows} failed",
            path=f"{PATH}/{ended.transform_job}",
        )
        self._records.write([self._jobs.to_put(stored.with_value(ended)), entry])
        return ended

    def _live(self, job: StoredTransform) -> TransformJob:
        """The record, with what the runner knows while the job is under way."""
        state = self._life.state(job)
        return _visible(_with_state(job, state, job.status) if state is not None else job)


def _with_state(job: StoredTransform, state: TransformState, status: JobStatus) -> StoredTransform:
    rows = state.rows if state.rows is not None else job.rows
    done = state.done_rows
    return job.model_copy(
        update={
            "status": status,
            "rows": rows,
            "done_rows": done,
            "failed_rows": state.failed_rows,
            "progress": 1.0 if status == "Completed" else (done / rows if rows else 0.0),
            "failure_reason": state.state.failure_reason,
            "ended_at": state.state.ended_at,
        }
    )


def _spec(job: StoredTransform) -> TransformSpec:
    name, _, number = job.input.partition(":")
    return TransformSpec(
        job=job.transform_job,
        model_key=job.bundle_key,
        input_prefix=table_prefix(name, int(number)),
        output_prefix=OUTPUT_PREFIX,
        format=job.format,
        max_runtime_seconds=job.max_runtime_seconds,
    )


def _visible(job: StoredTransform) -> TransformJob:
    return TransformJob.model_validate(job.model_dump())
