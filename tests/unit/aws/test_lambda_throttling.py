"""Throttling as the caller sees it: as many as botocore may retry are absorbed, one more is a 503 that says when."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mlops_api.adapters.aws.clients import ATTEMPTS, Client
from mlops_api.adapters.aws.dynamodb_records import DynamoRecords
from mlops_api.adapters.aws.s3_objects import S3Objects
from mlops_api.adapters.aws.table import create_table
from mlops_api.bootstrap import build
from mlops_api.lambda_entry import LambdaEntry
from mlops_api.services.identity import GatewayIdentity
from tests.support.aws import fresh_name, throttled
from tests.support.aws_runners import AwsMachine, sagemaker
from tests.support.emulators import Cloud
from tests.support.lambda_events import http_event
from tests.support.platform import TestClock, a_training, world_of

DATASET = {"name": "new", "filename": "f.csv", "size_bytes": 3, "sha256": "0" * 64}
Asked = tuple[str, str, Any]
"""Method, path, body."""

REQUESTS: dict[tuple[str, str], tuple[Asked, int]] = {
    ("dynamodb", "Query"): (("GET", "/models", None), 200),
    ("dynamodb", "GetItem"): (("GET", "/training/jobs/JOB/logs", None), 200),
    ("dynamodb", "TransactWriteItems"): (("POST", "/datasets", DATASET), 201),
    ("s3", "CreateMultipartUpload"): (("POST", "/datasets", DATASET), 201),
    ("s3", "GetObject"): (("GET", "/datasets/flights:1/profile", None), 200),
    ("sagemaker", "StopTrainingJob"): (("POST", "/training/jobs/JOB/stop", None), 202),
    ("logs", "FilterLogEvents"): (("GET", "/training/jobs/JOB/logs", None), 200),
}
"""Service and operation -> a request that needs it, and its status when all is well."""


@dataclass
class Here:
    entry: LambdaEntry
    clients: dict[str, Client]
    job: str

    def ask(self, method: str, path: str, body: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.entry(http_event(method, path.replace("JOB", self.job), body), None)
        return answer


@pytest.fixture
def machine(moto: Cloud, tmp_path: Path) -> Iterator[AwsMachine]:
    """Its jobs read files by a client of their own, which nothing here throttles."""
    with sagemaker(moto, tmp_path) as machine:
        yield machine


@pytest.fixture
def here(ministack: Cloud, objects: S3Objects, machine: AwsMachine, tmp_path: Path) -> Iterator[Here]:
    """A dataset that is Ready, and a training job of it that SageMaker runs."""
    clock, dynamodb, table = TestClock(), ministack.clients.dynamodb, fresh_name("records")
    create_table(dynamodb, table)
    records = DynamoRecords(dynamodb, table, now=lambda: clock().timestamp())
    world = world_of(tmp_path, records, clock, ministack.metrics(clock))
    dataset = world.ready().version
    for file in world.objects.list("").objects:
        for store in (objects, machine.objects):
            store.put(file.key, world.objects.read(file.key))
    adapters = replace(world.platform._adapters, objects=objects, training=machine.training)
    platform = build(adapters, world.settings, identity=GatewayIdentity("sub"), allowed_hosts=frozenset("*"))
    clients = {name: machine.clients.client(name) for name in ("sagemaker", "logs")}
    clients |= {"dynamodb": dynamodb, "s3": ministack.clients.s3}
    with closing(LambdaEntry(platform, world.settings)) as entry:
        started = entry(http_event("POST", "/training/start", a_training(dataset).model_dump(mode="json")), None)
        yield Here(entry, clients, json.loads(started["body"])["job"])
    dynamodb.delete_table(TableName=table)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between botocore's attempts; the SageMaker server in this process has its own."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)


@pytest.mark.parametrize(("service", "operation"), REQUESTS)
def test_throttles_are_absorbed_or_told(
    here: Here, figure: Callable[[str], None], service: str, operation: str
) -> None:
    request, well = REQUESTS[service, operation]
    client = here.clients[service]
    with throttled(client, operation, ATTEMPTS) as answered:
        refused = here.ask(*request)
    assert (refused["statusCode"], len(answered)) == (503, ATTEMPTS)
    assert int(refused["headers"]["retry-after"]) >= 1
    assert "throttling" in json.loads(refused["body"])["detail"]
    with throttled(client, operation, ATTEMPTS - 1) as answered:
        assert (here.ask(*request)["statusCode"], len(answered)) == (well, ATTEMPTS - 1)
    figure(f"throttling of {service} {operation}: {ATTEMPTS - 1} are absorbed, {ATTEMPTS} -> 503")
