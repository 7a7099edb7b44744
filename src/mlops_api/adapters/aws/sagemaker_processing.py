"""ProcessingRunner on SageMaker processing jobs that run `preprocess` of the `ml` image; large tables may be Glue's."""

from dataclasses import replace

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.glue_jobs import REPORT, GlueChoice, GlueJobs
from mlops_api.adapters.aws.processing_jobs import ProcessingJobs, Work, processing_state
from mlops_api.adapters.aws.sagemaker_common import AwsSageMaker
from mlops_api.domain.errors import NotFound
from mlops_api.ports import JobRequest, JobState, ObjectStore, ProcessingSpec


class SageMakerProcessing:
    """ports.ProcessingRunner; safe to use from many threads."""

    def __init__(
        self, clients: AwsClients, objects: ObjectStore, config: AwsSageMaker, glue: GlueChoice | None = None
    ) -> None:
        self._jobs = ProcessingJobs(clients, objects, config)
        self._glue = GlueJobs(objects, config.bucket, glue or GlueChoice())
        self._objects = objects
        self._config = config

    def start(self, spec: ProcessingSpec) -> None:
        """Raises NameTaken when a job of that name exists that is not this platform's. What is Glue's is begun by the
        state machine alone."""
        if self._glue.state(spec.job) is None:
            self._jobs.start(self._work(spec))

    def request(self, spec: ProcessingSpec, *, size_bytes: int) -> JobRequest:
        """As ports.JobRequests.preprocess."""
        work = self._work(spec)
        if self._glue.suits(size_bytes):
            return JobRequest("glue", self._glue.request(spec, self._jobs.configure(work)))
        return JobRequest("sagemaker", self._jobs.request(work))

    def describe(self, job: str) -> JobState:
        try:
            found = self._jobs.describe(job)
        except NotFound:
            state = self._glue.state(job)
            if state is None:
                raise
            return state
        return checked(processing_state(found), self._objects, self._jobs.output_prefix(found), REPORT)

    def stop(self, job: str) -> None:
        self._jobs.stop(job)

    def _work(self, spec: ProcessingSpec) -> Work:
        return Work(
            job=spec.job,
            program="preprocess",
            inputs={"raw": self._config.uri(spec.input_key)},
            config=spec.config(),
            output_prefix=spec.output_prefix,
            max_runtime_seconds=spec.max_runtime_seconds,
            instance_type=self._config.processing_instance_type,
        )


def checked(state: JobState, objects: ObjectStore, prefix: str | None, name: str) -> JobState:
    """A job that SageMaker calls Completed has failed when its program did not write what it is for.

    `name`: of the file it has to write below `prefix`, or how that begins.
    """
    if state.status != "Completed" or (prefix and objects.list(f"{prefix}/{name}", limit=1).objects):
        return state
    reason = f"The program ended without an error but did not write {name}; see its log."
    return replace(state, status="Failed", secondary_status="Failed", failure_reason=reason, progress=0.0)
