"""ProcessingRunner on this machine: `preprocess` over one uploaded file."""

from dataclasses import asdict

from mlops_api.adapters.local.events import processing_event
from mlops_api.adapters.local.job_kind import JobKind, JobTask
from mlops_api.adapters.local.jobs import JobEngine
from mlops_api.adapters.local.ml_layout import LocalObjects, fresh_folder, link, safe_name, store, write_config
from mlops_api.ports import JobState, ProcessingSpec

_REPORT = "dataset.json"
_ACCEPTED = ("data.parquet", "preview.json", "profile.json", "statistics.json", "constraints.json")
"""Written for accepted tables only."""


class LocalProcessingRunner:
    """ports.ProcessingRunner; give it an engine that has not been started."""

    def __init__(self, engine: JobEngine, objects: LocalObjects) -> None:
        self._engine = engine
        self._objects = objects
        self._kind = JobKind(
            "processing", ("preprocess",), "PROCESSING_JOB_NAME", self._prepare, self._collect, processing_event
        )
        engine.register(self._kind)

    def start(self, spec: ProcessingSpec) -> None:
        self._engine.start_job(self._kind, spec.job, asdict(spec))

    def describe(self, job: str) -> JobState:
        return self._engine.describe(self._kind, job)

    def stop(self, job: str) -> None:
        self._engine.stop(self._kind, job)

    def _prepare(self, task: JobTask) -> None:
        spec, ml = ProcessingSpec(**task.spec), task.ml
        raw = fresh_folder(ml / "input/data/raw")
        fresh_folder(ml / "output")
        write_config(ml, "preprocess", spec.config())
        link(self._objects.local_path(spec.input_key), raw / safe_name(spec.filename))

    def _collect(self, task: JobTask) -> None:
        """dataset.json goes last: where it is, all is."""
        output, prefix = task.ml / "output", task.spec["output_prefix"]
        for name in _ACCEPTED:
            if (output / name).is_file():
                store(self._objects, f"{prefix}/{name}", output / name)
        store(self._objects, f"{prefix}/{_REPORT}", output / _REPORT)
