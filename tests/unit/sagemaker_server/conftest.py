"""One S3 for the session; a server and a bucket for each test. The containers run tests.support.fake_container."""

import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.sagemaker_server import Options, SageMakerServer
from tests.support.aws import REGION, fresh_name
from tests.support.emulators import Emulators
from tests.support.sagemaker import Studio

FAKE = (sys.executable, "-c", "import sys; from tests.support.fake_container import main; sys.exit(main(sys.argv[1:]))")


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with closing(Emulators(tmp_path_factory.mktemp("emulators"))) as emulators:
        yield emulators.moto.clients.s3


@pytest.fixture
def options() -> Options:
    """What the test's module may override."""
    return Options(entry_point=FAKE, stop_seconds=5, drain_seconds=2, checkpoint_seconds=0.1)


@pytest.fixture
def studio(s3: Any, options: Options) -> Iterator[Studio]:
    bucket = fresh_name("studio")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    with SageMakerServer(s3, options) as server:
        with closing(Studio(server, s3, bucket)) as studio:
            yield studio
    assert server.pids == []
