"""AWS for tests: hooks into boto3 clients that count calls and answer for the service.

A hook that answers keeps a request from being sent, but moto in this process sees it all the same: use ministack.
"""

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from botocore.awsrequest import AWSResponse

REGION = "eu-central-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}
NEEDED = {
    "MLOPS_TABLE": "records",
    "MLOPS_BUCKET": "objects",
    "MLOPS_ROLE_ARN": "arn:aws:iam::123456789012:role/jobs",
    "MLOPS_IMAGE_URI": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/mlops-ml:1",
    "MLOPS_STATE_MACHINE_ARN": "arn:aws:states:eu-central-1:123456789012:stateMachine:mlops",
    "MLOPS_ALLOWED_HOSTS": "api.example.com, Other.example.com,",
}
"""What the environment has to say beside MLOPS_MODE=aws."""


def fresh_name(prefix: str) -> str:
    """Of a table or bucket: emulators and clients are shared by tests, names are not."""
    return f"{prefix}-{secrets.token_hex(6)}"


@contextmanager
def counting(client: Any) -> Iterator[Counter[str]]:
    """Calls of `client` inside, by operation; botocore's retries are not counted again."""
    calls: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        calls[model.name] += 1

    with hooked(client, "before-call", count):
        yield calls


@contextmanager
def sending(client: Any) -> Iterator[Counter[str]]:
    """HTTP requests of `client` inside, by operation: retries count."""
    requests: Counter[str] = Counter()

    def count(event_name: str, **_: Any) -> None:
        requests[event_name.rsplit(".", 1)[1]] += 1

    with hooked(client, "before-send", count):
        yield requests


@contextmanager
def throttled(
    client: Any, operation: str, times: int, code: str = "ThrottlingException", *, status: int | None = None
) -> Iterator[list[str]]:
    """The next `times` HTTP requests of `operation` are answered with `code`; yields the list of those answered.

    `status` None: what AWS sends with a throttle.
    """
    answered: list[str] = []

    def answer(event_name: str, **_: Any) -> AWSResponse | None:
        if len(answered) >= times:
            return None
        answered.append(event_name)
        return _refused(client, code, status)

    with hooked(client, "before-send", answer, operation=operation):
        yield answered


@contextmanager
def hooked(client: Any, event: str, handler: Any, *, operation: str | None = None) -> Iterator[None]:
    service = client.meta.service_model.service_id.hyphenize()
    name = f"{event}.{service}" + (f".{operation}" if operation else "")
    client.meta.events.register_first(name, handler)
    try:
        yield
    finally:
        client.meta.events.unregister(name, handler)


def refusal(status: int, body: bytes) -> AWSResponse:
    """An answer for a before-send hook to give."""
    return AWSResponse("", status, {}, _Raw(body))


def _refused(client: Any, code: str, status: int | None) -> AWSResponse:
    if client.meta.service_model.metadata["protocol"] in {"rest-xml", "query"}:
        return refusal(status or 503, f"<Error><Code>{code}</Code><Message>Rate exceeded</Message></Error>".encode())
    return refusal(status or 400, orjson.dumps({"__type": f"aws#{code}", "message": "Rate exceeded"}))


class _Raw:
    """What botocore reads a response's body from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body
