"""The SageMaker adapters over the SageMaker test server, which runs the fake container program or the real one."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.s3_objects import S3Objects
from mlops_api.adapters.aws.sagemaker_common import AwsSageMaker
from mlops_api.adapters.aws.sagemaker_endpoints import SageMakerEndpoints
from mlops_api.adapters.aws.sagemaker_processing import SageMakerProcessing
from mlops_api.adapters.aws.sagemaker_training import SageMakerTraining
from mlops_api.adapters.aws.sagemaker_transform import SageMakerTransform
from mlops_api.ports import TrainingSpec
from tests.sagemaker_server import Options, SageMakerServer
from tests.support.aws import CREDENTIALS, REGION
from tests.support.emulators import Cloud, create_bucket
from tests.support.local_runners import FAKE, put_fake_model, start_fake_training

ROLE = "arn:aws:iam::123456789012:role/mlops-jobs"
IMAGE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/mlops-ml:1"
_SERVICES = {"sagemaker": "SAGEMAKER", "sagemaker-runtime": "SAGEMAKER_RUNTIME", "logs": "CLOUDWATCH_LOGS"}
QUICK = Options(
    entry_point=(sys.executable, "-m", FAKE),
    stop_seconds=0.5,
    drain_seconds=2,
    health_seconds=10,
    checkpoint_seconds=0.1,
)


class AwsMachine:
    """What local_runners.Machine is, on one test server and one bucket."""

    def __init__(self, server: SageMakerServer, cloud: Cloud, root: Path, events: list[dict[str, Any]]) -> None:
        self.root, self.server, self.events = root, server, events
        self.clients = sagemaker_clients(server.url)
        bucket = create_bucket(cloud.clients.s3)
        self.config = AwsSageMaker(role_arn=ROLE, image_uri=IMAGE, bucket=bucket)
        self.objects = S3Objects(cloud.clients.s3, bucket)
        self.training = SageMakerTraining(self.clients, self.config)
        self.processing = SageMakerProcessing(self.clients, self.objects, self.config)
        self.transform = SageMakerTransform(self.clients, self.objects, self.config)
        self.host = SageMakerEndpoints(self.clients, self.config)

    def train(self, job: str, do: str, *, max_runtime: int = 60) -> None:
        """Start a fake training job that does the steps of `do`."""
        start_fake_training(self.objects, self.training, TrainingSpec(job, {"do": do}, "data", "models", max_runtime))

    def put_model(self, key: str, **model: Any) -> None:
        """A fake model bundle: model.json with `name`, and how its server behaves."""
        put_fake_model(self.objects, key, model)

    def events_of(self, detail_type: str) -> list[Mapping[str, Any]]:
        return [event["detail"] for event in self.events if event["detail-type"] == detail_type]


@contextmanager
def sagemaker(cloud: Cloud, root: Path, options: Options = QUICK) -> Iterator[AwsMachine]:
    events: list[dict[str, Any]] = []

    def take(event: Mapping[str, Any]) -> None:
        events.append(dict(event))

    with SageMakerServer(cloud.clients.s3, replace(options, region=REGION, events=take)) as server:
        yield AwsMachine(server, cloud, root, events)


def sagemaker_clients(url: str) -> AwsClients:
    """Clients whose SageMaker and logs are the test server."""
    endpoints = {f"AWS_ENDPOINT_URL_{name}": url for name in _SERVICES.values()}
    with mock.patch.dict(os.environ, CREDENTIALS | endpoints):
        clients = AwsClients(REGION)
        for service in _SERVICES:
            clients.client(service)
    return clients
