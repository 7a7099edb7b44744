"""The platform as it runs on AWS, on this machine: API Gateway, the handler in Lambda's runtime, DynamoDB, S3,
EventBridge and Step Functions of an emulator, and the SageMaker server, which runs the real container code and sends
its events to the function."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from mlops_api.adapters.aws.clients import Client
from mlops_api.adapters.aws.stack import AwsStack
from mlops_api.adapters.aws.table import create_table
from mlops_api.bootstrap import aws_platform, aws_stack
from mlops_api.client import MLOps
from mlops_api.services.platform import Platform
from mlops_api.settings import Settings
from tests.sagemaker_server import Options, SageMakerServer
from tests.support.api_gateway import ApiGateway
from tests.support.aws import CREDENTIALS, REGION, fresh_name
from tests.support.aws_runners import IMAGE, ROLE
from tests.support.aws_workflow import Workflow
from tests.support.emulators import Cloud, create_bucket
from tests.support.runtime_api import LambdaFunction

TOKEN = "a-token-the-authorizer-trusts"  # noqa: S105 - of this test only


@dataclass
class AwsServer:
    """As tests.support.server.Server, to a test that only asks."""

    gateway: ApiGateway
    function: LambdaFunction
    sagemaker: SageMakerServer
    workflow: Workflow
    bucket: str
    environment: Mapping[str, str]
    s3: Client

    def client(self) -> MLOps:
        return MLOps(self.gateway.url, TOKEN, timeout=60)

    def drop(self, dataset: str, file: Path) -> None:
        """Put it where docs/aws.md says that files are dropped. EventBridge tells the worker of it."""
        self.s3.upload_file(str(file), self.bucket, f"inbox/{dataset}/{file.name}")

    @contextmanager
    def platform(self) -> Iterator[Platform]:
        """The services over the same records and files, in this process."""
        with mock.patch.dict(os.environ, CREDENTIALS | self.environment):
            yield aws_platform(Settings())

    @contextmanager
    def stack(self) -> Iterator[AwsStack]:
        """The adapters, in this process."""
        with mock.patch.dict(os.environ, CREDENTIALS | self.environment):
            yield aws_stack(Settings())

    def http(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.Client(base_url=self.gateway.url, headers=headers, timeout=60)


@contextmanager
def aws_server(cloud: Cloud, cloud_url: str, folder: Path, **settings: str) -> Iterator[AwsServer]:
    """`cloud_url`: where the function finds DynamoDB and S3. `settings`: more MLOPS_ variables, without the prefix."""
    table, bucket = fresh_name("records"), create_bucket(cloud.clients.s3)
    create_table(cloud.clients.dynamodb, table)
    functions: list[LambdaFunction] = []

    def deliver(event: Mapping[str, Any]) -> None:
        functions[0].invoke(event)

    with SageMakerServer(cloud.clients.s3, Options(region=REGION, events=deliver)) as sagemaker:
        workflow = Workflow.planned(cloud_url)
        chosen = {"state_machine_arn": workflow.arn, **settings}
        environment = _endpoints(cloud_url, sagemaker.url) | _settings(table, bucket, chosen)
        workflow.deploy(bucket, environment)
        with (
            LambdaFunction(CREDENTIALS | environment, folder / "lambda.log") as function,
            ApiGateway(function.invoke, TOKEN, {"sub": "ann"}) as gateway,
        ):
            functions.append(function)
            yield AwsServer(gateway, function, sagemaker, workflow, bucket, environment, cloud.clients.s3)


def _endpoints(cloud: str, sagemaker: str) -> dict[str, str]:
    own = {f"AWS_ENDPOINT_URL_{name}": sagemaker for name in ("SAGEMAKER", "SAGEMAKER_RUNTIME", "CLOUDWATCH_LOGS")}
    return {"AWS_ENDPOINT_URL": cloud} | own


def _settings(table: str, bucket: str, more: Mapping[str, str]) -> dict[str, str]:
    named = {"mode": "aws", "table": table, "bucket": bucket, "role_arn": ROLE, "image_uri": IMAGE}
    values = named | {"allowed_hosts": "127.0.0.1"} | dict(more)
    return {f"MLOPS_{name.upper()}": value for name, value in values.items()}
