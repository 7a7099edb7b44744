"""One server for the whole journey; its data folder is the test session's own."""

from collections.abc import Iterator

import pytest

from mlops_api.client import MLOps
from tests.support.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("platform") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[MLOps]:
    with server.client() as client:
        yield client
