"""Validation of large tables on AWS Glue, begun by the state machine (glue:startJobRun.sync).

The Glue job runs `preprocess` for Spark. Its arguments say where everything is:

    --job            the job's name
    --bucket         of all the keys
    --input_key      the raw file
    --config_key     mlops_contracts.dataset.PreprocessConfig, as JSON
    --output_prefix  where the files of mlops_contracts.dataset go, dataset.json last

Glue knows its runs by ids of its own, so that what there is says how a job stands: a note next to its configuration
from before it is begun, and dataset.json once it has ended well. A run that fails fails its pipeline execution.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlops_api.adapters.aws.processing_jobs import config_prefix
from mlops_api.domain.errors import NotFound
from mlops_api.ports import JobState, ObjectStore, ProcessingSpec

REPORT: Final = "dataset.json"
"""Written last: where it is, all is."""

_NOTE: Final = "glue.json"


@dataclass(frozen=True)
class GlueChoice:
    """`job`: the Glue job's name; None: there is none. `from_bytes`: raw files of that size on go there."""

    job: str | None = None
    from_bytes: int = 10 << 30


class GlueJobs:
    def __init__(self, objects: ObjectStore, bucket: str, choice: GlueChoice) -> None:
        self._objects = objects
        self._bucket = bucket
        self._choice = choice

    def suits(self, size_bytes: int) -> bool:
        return self._choice.job is not None and size_bytes >= self._choice.from_bytes

    def request(self, spec: ProcessingSpec, config_key: str) -> dict[str, Any]:
        """What StartJobRun takes; the note that the job is Glue's is there then."""
        note = {"output_prefix": spec.output_prefix}
        self._objects.put(_note_key(spec.job), json.dumps(note).encode())
        return {"JobName": self._choice.job, "Arguments": _arguments(spec, self._bucket, config_key)}

    def state(self, job: str) -> JobState | None:
        """None for a job that is not Glue's."""
        try:
            note = json.loads(self._objects.read(_note_key(job)))
        except NotFound:
            return None
        if self._objects.list(f"{note['output_prefix']}/{REPORT}", limit=1).objects:
            return JobState("Completed", "Completed", progress=1.0)
        return JobState("InProgress", "InProgress")


def _arguments(spec: ProcessingSpec, bucket: str, config_key: str) -> Mapping[str, str]:
    return {
        "--job": spec.job,
        "--bucket": bucket,
        "--input_key": spec.input_key,
        "--config_key": config_key,
        "--output_prefix": spec.output_prefix,
    }


def _note_key(job: str) -> str:
    return f"{config_prefix(job)}/{_NOTE}"
