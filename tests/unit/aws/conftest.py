from collections.abc import Iterator
from contextlib import closing

import pytest

from mlops_api.adapters.aws.dynamodb_records import DynamoRecords
from mlops_api.adapters.aws.s3_objects import S3Objects
from tests.support.emulators import Cloud, Emulators


@pytest.fixture(scope="session")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    with closing(Emulators(tmp_path_factory.mktemp("emulators"))) as emulators:
        yield emulators


@pytest.fixture
def moto(emulators: Emulators) -> Cloud:
    return emulators.moto


@pytest.fixture
def ministack(emulators: Emulators) -> Cloud:
    return emulators.ministack


@pytest.fixture
def records(ministack: Cloud) -> Iterator[DynamoRecords]:
    with ministack.records() as records:
        yield records


@pytest.fixture
def objects(ministack: Cloud) -> Iterator[S3Objects]:
    with ministack.objects() as objects:
        yield objects


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept between attempts, without sleeping."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept
