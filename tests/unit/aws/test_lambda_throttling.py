"""Throttling as the caller sees it: as many as botocore may retry are absorbed, one more is a 503 that says when."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mlops_api.adapters.aws.clients import ATTEMPTS
from mlops_api.adapters.aws.dynamodb_records import DynamoRecords
from mlops_api.adapters.aws.table import create_table
from mlops_api.lambda_entry import LambdaEntry
from mlops_api.services.identity import GatewayIdentity
from tests.support.aws import fresh_name, throttled
from tests.support.emulators import Cloud
from tests.support.lambda_events import http_event
from tests.support.platform import TestClock, world_of


@pytest.fixture
def entry(moto: Cloud, tmp_path: Path) -> Iterator[LambdaEntry]:
    clock, client, table = TestClock(), moto.clients.dynamodb, fresh_name("records")
    create_table(client, table)
    records = DynamoRecords(client, table, now=lambda: clock().timestamp())
    here = world_of(tmp_path, records, clock, moto.metrics(clock), identity=GatewayIdentity("sub"))
    with closing(LambdaEntry(here.platform, here.settings)) as entry:
        yield entry
    client.delete_table(TableName=table)


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize(("throttles", "status"), [(ATTEMPTS - 1, 200), (ATTEMPTS, 503)])
def test_throttles_are_absorbed_or_told(
    entry: LambdaEntry, moto: Cloud, figure: Callable[[str], None], throttles: int, status: int
) -> None:
    with throttled(moto.clients.dynamodb, "Query", throttles) as answered:
        answer = entry(http_event("GET", "/models"), None)
    assert (answer["statusCode"], len(answered)) == (status, throttles)
    if status == 503:
        assert int(answer["headers"]["retry-after"]) >= 1
        assert "throttling" in json.loads(answer["body"])["detail"]
    figure(f"throttling: {throttles} throttles of one call -> {status}")
