"""ProcessingRunner on SageMaker processing jobs that run `preprocess` of the `ml` image."""

from dataclasses import replace

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.processing_jobs import ProcessingJobs, Work, processing_state
from mlops_api.adapters.aws.sagemaker_common import AwsSageMaker
from mlops_api.ports import JobState, ObjectStore, ProcessingSpec

_REPORT = "dataset.json"


class SageMakerProcessing:
    """ports.ProcessingRunner; safe to use from many threads."""

    def __init__(self, clients: AwsClients, objects: ObjectStore, config: AwsSageMaker) -> None:
        self._jobs = ProcessingJobs(clients, objects, config)
        self._objects = objects
        self._config = config

    def start(self, spec: ProcessingSpec) -> None:
        """Raises Conflict when a job of that name exists that is not this platform's."""
        self._jobs.start(
            Work(
                job=spec.job,
                program="preprocess",
                inputs={"raw": self._config.uri(spec.input_key)},
                config=spec.config(),
                output_prefix=spec.output_prefix,
                max_runtime_seconds=spec.max_runtime_seconds,
                instance_type=self._config.processing_instance_type,
            )
        )

    def describe(self, job: str) -> JobState:
        found = self._jobs.describe(job)
        return checked(processing_state(found), self._objects, self._jobs.output_prefix(found), _REPORT)

    def stop(self, job: str) -> None:
        self._jobs.stop(job)


def checked(state: JobState, objects: ObjectStore, prefix: str | None, name: str) -> JobState:
    """A job that SageMaker calls Completed has failed when its program did not write what it is for.

    `name`: of the file it has to write below `prefix`, or how that begins.
    """
    if state.status != "Completed" or (prefix and objects.list(f"{prefix}/{name}", limit=1).objects):
        return state
    reason = f"The program ended without an error but did not write {name}; see its log."
    return replace(state, status="Failed", secondary_status="Failed", failure_reason=reason, progress=0.0)
