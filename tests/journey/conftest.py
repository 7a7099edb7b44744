"""One server for the whole journey, in each mode: on this machine, and as on AWS. The tests are the same."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mlops_api.client import MLOps
from tests.support.aws_server import AwsServer, aws_server
from tests.support.emulators import Emulators
from tests.support.server import Server

AnyServer = Server | AwsServer


@pytest.fixture(scope="module", params=["local", pytest.param("aws", marks=pytest.mark.aws)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AnyServer]:
    folder = tmp_path_factory.mktemp("platform")
    yield from _local(folder) if request.param == "local" else _aws(folder)


def _local(folder: Path) -> Iterator[Server]:
    (folder / "incoming").mkdir()
    with Server(folder / "data", watched=folder / "incoming") as running:
        yield running


def _aws(folder: Path) -> Iterator[AwsServer]:
    with (
        closing(Emulators(folder)) as emulators,
        aws_server(emulators.ministack, emulators.ministack_url, folder) as running,
    ):
        yield running


@pytest.fixture(scope="module")
def client(server: AnyServer) -> Iterator[MLOps]:
    with server.client() as client:
        yield client
