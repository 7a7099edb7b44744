"""TrainingRunner on this machine: `train` in SageMaker's folder layout."""

from collections.abc import Sequence
from dataclasses import asdict

from mlops_api.adapters.local.events import training_event
from mlops_api.adapters.local.job_kind import JobKind, JobTask
from mlops_api.adapters.local.jobs import JobEngine
from mlops_api.adapters.local.ml_layout import (
    LocalObjects,
    fill_channel,
    fresh_folder,
    link,
    store,
    write_config,
)
from mlops_api.ports import JobState, LogChunk, MetricValue, TrainingSpec

_HOST = "algo-1"


class LocalTrainingRunner:
    """ports.TrainingRunner; give it an engine that has not been started."""

    def __init__(self, engine: JobEngine, objects: LocalObjects) -> None:
        self._engine = engine
        self._objects = objects
        self._kind = JobKind(
            "training",
            ("train",),
            "TRAINING_JOB_NAME",
            self._prepare,
            self._collect,
            training_event,
            pack_model=True,
        )
        engine.register(self._kind)

    def start(self, spec: TrainingSpec) -> None:
        self._engine.start_job(self._kind, spec.job, asdict(spec))

    def describe(self, job: str) -> JobState:
        return self._engine.describe(self._kind, job)

    def stop(self, job: str) -> None:
        self._engine.stop(self._kind, job)

    def logs(self, job: str, *, after: int = 0, limit: int = 1000) -> LogChunk:
        return self._engine.logs(self._kind, job, after, limit)

    def metrics(self, job: str) -> Sequence[MetricValue]:
        return self._engine.metrics(self._kind, job)

    def _prepare(self, task: JobTask) -> None:
        """Checkpoints stay from one attempt to the next; all else is made afresh."""
        spec, ml = TrainingSpec(**task.spec), task.ml
        for folder in ("input/data", "model", "output"):
            fresh_folder(ml / folder)
        for folder in ("output/data", "checkpoints"):
            (ml / folder).mkdir(exist_ok=True)
        write_config(ml, "hyperparameters", spec.hyperparameters)
        channels = ("training", *(("champion",) if spec.champion_key else ()))
        write_config(ml, "inputdataconfig", {name: {"TrainingInputMode": "File"} for name in channels})
        # On one machine a job is one host, whatever instance_count says: more would only share the processors.
        write_config(ml, "resourceconfig", {"current_host": _HOST, "hosts": [_HOST]})
        fill_channel(self._objects, spec.data_prefix, ml / "input/data/training")
        if spec.champion_key:
            link(self._objects.local_path(spec.champion_key), ml / "input/data/champion/model.tar.gz")

    def _collect(self, task: JobTask) -> None:
        key = f"{task.spec['output_prefix']}/{task.name}/output/model.tar.gz"
        store(self._objects, key, task.ml / "output/model.tar.gz")
