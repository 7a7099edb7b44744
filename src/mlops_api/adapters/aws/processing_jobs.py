"""SageMaker processing jobs that run one program of the `ml` image: what preprocess and transform have in common.

SageMaker mounts inputs and outputs below /opt/ml/processing, where the program finds its usual folders:

    input/config/{program}.json    an object that is written before the job is started
    input/data/{channel}/          from S3
    output/                        to S3 when the program has ended well
    progress/                      to S3 while it runs
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from botocore.exceptions import ClientError

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.sagemaker_common import (
    MAX_REASON,
    AlreadyThere,
    AwsSageMaker,
    creating,
    existing,
    foreign,
    is_refused,
    moment,
    plain_reason,
)
from mlops_api.domain.errors import NotFound
from mlops_api.domain.training import TERMINAL
from mlops_api.ports import JobState, ObjectStore

ROOT: Final = "/opt/ml/processing"
RESULTS: Final = "results"
PROGRESS: Final = "progress"


@dataclass(frozen=True)
class Work:
    """One job. `inputs`: channel -> S3 address; `config`: the program's own; `outputs`: prefix below the bucket."""

    job: str
    program: str
    inputs: Mapping[str, str]
    config: Mapping[str, Any]
    output_prefix: str
    max_runtime_seconds: int
    instance_type: str
    progress_prefix: str | None = None


class ProcessingJobs:
    def __init__(self, clients: AwsClients, objects: ObjectStore, config: AwsSageMaker) -> None:
        self._clients = clients
        self._objects = objects
        self._config = config

    def start(self, work: Work) -> None:
        """Idempotent by name. Raises NameTaken when a job of that name exists that is not this platform's."""
        if self._known(work):
            return
        self.configure(work)
        try:
            with creating(f"Processing job {work.job} cannot be started"):
                self._clients.sagemaker.create_processing_job(**processing_request(work, self._config))
        except AlreadyThere:
            self._known(work)

    def request(self, work: Work) -> dict[str, Any]:
        """What CreateProcessingJob takes, for another to call it; the configuration is there then. Raises as start."""
        if not self._known(work):
            self.configure(work)
        return processing_request(work, self._config)

    def configure(self, work: Work) -> str:
        """Store the program's configuration; its key."""
        key = f"{config_prefix(work.job)}/{work.program}.json"
        self._objects.put(key, json.dumps(work.config).encode())
        return key

    def describe(self, job: str) -> Mapping[str, Any]:
        """DescribeProcessingJob's answer. Raises NotFound."""
        with existing(f"Processing job {job}"):
            found: Mapping[str, Any] = self._clients.sagemaker.describe_processing_job(ProcessingJobName=job)
        return found

    def stop(self, job: str) -> None:
        """No error when it has ended. Raises NotFound."""
        try:
            with existing(f"Processing job {job} cannot be stopped"):
                self._clients.sagemaker.stop_processing_job(ProcessingJobName=job)
        except ClientError as error:
            if not is_refused(error) or self.describe(job)["ProcessingJobStatus"] not in TERMINAL | {"Stopping"}:
                raise

    def output_prefix(self, found: Mapping[str, Any], name: str = RESULTS) -> str | None:
        """Where a described job's output goes; None when that is not in the platform's bucket."""
        outputs = {each["OutputName"]: each["S3Output"]["S3Uri"] for each in _outputs(found)}
        return self._config.key(outputs[name]) if name in outputs else None

    def _known(self, work: Work) -> bool:
        """Asked first, so that a repeated start writes no configuration for a job that has read it."""
        try:
            found = self.describe(work.job)
        except NotFound:
            return False
        if self.output_prefix(found) != work.output_prefix.rstrip("/"):
            raise foreign("processing job", work.job)
        return True


def processing_request(work: Work, config: AwsSageMaker) -> dict[str, Any]:
    """What CreateProcessingJob takes."""
    channels = {f"data/{name}": uri for name, uri in work.inputs.items()}
    channels["config"] = config.folder_uri(config_prefix(work.job))
    return {
        "ProcessingJobName": work.job,
        "AppSpecification": {"ImageUri": config.image_uri, "ContainerArguments": [work.program]},
        "RoleArn": config.role_arn,
        "ProcessingInputs": [_input(folder, uri) for folder, uri in channels.items()],
        "ProcessingOutputConfig": {"Outputs": list(_output_list(work, config)), **config.encryption("KmsKeyId")},
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceType": work.instance_type,
                "InstanceCount": 1,
                "VolumeSizeInGB": config.volume_gb,
                **config.encryption("VolumeKmsKeyId"),
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": work.max_runtime_seconds},
        "NetworkConfig": {"EnableNetworkIsolation": config.network_isolation},
        "Environment": {"PYTHONUNBUFFERED": "1"},
        "Tags": config.tag_list(job=work.job),
    }


def processing_state(found: Mapping[str, Any]) -> JobState:
    """From DescribeProcessingJob's answer."""
    status = found["ProcessingJobStatus"]
    return JobState(
        status=status,
        secondary_status="MaxRuntimeExceeded" if status == "Stopped" and _ran_out(found) else status,
        failure_reason=_reason(found) if status == "Failed" else None,
        progress=1.0 if status == "Completed" else 0.0,
        started_at=moment(found.get("ProcessingStartTime")),
        ended_at=moment(found.get("ProcessingEndTime")),
    )


def _ran_out(found: Mapping[str, Any]) -> bool:
    """SageMaker stops such a job without saying so."""
    begun, ended = found.get("ProcessingStartTime"), found.get("ProcessingEndTime")
    longest = found.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
    if begun is None or ended is None or longest is None:
        return False
    return bool(ended - begun >= timedelta(seconds=longest))


def _reason(found: Mapping[str, Any]) -> str:
    """The container's own words where it left some."""
    said = found.get("ExitMessage") or plain_reason(found.get("FailureReason")) or "SageMaker gives no reason."
    return str(said)[:MAX_REASON]


def config_prefix(job: str) -> str:
    """Where the configuration of a job lies."""
    return f"jobs/{job}/config"


def _input(folder: str, uri: str) -> dict[str, Any]:
    s3: dict[str, Any] = {
        "S3Uri": uri,
        "LocalPath": f"{ROOT}/input/{folder}",
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"InputName": folder.rpartition("/")[2], "S3Input": s3}


def _output_list(work: Work, config: AwsSageMaker) -> Sequence[dict[str, Any]]:
    results = _output(RESULTS, "output", config.uri(work.output_prefix.rstrip("/")), "EndOfJob")
    if work.progress_prefix is None:
        return [results]
    return [results, _output(PROGRESS, "progress", config.uri(work.progress_prefix), "Continuous")]


def _output(name: str, folder: str, uri: str, mode: str) -> dict[str, Any]:
    return {
        "OutputName": name,
        "S3Output": {"S3Uri": uri, "LocalPath": f"{ROOT}/{folder}", "S3UploadMode": mode},
    }


def _outputs(found: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    outputs: Sequence[Mapping[str, Any]] = found.get("ProcessingOutputConfig", {}).get("Outputs", ())
    return outputs
