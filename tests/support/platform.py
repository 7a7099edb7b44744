"""The platform with its real records and files, and runners that a test moves by hand."""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI

from mlops_api.adapters.local.file_objects import MOUNT, FileObjects
from mlops_api.adapters.local.pipeline import AtOnce, LocalPipelineRunner
from mlops_api.adapters.local.signing import UrlSigner
from mlops_api.adapters.local.sqlite_metrics import SqliteMetrics
from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.adapters.local.storage_app import StorageApp
from mlops_api.app import create_app
from mlops_api.bootstrap import Adapters, build
from mlops_api.domain.datasets import CompletedPart, CompleteUpload, CreateDataset, CreatedDataset, DatasetVersion
from mlops_api.domain.inference import StartBatch, TransformJob
from mlops_api.domain.models import Approve, ModelVersion
from mlops_api.domain.pipelines import DatasetRecipe, Execution, Recipe
from mlops_api.domain.training import StartTraining, TrainingJob
from mlops_api.ports import MetricSink, ModelMirror, Notifier, RecordStore
from mlops_api.services.identity import Identity, TokenIdentity
from mlops_api.services.platform import Platform
from mlops_api.services.principal import Principal
from mlops_api.services.tasks import Tasks
from mlops_api.settings import Settings
from mlops_contracts.bundle import Feature, Manifest
from mlops_contracts.dataset import Column, ColumnProfile, DatasetReport, Finding, Preview, Profile, Quality
from mlops_contracts.evaluation import Evaluation
from tests.support.manual_notifier import ManualNotifier
from tests.support.manual_runners import ManualHost, ManualProcessing, ManualTraining, ManualTransform, event

TOKEN = "the-token-of-ann-0123456789"  # noqa: S105 - of this test only
HOST = "127.0.0.1:8000"
ANN = Principal("ann")
BOB = Principal("bob")

COLUMNS = (
    Column(name="late", type="boolean", missing=0, distinct=2),
    Column(name="delay", type="numeric", missing=0, distinct=90),
    Column(name="carrier", type="categorical", missing=0, distinct=3),
    Column(name="distance", type="numeric", missing=4, distinct=80),
    Column(name="day", type="datetime", missing=0, distinct=30),
    Column(name="remark", type="text", missing=0, distinct=100),
    Column(name="same", type="numeric", missing=0, distinct=1),
)
T = TypeVar("T")


class TestClock:
    """Moves a millisecond at each look, so that no two moments are the same, and further when told."""

    __test__ = False

    def __init__(self, start: datetime = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        with self._lock:
            self._now += timedelta(milliseconds=1)
            return self._now

    def pass_time(self, **parts: float) -> None:
        with self._lock:
            self._now += timedelta(**parts)


class Workers(AtOnce):
    """Those of the pipeline runner: they work in the call that wakes them or, `deferred`, when they are told to."""

    def __init__(self) -> None:
        self.deferred = False
        self._acts: list[Callable[[], None]] = []

    def submit(self, act: Callable[[], None]) -> None:
        if self.deferred:
            self._acts.append(act)
        else:
            act()

    def work(self) -> None:
        """What was deferred, and from now on everything in its call."""
        self.deferred = False
        while self._acts:
            self._acts.pop(0)()


@dataclass
class World:
    """One platform, its outside world, and short words for what tests do often."""

    platform: Platform
    settings: Settings
    records: RecordStore
    objects: FileObjects
    processing: ManualProcessing
    training: ManualTraining
    transform: ManualTransform
    host: ManualHost
    metrics: MetricSink
    notifier: ManualNotifier
    pipelines: LocalPipelineRunner
    workers: Workers
    clock: TestClock = field(default_factory=TestClock)

    def app(self) -> FastAPI:
        return create_app(self.platform, self.settings)

    # ---- events

    def tell(self, kind: str, name: str) -> None:
        told = event(kind, name)
        self.platform.events.handle(told)
        self.pipelines.on_event(told)

    # ---- datasets

    def create(self, name: str = "flights", content: bytes = b"a,b\n1,2\n", key: str | None = None) -> CreatedDataset:
        return self.platform.datasets.create(ANN, a_dataset(name, content), key)

    def send(self, dataset: CreatedDataset, content: bytes = b"a,b\n1,2\n") -> CompleteUpload:
        """Send the parts to the store; what `complete` needs to know."""
        assert dataset.upload is not None
        parts = [self._send_part(part.url, content, dataset.upload.part_size) for part in dataset.upload.parts]
        return CompleteUpload(parts=parts)

    def _send_part(self, url: str, content: bytes, size: int) -> CompletedPart:
        *_, upload_id, number = url.partition("?")[0].split("/")
        writer = self.objects.open_part(upload_id, int(number))
        writer.write(content[(int(number) - 1) * size : int(number) * size])
        return CompletedPart(part_number=int(number), etag=writer.finish())

    def uploaded(self, name: str = "flights") -> str:
        """A version that is being validated."""
        created = self.create(name)
        self.platform.datasets.complete(ANN, created.version, self.send(created))
        return created.version

    def ready(self, name: str = "flights", columns: tuple[Column, ...] = COLUMNS) -> DatasetVersion:
        version = self.uploaded(name)
        job = processing_job(version)
        self.processing.complete(job, a_report(columns), a_profile(columns), a_preview(columns))
        self.tell("processing", job)
        return self.platform.datasets.get(version)

    # ---- pipelines

    def recipe(self, name: str = "flights", **changes: Any) -> DatasetRecipe:
        recipe = Recipe.model_validate({"target": "late"} | changes)
        return self.platform.pipelines.recipes.put(ANN, name, recipe)

    def execution(self, name: str = "flights-v1") -> Execution:
        return self.platform.pipelines.get(name)

    def candidates_end(self, execution: str, auc: Mapping[str, float], **evaluation: Any) -> Execution:
        """Each candidate that runs is Completed with its algorithm's auc, or Failed when that has none."""
        for candidate in self.execution(execution).candidates:
            if candidate.algorithm in auc:
                manifest = a_manifest(algorithm=candidate.algorithm, metrics={"auc": auc[candidate.algorithm]})
                self.training.complete(candidate.job, manifest, an_evaluation(manifest, **evaluation))
            else:
                self.training.end(candidate.job, "Failed", "diverged")
            self.tell("training", candidate.job)
        return self.execution(execution)

    # ---- training

    def start(self, dataset: str, *, key: str | None = None, **changes: Any) -> TrainingJob:
        return self.platform.training.start(ANN, a_training(dataset, **changes), key)

    def trained(self, model: str = "flights", **figures: Any) -> ModelVersion:
        """A registered version, PendingManualApproval. `figures`: see a_manifest."""
        version = self.ready().version
        job = self.start(version, model=model).job
        return self.completed(job, **figures)

    def completed(self, job: str, **figures: Any) -> ModelVersion:
        manifest = a_manifest(**figures)
        self.training.complete(job, manifest, an_evaluation(manifest))
        self.tell("training", job)
        version = self.platform.training.get(job).model_version
        assert version is not None
        return self.platform.registry.get(version)

    def approved(self, model: str = "flights", *, deploy: bool = False, **figures: Any) -> ModelVersion:
        version = self.trained(model, **figures).version
        self.platform.registry.approve(ANN, version, Approve(deploy=deploy), None)
        if deploy:
            self.host.loaded(model)
            self.tell("endpoint", model)
        return self.platform.registry.get(version)

    def batch(self, model: str = "flights", dataset: str | None = None, key: str | None = None) -> TransformJob:
        request = StartBatch(model=model, input=dataset or self.ready().version)
        return self.platform.batch.start(ANN, request, key)


@contextmanager
def world(folder: Path, **settings: Any) -> Iterator[World]:
    """Everything below `folder`; opening it a second time is what a restart does, runners forgotten."""
    clock = TestClock()
    with (
        closing(SqliteRecords(folder / "records.sqlite3", now=lambda: clock().timestamp())) as records,
        closing(SqliteMetrics(folder / "metrics.sqlite3", keep=timedelta(days=90), clock=clock)) as metrics,
    ):
        yield world_of(folder, records, clock, metrics, **settings)


def world_of(
    folder: Path,
    records: RecordStore,
    clock: TestClock,
    metrics: MetricSink,
    *,
    identity: Identity | None = None,
    mirror: ModelMirror | None = None,
    notifier: Notifier | None = None,
    runs: RecordStore | None = None,
    **settings: Any,
) -> World:
    """A platform over these records, its files below `folder`. `runs`: the pipeline runner's own, where they are apart
    as on AWS."""
    signer = UrlSigner(b"a secret of this test", clock=clock)
    objects = FileObjects(folder / "store", signer, lambda: f"http://{HOST}", part_size=1 << 10, clock=clock)
    jobs = ManualProcessing(objects, clock), ManualTraining(objects, clock), ManualTransform(objects, clock)
    runners = *jobs, ManualHost()
    manual = ManualNotifier()
    chosen = Settings(user="ann", data_dir=folder, **settings)
    workers = Workers()
    pipelines = LocalPipelineRunner(runs or records, workers, clock, seconds=chosen.pipeline_seconds)
    platform = build(
        Adapters(records, objects, *runners, metrics, notifier or manual, pipelines, most_instances=1, mirror=mirror),
        chosen,
        identity=identity or TokenIdentity(ANN.name, TOKEN),
        allowed_hosts=frozenset({"127.0.0.1", "localhost", "[::1]"}),
        clock=clock,
        mounts={MOUNT: StorageApp(objects, signer)},
    )
    pipelines.attach(Tasks(platform).run, lambda told: platform.events.handle(told) and None)
    return World(platform, chosen, records, objects, *runners, metrics, manual, pipelines, workers, clock=clock)


def at_once(*actions: Callable[[], T]) -> list[T | BaseException]:
    """Run them in threads that all begin together; what each returned or raised, in order."""
    barrier = threading.Barrier(len(actions))

    def run(action: Callable[[], T]) -> T | BaseException:
        barrier.wait(10)
        try:
            return action()
        except BaseException as error:  # noqa: BLE001 - handed to the test, which judges it
            return error

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


# ---- plausible things


def a_dataset(name: str = "flights", content: bytes = b"a,b\n1,2\n", **changes: Any) -> CreateDataset:
    values = {"name": name, "filename": "f.csv", "size_bytes": len(content), "sha256": _sha256(content)}
    return CreateDataset.model_validate(values | changes)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def processing_job(version: str) -> str:
    name, _, number = version.partition(":")
    return f"{name}-v{number}"


def a_report(columns: tuple[Column, ...] = COLUMNS, *violations: Finding) -> DatasetReport:
    quality = Quality(violations=violations, violation_count=len(violations))
    return DatasetReport(rows=100, columns=columns, quality=quality, sha256="0" * 64, format="csv")


def a_profile(columns: tuple[Column, ...] = COLUMNS) -> Profile:
    described = [ColumnProfile(name=each.name, type=each.type, missing=0, distinct=2) for each in columns]
    return Profile(rows=100, columns=tuple(described))


def a_preview(columns: tuple[Column, ...] = COLUMNS) -> Preview:
    return Preview(columns=tuple(each.name for each in columns), rows=((1.0,) * len(columns),))


def a_training(dataset: str, **changes: Any) -> StartTraining:
    values = {"dataset": dataset, "target": "late", "algorithm": "xgboost", "model": "flights"}
    return StartTraining.model_validate(values | changes)


def a_manifest(**changes: Any) -> Manifest:
    features = (
        Feature(name="carrier", type="categorical", required=True, categories=("AA", "UA")),
        Feature(name="distance", type="numeric", required=False),
    )
    values = {
        "algorithm": "xgboost",
        "problem_type": "binary",
        "target": "late",
        "features": features,
        "classes": ("0", "1"),
        "threshold": 0.5,
        "dataset": "flights:1",
        "dataset_sha256": "0" * 64,
        "seed": 0,
        "training_rows": 80,
        "validation_rows": 20,
        "hyperparameters": {"max_depth": 6},
        "libraries": {},
        "metrics": {"auc": 0.7, "logloss": 0.5},
        "importance": {"carrier": 0.1},
        "files": {},
    }
    return Manifest.model_validate(values | changes)


def an_evaluation(manifest: Manifest, **changes: Any) -> Evaluation:
    values = {
        "problem_type": manifest.problem_type,
        "objective": "auc",
        "metrics": manifest.metrics,
        "baseline": {"auc": 0.5},
        "training_rows": manifest.training_rows,
        "validation_rows": manifest.validation_rows,
        "split": "stratified",
        "classes": manifest.classes,
    }
    return Evaluation.model_validate(values | changes)
