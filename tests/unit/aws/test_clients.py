"""Limits of every call to AWS."""

import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.dynamodb_records import DynamoRecords
from mlops_api.domain.errors import Unavailable
from tests.support.aws import CREDENTIALS

GATEWAY_SECONDS = 30
SERVICES = ("dynamodb", "s3", "sagemaker", "sagemaker-runtime", "logs", "sns")


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize("service", SERVICES)
def test_every_call_ends_before_the_gateway_gives_up(service: str) -> None:
    config = AwsClients().client(service).meta.config
    attempts = config.retries["total_max_attempts"]
    longest_pauses = sum(2**number for number in range(attempts - 1))
    assert config.retries["mode"] == "standard"
    assert attempts * (config.connect_timeout + config.read_timeout) + longest_pauses < GATEWAY_SECONDS - 1


@pytest.mark.usefixtures("credentials")
def test_a_client_is_made_once() -> None:
    clients = AwsClients("eu-west-1")
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: id(clients.dynamodb), range(16)))
    assert len(made) == 1
    assert clients.region == clients.dynamodb.meta.region_name == "eu-west-1"


@pytest.mark.usefixtures("credentials")
def test_addresses_are_botocores_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:2")
    clients = AwsClients()
    assert clients.dynamodb.meta.endpoint_url == "http://127.0.0.1:1"
    assert clients.s3.meta.endpoint_url == "http://127.0.0.1:2"


@pytest.mark.usefixtures("credentials")
def test_a_service_that_nobody_answers_for_is_unavailable(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    records = DynamoRecords(AwsClients().dynamodb, "records")
    with pytest.raises(Unavailable, match="did not answer"):
        records.get("thing", "a")
    with pytest.raises(Unavailable, match="records"):
        records.ready()


@pytest.mark.usefixtures("credentials")
def test_a_service_that_hangs_up_is_unavailable(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hanging_up = threading.Thread(target=lambda: [listener.accept()[0].close() for _ in range(3)])
        hanging_up.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        with pytest.raises(Unavailable, match="did not answer"):
            DynamoRecords(AwsClients().dynamodb, "records").get("thing", "a")
        hanging_up.join(timeout=10)
