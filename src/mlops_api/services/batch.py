"""Batch scoring: a dataset version through an approved model version, by the transform runner."""

from collections.abc import Mapping

from mlops_api.domain.errors import Conflict, Invalid, NotFound
from mlops_api.domain.inference import StartBatch, TransformJob, TransformJobPage
from mlops_api.domain.models import DownloadUrl
from mlops_api.domain.names import job_name
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.domain.training import TERMINAL, JobStatus
from mlops_api.ports import (
    Index,
    JobState,
    ObjectStore,
    Place,
    RecordStore,
    TransformRunner,
    TransformSpec,
    TransformState,
)
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.dataset_records import table_prefix
from mlops_api.services.datasets import DatasetService
from mlops_api.services.idempotency import Idempotency, IdempotentCall
from mlops_api.services.policy import Policy
from mlops_api.services.principal import PLATFORM, Principal
from mlops_api.services.registry import RegistryService
from mlops_api.services.repair import begin, each

_ALL = "transform-job"
OUTPUT_PREFIX = "transform"


class StoredTransform(TransformJob):
    """The record. It hangs on its model version and its dataset version alike (see `places`)."""

    bundle_key: str
    max_runtime_seconds: int


def transform_collection(records: RecordStore) -> Collection[StoredTransform]:
    def places(job: StoredTransform) -> Mapping[Index, Place]:
        return {
            "all": Place(_ALL, job.created_at),
            "status": Place(f"{_ALL}/{job.status}", job.created_at),
            "related": Place(f"model/{job.model_version}", job.created_at),
            # `related` is taken by the model version; `group` keeps the dataset's jobs for deletion checks.
            "group": Place(f"{_ALL}/{job.input}", job.created_at),
        }

    return Collection(
        records, "transform-job", StoredTransform, what="batch job", key=lambda job: job.transform_job, places=places
    )


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
        self._runner = runner
        self._datasets = datasets
        self._registry = registry
        self._activity = activity
        self._idempotency = idempotency
        self._policy = policy
        self._clock = clock
        self._jobs = transform_collection(records)

    def start(self, by: Principal, request: StartBatch, idempotency_key: str | None) -> TransformJob:
        """Raises Conflict when the model version is not Approved or the dataset version not Ready."""
        call = self._idempotency.call(by, "start-batch", idempotency_key, request.model_dump_json())
        # Another request may claim the same key, or another job use the dataset.
        return until_unbeaten(lambda: self._start_once(by, request, call), what=request.input)

    def _start_once(self, by: Principal, request: StartBatch, call: IdempotentCall) -> TransformJob:
        earlier = call.earlier_result()
        if earlier is not None:
            return self.get(earlier)
        version = self._registry.approved(request.model)
        dataset = self._datasets.ready(request.input)
        now = self._clock()
        job = StoredTransform(
            transform_job=job_name(version.model, "batch", now),
            status="InProgress",
            model_version=version.version,
            input=dataset.value.version,
            format=request.format,
            rows=dataset.value.rows,
            created_at=rfc3339(now),
            created_by=by.name,
            bundle_key=version.bundle_key,
            max_runtime_seconds=request.max_runtime_seconds,
        )
        path = f"/inference/batch/{job.transform_job}"
        detail = f"{job.input} with {job.model_version}"
        entry = self._activity.entry(by, "batch.start", job.transform_job, detail=detail, path=path)
        use = self._datasets.use(dataset, job.transform_job)
        self._records.write([self._jobs.to_put(Stored(job, 0)), use, entry, *call.writes(job.transform_job)])
        refused = begin(lambda: self._launch(job), job.transform_job) is False
        return self.get(job.transform_job) if refused else _visible(job)

    def _launch(self, job: StoredTransform) -> bool:
        """False when the runner will never take it: then it has failed."""
        try:
            self._runner.start(_spec(job))
        except Invalid as error:
            refusal = JobState("Failed", "Failed", error.detail[:1024], ended_at=rfc3339(self._clock()))
            state = TransformState(refusal, None, 0, 0)
            until_unbeaten(lambda: self._end(job.transform_job, state), what=job.transform_job)
            return False
        return True

    def get(self, job: str) -> TransformJob:
        return self._live(self._jobs.get(job).value)

    def page(self, *, status: JobStatus | None, limit: int, token: str | None) -> TransformJobPage:
        index: Index = "status" if status else "all"
        page = self._jobs.page(index, f"{_ALL}/{status}" if status else _ALL, limit=limit, token=token)
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
        stopping = until_unbeaten(lambda: self._mark_stopping(by, job), what=job)
        if self._launch(stopping):  # so that a job whose start was lost in a crash can be stopped
            self._runner.stop(job)
        return self.get(job)

    def _mark_stopping(self, by: Principal, job: str) -> StoredTransform:
        stored = self._jobs.get(job)
        if stored.value.status in TERMINAL:
            raise Conflict(f"{job} is {stored.value.status}: it has ended.", status_now=stored.value.status)
        if stored.value.status == "Stopping":
            return stored.value
        stopping = stored.value.model_copy(update={"status": "Stopping"})
        entry = self._activity.entry(by, "batch.stop", job, path=f"/inference/batch/{job}")
        self._records.write([self._jobs.to_put(stored.with_value(stopping)), entry])
        return stopping

    # ---- events

    def on_transform_change(self, job: str) -> None:
        """React to a transform job's event: once it has ended, write how. Repeats change nothing."""
        # A stop or another delivery may come between.
        until_unbeaten(lambda: self._settle(job), what=job)

    def _settle(self, job: str) -> None:
        stored = self._jobs.find(job)
        if stored is None or stored.value.status in TERMINAL:
            return
        state = self._runner.describe(job)
        if state.state.status in TERMINAL:
            self._end(job, state)

    def _end(self, job: str, state: TransformState) -> None:
        stored = self._jobs.get(job)
        if stored.value.status in TERMINAL:
            return
        ended = _with_state(stored.value, state, state.state.status)
        entry = self._activity.entry(
            PLATFORM,
            f"batch.{ended.status.lower()}",
            job,
            detail=ended.failure_reason or f"{ended.done_rows} rows, {ended.failed_rows} failed",
            path=f"/inference/batch/{job}",
        )
        self._records.write([self._jobs.to_put(stored.with_value(ended)), entry])

    def reconcile(self) -> None:
        """Make good what a crash left undone."""
        statuses = ("InProgress", "Stopping")
        each([job for status in statuses for job in self._jobs.every("status", f"{_ALL}/{status}")], self._repair)

    def _repair(self, job: StoredTransform) -> None:
        if not self._launch(job):
            return
        if job.status == "Stopping":
            self._runner.stop(job.transform_job)
        self.on_transform_change(job.transform_job)

    def _live(self, job: StoredTransform) -> TransformJob:
        if job.status in TERMINAL:
            return _visible(job)
        try:
            state = self._runner.describe(job.transform_job)
        except NotFound:
            return _visible(job)  # written, not started yet: reconcile starts it
        return _visible(_with_state(job, state, job.status))


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
