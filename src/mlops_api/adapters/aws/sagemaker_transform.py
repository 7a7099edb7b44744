"""TransformRunner on SageMaker processing jobs that run `transform` of the `ml` image.

Not on CreateTransformJob: its results come without row numbers, header or counts, one file beside each input file,
in requests of at most 100 MB, and a failure says only "see the logs". docs/adr has the comparison.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.processing_jobs import PROGRESS, ProcessingJobs, Work, processing_state
from mlops_api.adapters.aws.sagemaker_common import AwsSageMaker
from mlops_api.adapters.aws.sagemaker_processing import checked
from mlops_api.domain.errors import NotFound
from mlops_api.ports import ObjectStore, TransformSpec, TransformState
from mlops_contracts.transform import TransformConfig, TransformProgress


class SageMakerTransform:
    """ports.TransformRunner; safe to use from many threads. The event of an end is a processing job's."""

    def __init__(self, clients: AwsClients, objects: ObjectStore, config: AwsSageMaker) -> None:
        self._jobs = ProcessingJobs(clients, objects, config)
        self._objects = objects
        self._config = config

    def start(self, spec: TransformSpec) -> None:
        """Raises NameTaken when a job of that name exists that is not this platform's."""
        folder = f"{spec.output_prefix}/{spec.job}"
        self._jobs.start(
            Work(
                job=spec.job,
                program="transform",
                inputs={
                    "transform": self._config.folder_uri(spec.input_prefix),
                    "model": self._config.uri(spec.model_key),
                },
                config=TransformConfig(format=spec.format).model_dump(),
                output_prefix=folder,
                progress_prefix=f"{folder}/progress",
                max_runtime_seconds=spec.max_runtime_seconds,
                instance_type=self._config.transform_instance_type,
            )
        )

    def describe(self, job: str) -> TransformState:
        found = self._jobs.describe(job)
        state = checked(processing_state(found), self._objects, self._jobs.output_prefix(found), "results.")
        rows = self._progress(found)
        if rows is None:
            return TransformState(state, None, 0, 0)
        share = rows.done_rows / rows.rows if rows.rows else 0.0
        progress = 1.0 if state.status == "Completed" else share
        return TransformState(replace(state, progress=progress), rows.rows, rows.done_rows, rows.failed_rows)

    def stop(self, job: str) -> None:
        self._jobs.stop(job)

    def _progress(self, found: Mapping[str, Any]) -> TransformProgress | None:
        prefix = self._jobs.output_prefix(found, PROGRESS)
        if prefix is None:
            return None
        try:
            return TransformProgress.model_validate_json(self._objects.read(f"{prefix}/progress.json"))
        except (NotFound, ValidationError):
            return None
