"""The whole of it, once for all tests of this folder."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.aws_server import AwsServer, aws_server
from tests.support.emulators import Emulators


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("aws")


@pytest.fixture(scope="session")
def emulators(folder: Path) -> Iterator[Emulators]:
    with closing(Emulators(folder)) as emulators:
        yield emulators


@pytest.fixture(scope="session")
def aws(emulators: Emulators, folder: Path) -> Iterator[AwsServer]:
    with aws_server(emulators.ministack, emulators.ministack_url, folder, max_instances="2") as server:
        yield server
