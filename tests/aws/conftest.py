"""The whole of it, once for all tests of this folder."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.support.aws_server import AwsServer, aws_server
from tests.support.emulators import Emulators


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsServer]:
    folder = tmp_path_factory.mktemp("aws")
    with (
        closing(Emulators(folder)) as emulators,
        aws_server(emulators.ministack, emulators.ministack_url, folder) as server,
    ):
        yield server
