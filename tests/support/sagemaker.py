"""The SageMaker test server for tests: clients, a bucket, waiting, and requests that are right."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.sagemaker_server import SageMakerServer
from tests.support.aws import CREDENTIALS, REGION

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/mlops-ml"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/mlops-ml:1"
TERMINAL = ("Completed", "Failed", "Stopped")


_IMPATIENT = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)


def client(service: str, url: str, config: Config = _IMPATIENT) -> Any:
    """A boto3 client; by default one that retries nothing, so that each refusal is seen."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=config,
    )


def refused(act: Callable[..., Any], **params: Any) -> tuple[str, str]:
    """Code and message of the error that a call must meet."""
    with pytest.raises(ClientError) as caught:
        act(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@dataclass(frozen=True)
class Studio:
    """A server with its three clients, and a bucket of its own."""

    server: SageMakerServer
    s3: Any
    bucket: str

    def __post_init__(self) -> None:
        for name, service in (("api", "sagemaker"), ("runtime", "sagemaker-runtime"), ("logs", "logs")):
            object.__setattr__(self, name, client(service, self.server.url))

    api: Any = None
    runtime: Any = None
    logs: Any = None

    def close(self) -> None:
        for each in (self.api, self.runtime, self.logs):
            each.close()

    # ---------------------------------------------------------------- S3

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def put(self, key: str, data: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=data)

    def read(self, key: str) -> bytes:
        data: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return data

    def keys(self, prefix: str = "") -> list[str]:
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", ())]

    # ---------------------------------------------------------------- jobs

    def training_request(self, job: str, do: str = "model", **changes: Any) -> dict[str, Any]:
        """A request for the fake container program; members that are None are left out."""
        source = {"S3DataType": "S3Prefix", "S3Uri": self.uri("data/"), "S3DataDistributionType": "FullyReplicated"}
        request = {
            "TrainingJobName": job,
            "HyperParameters": {"do": do},
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "RoleArn": ROLE,
            "InputDataConfig": [{"ChannelName": "training", "DataSource": {"S3DataSource": source}}],
            "OutputDataConfig": {"S3OutputPath": self.uri("models")},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        } | changes
        return {name: value for name, value in request.items() if value is not None}

    def train(self, job: str, do: str = "model", **changes: Any) -> None:
        if not self.keys("data/"):
            self.put("data/rows.csv", b"1\n2\n")
        self.api.create_training_job(**self.training_request(job, do, **changes))

    def training(self, job: str) -> dict[str, Any]:
        found: dict[str, Any] = self.api.describe_training_job(TrainingJobName=job)
        return found

    def trained(self, job: str, seconds: float = 30) -> dict[str, Any]:
        """The job once it has ended, and its events delivered."""
        return self.until(lambda: self.training(job), lambda found: found["TrainingJobStatus"] in TERMINAL, seconds)

    def until(
        self, look: Callable[[], dict[str, Any]], good: Callable[[Mapping[str, Any]], bool], seconds: float = 30
    ) -> dict[str, Any]:
        """What `look` gives as soon as it is `good`."""
        deadline = time.monotonic() + seconds
        while not good(found := look()):
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
        self.server.settle()
        return found

    def until_logged(self, group: str, line: str, seconds: float = 20) -> None:
        """Until a container has printed a line that contains this text."""
        deadline = time.monotonic() + seconds
        while not any(line in each for each in self.server.logs.lines(group)):
            assert time.monotonic() < deadline, self.server.logs.lines(group)
            time.sleep(0.02)

    def events(self, detail_type: str) -> list[dict[str, Any]]:
        return [each["detail"] for each in self.server.events if each["detail-type"] == detail_type]

    # ---------------------------------------------------------------- endpoints

    def model(self, name: str, key: str, **changes: Any) -> None:
        container = {"Image": IMAGE, "ModelDataUrl": self.uri(key)}
        self.api.create_model(**{"ModelName": name, "PrimaryContainer": container, "ExecutionRoleArn": ROLE, **changes})

    def config(self, name: str, **models: float) -> None:
        """A configuration with one variant per model, named alike, and its weight."""
        variants = [
            {
                "VariantName": model,
                "ModelName": model,
                "InitialVariantWeight": weight,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
            for model, weight in models.items()
        ]
        self.api.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)

    def endpoint_arn(self, name: str) -> str:
        return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/{name}"

    def endpoint(self, name: str) -> dict[str, Any]:
        """Once it is neither being created nor updated."""
        busy = ("Creating", "Updating")
        return self.until(
            lambda: self.api.describe_endpoint(EndpointName=name), lambda found: found["EndpointStatus"] not in busy
        )
