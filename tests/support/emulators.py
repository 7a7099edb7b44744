"""AWS emulators for a test session: each is started when it is first asked for, and shared.

Tests get tables and buckets of their own, with fresh names.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest import mock

from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber

from mlops_api.adapters.aws.clients import AwsClients, Client
from mlops_api.adapters.aws.cloudwatch_metrics import CloudWatchMetrics
from mlops_api.adapters.aws.dynamodb_records import DynamoRecords
from mlops_api.adapters.aws.s3_objects import S3Objects
from mlops_api.adapters.aws.table import create_table
from mlops_api.domain.times import Clock, utc_now
from tests.support.aws import CREDENTIALS, REGION, fresh_name
from tests.support.aws_workflow import Workflow
from tests.support.ministack import ministack


class Cloud:
    """Clients of one emulator."""

    def __init__(self, clients: AwsClients) -> None:
        self.clients = clients

    @contextmanager
    def records(self) -> Iterator[DynamoRecords]:
        name = fresh_name("records")
        create_table(self.clients.dynamodb, name)
        yield DynamoRecords(self.clients.dynamodb, name)
        self.clients.dynamodb.delete_table(TableName=name)

    @contextmanager
    def objects(self, **options: Any) -> Iterator[S3Objects]:
        yield S3Objects(self.clients.s3, create_bucket(self.clients.s3), **options)

    def metrics(self, clock: Clock = utc_now) -> CloudWatchMetrics:
        """Points go to a log that nobody reads."""
        return CloudWatchMetrics(self.clients, "MLOps", out=lambda _: None, clock=clock)


class Emulators:
    """`folder` takes what they write."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()

    @cached_property
    def moto(self) -> Cloud:
        """In this process."""
        self._stack.enter_context(one_at_a_time())
        self._stack.enter_context(mock_aws(config={"core": {"reset_boto3_session": False}}))
        return Cloud(_clients())

    @cached_property
    def ministack(self) -> Cloud:
        return Cloud(_clients(AWS_ENDPOINT_URL=self.ministack_url))

    @cached_property
    def ministack_url(self) -> str:
        """Its Step Functions wait a fiftieth of what is said, before a retry too."""
        return self._stack.enter_context(ministack(self._folder, AUTH="true", SFN_WAIT_SCALE="0.02"))

    @cached_property
    def scripted_workflow(self) -> tuple[Workflow, Path]:
        """The state machine, its tasks done as the scripts in that folder say."""
        scripts = self._folder / "scripts"
        scripts.mkdir()
        workflow = Workflow.planned(self.ministack_url)
        workflow.deploy_scripted(scripts)
        return workflow, scripts

    def close(self) -> None:
        self._stack.close()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """moto answers in the caller's thread and guards nothing: let requests take turns, as a service's would."""
    turn = threading.RLock()
    answer = BotocoreStubber.__call__

    def in_turn(stubber: Any, *arguments: Any, **options: Any) -> Any:
        with turn:
            return answer(stubber, *arguments, **options)

    with mock.patch.object(BotocoreStubber, "__call__", in_turn):
        yield


def create_bucket(client: Client) -> str:
    """A versioned bucket, as the template makes it; its name."""
    name = fresh_name("objects")
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def _clients(**environment: str) -> AwsClients:
    """Made now, because the environment says where they go."""
    with mock.patch.dict(os.environ, CREDENTIALS | environment):
        clients = AwsClients(REGION)
        for service in ("dynamodb", "s3", "sns", "sqs", "cloudwatch", "logs", "stepfunctions"):
            clients.client(service)
    return clients
