"""TrainingRunner on SageMaker training jobs; names, statuses and reports are SageMaker's own.

    start     CreateTrainingJob: the name is the idempotency key, SageMaker has no other
    describe  DescribeTrainingJob; metrics are those that its regexes found in the log
    stop      StopTrainingJob
    logs      CloudWatch Logs, see training_logs

The container finds its data below s3://bucket/{data_prefix}/ as channel `training`, the bundle to be compared with as
the one file of channel `champion`, and SageMaker stores what it leaves in /opt/ml/model as s3://bucket/{output_prefix}/{job}/output/model.tar.gz.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.sagemaker_common import (
    AlreadyThere,
    AwsSageMaker,
    creating,
    existing,
    foreign,
    is_refused,
    moment,
    plain_reason,
    s3_channel,
)
from mlops_api.adapters.aws.training_logs import TrainingLogs
from mlops_api.domain.errors import NotFound
from mlops_api.domain.training import TERMINAL
from mlops_api.ports import JobState, LogChunk, MetricValue, TrainingSpec
from mlops_contracts.metrics import METRIC_DEFINITIONS

CHANNEL, CHAMPION = "training", "champion"
CHECKPOINTS = "/opt/ml/checkpoints"


class SageMakerTraining:
    """ports.TrainingRunner; safe to use from many threads."""

    def __init__(self, clients: AwsClients, config: AwsSageMaker) -> None:
        self._clients = clients
        self._config = config
        self._logs = TrainingLogs(clients)

    def start(self, spec: TrainingSpec) -> None:
        """Raises NameTaken when a job of that name exists that is not this platform's."""
        if self._known(spec):
            return
        try:
            with creating(f"Training job {spec.job} cannot be started"):
                self._clients.sagemaker.create_training_job(**training_request(spec, self._config))
        except AlreadyThere:
            self._known(spec)

    def request(self, spec: TrainingSpec) -> dict[str, Any]:
        """What CreateTrainingJob takes, for another to call it. Raises as start."""
        self._known(spec)
        return training_request(spec, self._config)

    def _known(self, spec: TrainingSpec) -> bool:
        """Asked first, because SageMaker looks at a request's input before it looks at its name."""
        try:
            found = self._described(spec.job)
        except NotFound:
            return False
        if found["OutputDataConfig"]["S3OutputPath"].rstrip("/") != self._config.uri(spec.output_prefix):
            raise foreign("training job", spec.job)
        return True

    def describe(self, job: str) -> JobState:
        return training_state(self._described(job))

    def stop(self, job: str) -> None:
        try:
            with existing(f"Training job {job} cannot be stopped"):
                self._clients.sagemaker.stop_training_job(TrainingJobName=job)
        except ClientError as error:
            if not is_refused(error) or self.describe(job).status not in TERMINAL | {"Stopping"}:
                raise

    def logs(self, job: str, *, after: int = 0, limit: int = 1000) -> LogChunk:
        chunk = self._logs.read(job, after, limit)
        if not chunk.lines:
            self.describe(job)
        return chunk

    def metrics(self, job: str) -> Sequence[MetricValue]:
        found = self._logs.metrics(job)
        if not found:
            self.describe(job)
        return found

    def _described(self, job: str) -> Mapping[str, Any]:
        with existing(f"Training job {job}"):
            found: Mapping[str, Any] = self._clients.sagemaker.describe_training_job(TrainingJobName=job)
        return found


def training_request(spec: TrainingSpec, config: AwsSageMaker) -> dict[str, Any]:
    """What CreateTrainingJob takes."""
    return {
        "TrainingJobName": spec.job,
        "AlgorithmSpecification": {
            "TrainingImage": config.image_uri,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": name, "Regex": regex} for name, regex in METRIC_DEFINITIONS],
        },
        "RoleArn": config.role_arn,
        "HyperParameters": dict(spec.hyperparameters),
        "InputDataConfig": list(_channels(spec, config)),
        "OutputDataConfig": {"S3OutputPath": config.uri(spec.output_prefix), **config.encryption("KmsKeyId")},
        "ResourceConfig": {
            "InstanceType": spec.instance_type or config.training_instance_type,
            "InstanceCount": spec.instance_count,
            "VolumeSizeInGB": config.volume_gb,
            **config.encryption("VolumeKmsKeyId"),
        },
        # Peers of one job may talk to each other in spite of the isolation; then what they say is encrypted.
        "EnableNetworkIsolation": config.network_isolation,
        "EnableInterContainerTrafficEncryption": spec.instance_count > 1,
        "Environment": {"PYTHONUNBUFFERED": "1"},
        "Tags": config.tag_list(job=spec.job),
        **_time(spec, config),
    }


def _channels(spec: TrainingSpec, config: AwsSageMaker) -> Iterator[dict[str, Any]]:
    """Each host gets the whole of every channel."""
    uris = {CHANNEL: config.folder_uri(spec.data_prefix)}
    if spec.champion_key:
        uris[CHAMPION] = config.uri(spec.champion_key)
    for name, uri in uris.items():
        yield {"ChannelName": name, "DataSource": {"S3DataSource": s3_channel(uri)}, "InputMode": "File"}


def _time(spec: TrainingSpec, config: AwsSageMaker) -> dict[str, Any]:
    """How long it may run, and on spot capacity how long it may wait for that, and where it goes on from."""
    if not (spec.spot or config.spot):
        return {
            "EnableManagedSpotTraining": False,
            "StoppingCondition": {"MaxRuntimeInSeconds": spec.max_runtime_seconds},
        }
    longest = spec.max_runtime_seconds + config.spot_wait_seconds
    return {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": spec.max_runtime_seconds, "MaxWaitTimeInSeconds": longest},
        "CheckpointConfig": {
            "S3Uri": config.uri(f"{spec.output_prefix}/{spec.job}/checkpoints"),
            "LocalPath": CHECKPOINTS,
        },
    }


def training_state(found: Mapping[str, Any]) -> JobState:
    """From DescribeTrainingJob's answer."""
    metrics = {each["MetricName"]: float(each["Value"]) for each in found.get("FinalMetricDataList", ())}
    completed = found["TrainingJobStatus"] == "Completed"
    return JobState(
        status=found["TrainingJobStatus"],
        secondary_status=found["SecondaryStatus"],
        failure_reason=plain_reason(found.get("FailureReason")),
        metrics=metrics,
        progress=1.0 if completed else min(1.0, max(0.0, metrics.get("progress", 0.0))),
        started_at=moment(found.get("TrainingStartTime")),
        ended_at=moment(found.get("TrainingEndTime")),
        attempt=1 + sum(each["Status"] == "Interrupted" for each in found.get("SecondaryStatusTransitions", ())),
    )
