"""TransformRunner on this machine: `transform` scores a table; a retry goes on where the last attempt was."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlops_api.adapters.local.events import transform_event
from mlops_api.adapters.local.job_kind import JobKind, JobTask
from mlops_api.adapters.local.jobs import JobEngine
from mlops_api.adapters.local.ml_layout import LocalObjects, fill_channel, fresh_folder, store, write_config
from mlops_api.adapters.local.model_tar import unpack
from mlops_api.ports import TransformSpec, TransformState
from mlops_contracts.transform import TransformConfig, TransformProgress


class LocalTransformRunner:
    """ports.TransformRunner; give it an engine that has not been started."""

    def __init__(self, engine: JobEngine, objects: LocalObjects) -> None:
        self._engine = engine
        self._objects = objects
        self._kind = JobKind(
            "transform", ("transform",), "TRANSFORM_JOB_NAME", self._prepare, self._collect, transform_event, _report
        )
        engine.register(self._kind)

    def start(self, spec: TransformSpec) -> None:
        self._engine.start_job(self._kind, spec.job, asdict(spec))

    def describe(self, job: str) -> TransformState:
        found = self._engine.settled_or_live(self._kind, job)
        rows = found.report
        return TransformState(found.state, rows.get("rows"), rows.get("done_rows", 0), rows.get("failed_rows", 0))

    def stop(self, job: str) -> None:
        self._engine.stop(self._kind, job)

    def _prepare(self, task: JobTask) -> None:
        """checkpoints/ stays from one attempt to the next: it holds the chunks that are done. So does output/, for
        their progress to be shown meanwhile."""
        spec, ml = TransformSpec(**task.spec), task.ml
        (ml / "output").mkdir(parents=True, exist_ok=True)
        (ml / "output/failure").unlink(missing_ok=True)
        write_config(ml, "transform", TransformConfig(format=spec.format).model_dump())
        fill_channel(self._objects, spec.input_prefix, fresh_folder(ml / "input/data/transform"))
        unpack(self._objects.local_path(spec.model_key), fresh_folder(ml / "model"))

    def _collect(self, task: JobTask) -> None:
        name = f"results.{task.spec['format']}"
        store(self._objects, f"{task.spec['output_prefix']}/{task.name}/{name}", task.ml / "output" / name)


def _report(ml: Path) -> Mapping[str, Any]:
    try:
        found = TransformProgress.model_validate_json((ml / "output/progress.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return {}
    return found.model_dump() | {"progress": found.done_rows / found.rows if found.rows else 0.0}
