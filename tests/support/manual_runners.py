"""Runners whose jobs move only when a test says so. They keep the promises of the ports: a start is idempotent by
name, what was never started is NotFound, a job that ended well has left its files in the object store.

Nothing here decides anything a service decides; events are handed over by the test, as often as it likes.
"""

import io
import json
import tarfile
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from mlops_api.domain.errors import Conflict, NotFound, Unavailable
from mlops_api.domain.times import Clock, rfc3339, utc_now
from mlops_api.domain.training import TERMINAL, JobStatus
from mlops_api.ports import (
    EndpointState,
    HostStatus,
    Invocation,
    JobState,
    LogChunk,
    MetricValue,
    ObjectStore,
    ProcessingSpec,
    TrainingSpec,
    TransformSpec,
    TransformState,
    VariantSpec,
)
from mlops_contracts.bundle import EVALUATION, MANIFEST, MODEL_CARD, Manifest
from mlops_contracts.dataset import DatasetReport, Preview, Profile
from mlops_contracts.evaluation import Evaluation
from mlops_contracts.statistics import Statistics

Spec = TypeVar("Spec", TrainingSpec, ProcessingSpec, TransformSpec)

EVENTS = {
    "training": ("SageMaker Training Job State Change", "TrainingJobName"),
    "processing": ("SageMaker Processing Job State Change", "ProcessingJobName"),
    "transform": ("SageMaker Transform Job State Change", "TransformJobName"),
    "endpoint": ("SageMaker Endpoint State Change", "EndpointName"),
}


def event(kind: str, name: str) -> dict[str, Any]:
    """The event that says that something about `name` has changed."""
    detail_type, key = EVENTS[kind]
    return {"source": "aws.sagemaker", "detail-type": detail_type, "detail": {key: name}}


class _Jobs(Generic[Spec]):
    """`starts` counts the jobs that really began; `lost` makes the next starts vanish, as a crash does."""

    def __init__(self, objects: ObjectStore, clock: Clock = utc_now) -> None:
        self.objects = objects
        self._clock = clock
        self.specs: dict[str, Spec] = {}
        self.states: dict[str, JobState] = {}
        self.starts: Counter[str] = Counter()
        self.stops: Counter[str] = Counter()
        self.lost: BaseException | None = None
        self._lock = threading.Lock()

    def start(self, spec: Spec) -> None:
        if self.lost is not None:
            raise self.lost
        with self._lock:
            if spec.job in self.specs:
                return
            self.specs[spec.job] = spec
            self.starts[spec.job] += 1
            self.states[spec.job] = JobState("InProgress", "Starting", started_at=rfc3339(self._clock()))

    def stop(self, job: str) -> None:
        if self._state(job).status not in TERMINAL:
            self.stops[job] += 1
            self.set(job, status="Stopping")

    def set(self, job: str, **changes: Any) -> None:
        with self._lock:
            self.states[job] = replace(self.states[job], **changes)

    def end(self, job: str, status: JobStatus, reason: str | None = None) -> None:
        self.set(job, status=status, secondary_status=status, failure_reason=reason, ended_at=rfc3339(self._clock()))

    def _state(self, job: str) -> JobState:
        with self._lock:
            if job not in self.states:
                raise NotFound(f"There is no job {job}.")
            return self.states[job]


class ManualTraining(_Jobs[TrainingSpec]):
    """ports.TrainingRunner"""

    def __init__(self, objects: ObjectStore, clock: Clock = utc_now) -> None:
        super().__init__(objects, clock)
        self.lines: dict[str, list[str]] = {}
        self.values: dict[str, list[MetricValue]] = {}

    def describe(self, job: str) -> JobState:
        return self._state(job)

    def logs(self, job: str, *, after: int = 0, limit: int = 1000) -> LogChunk:
        self._state(job)
        lines = self.lines.get(job, [])[after : after + limit]
        return LogChunk(lines, after + len(lines))

    def metrics(self, job: str) -> Sequence[MetricValue]:
        self._state(job)
        return self.values.get(job, [])

    def complete(self, job: str, manifest: Manifest, evaluation: Evaluation) -> None:
        self.complete_with(job, bundle_files(manifest, evaluation))

    def complete_with(self, job: str, files: Mapping[str, bytes]) -> None:
        self.leave(job, tar_gz(files))
        self.end(job, "Completed")

    def leave(self, job: str, content: bytes) -> None:
        """Put these bytes where the bundle belongs."""
        self.objects.put(f"{self.specs[job].output_prefix}/{job}/output/model.tar.gz", content)


class ManualProcessing(_Jobs[ProcessingSpec]):
    """ports.ProcessingRunner"""

    def describe(self, job: str) -> JobState:
        return self._state(job)

    def complete(
        self,
        job: str,
        report: DatasetReport,
        profile: Profile | None = None,
        preview: Preview | None = None,
        statistics: Statistics | None = None,
    ) -> None:
        prefix = self.specs[job].output_prefix
        files = {"profile": profile, "preview": preview, "statistics": statistics, "dataset": report}
        for name, content in files.items():
            if content is not None:
                self.objects.put(f"{prefix}/{name}.json", content.model_dump_json(exclude_none=True).encode())
        self.end(job, "Completed")


class ManualTransform(_Jobs[TransformSpec]):
    """ports.TransformRunner"""

    def __init__(self, objects: ObjectStore, clock: Clock = utc_now) -> None:
        super().__init__(objects, clock)
        self.rows: dict[str, tuple[int, int, int]] = {}

    def describe(self, job: str) -> TransformState:
        state = self._state(job)
        if job not in self.rows:
            return TransformState(state, None, 0, 0)
        rows, done, failed = self.rows[job]
        return TransformState(replace(state, progress=done / rows), rows, done, failed)

    def complete(self, job: str, content: bytes, *, rows: int, failed: int = 0) -> None:
        spec = self.specs[job]
        self.objects.put(f"{spec.output_prefix}/{job}/results.{spec.format}", content)
        self.rows[job] = (rows, rows, failed)
        self.end(job, "Completed")


@dataclass
class _Hosted:
    serving: tuple[VariantSpec, ...] = ()
    pending: tuple[VariantSpec, ...] = ()
    reason: str | None = None
    deleting: bool = False
    changes: int = 0


@dataclass
class ManualHost:
    """ports.EndpointHost. `answer` is the container: (variant, body, content type) -> (status, body).

    Without it every request is answered with its own number of bytes as the value.
    """

    hosted: dict[str, _Hosted] = field(default_factory=dict)
    answer: Callable[[VariantSpec, bytes, str], tuple[int, bytes]] | None = None
    deploys: Counter[str] = field(default_factory=Counter)
    lost: BaseException | None = None
    busy: bool = False
    slow_deletion: bool = False
    """delete() only begins; removed() says that it is over."""

    def deploy(self, endpoint: str, variants: Sequence[VariantSpec]) -> None:
        if self.lost is not None:
            raise self.lost
        found = self.hosted.setdefault(endpoint, _Hosted())
        if found.deleting:
            raise Conflict(f"Endpoint {endpoint} is being deleted; try again in a moment.")
        wanted = tuple(variants)
        if found.pending == wanted or (not found.pending and found.serving == wanted):
            return
        self.deploys[endpoint] += 1
        found.pending, found.reason = wanted, None
        found.changes += 1

    def describe(self, endpoint: str) -> EndpointState:
        if endpoint not in self.hosted:
            raise NotFound(f"There is no endpoint {endpoint}.")
        found = self.hosted[endpoint]
        changed_at = f"change {found.changes}"
        if found.deleting:
            return EndpointState("Deleting", found.serving, changed_at=changed_at)
        if found.pending:
            status: HostStatus = "Updating" if found.serving else "Creating"
            return EndpointState(status, found.serving, found.pending, changed_at=changed_at)
        status = "InService" if found.serving else "Failed"
        return EndpointState(status, found.serving, (), found.reason, changed_at=changed_at)

    def delete(self, endpoint: str) -> None:
        if self.slow_deletion and endpoint in self.hosted:
            self.hosted[endpoint].deleting = True
        else:
            self.hosted.pop(endpoint, None)

    def removed(self, endpoint: str) -> None:
        """A deletion is over."""
        del self.hosted[endpoint]

    def loaded(self, endpoint: str) -> None:
        """The pending variants answer from now on."""
        found = self.hosted[endpoint]
        found.serving, found.pending = found.pending, ()
        found.changes += 1

    def failed(self, endpoint: str, reason: str) -> None:
        """The pending variants could not be loaded."""
        found = self.hosted[endpoint]
        found.pending, found.reason = (), reason
        found.changes += 1

    def invoke(
        self, endpoint: str, body: bytes, *, content_type: str, accept: str, variant: str | None = None
    ) -> Invocation:
        serving = self.describe(endpoint).serving
        if not serving:
            raise Conflict(f"{endpoint} was never in service.")
        if self.busy:
            raise Unavailable("The queue is full.", retry_after=2)
        chosen = [spec for spec in serving if variant in (None, spec.variant)]
        if not chosen:
            raise NotFound(f"{endpoint} has no variant {variant}.")
        spec = max(chosen, key=lambda each: each.weight)
        status, content = self._answered(spec, body, content_type)
        return Invocation(status, content, "application/json", spec.variant, spec.model_version)

    def _answered(self, spec: VariantSpec, body: bytes, content_type: str) -> tuple[int, bytes]:
        if self.answer is not None:
            return self.answer(spec, body, content_type)
        return 200, json.dumps({"predictions": [{"value": float(len(body))}]}).encode()


def bundle_files(manifest: Manifest, evaluation: Evaluation, card: str = "# Card") -> dict[str, bytes]:
    return {
        MANIFEST: manifest.model_dump_json().encode(),
        EVALUATION: evaluation.model_dump_json().encode(),
        MODEL_CARD: card.encode(),
    }


def tar_gz(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
