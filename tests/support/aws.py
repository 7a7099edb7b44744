"""AWS for tests: hooks into boto3 clients that count calls and answer for the service."""

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from botocore.awsrequest import AWSResponse

REGION = "eu-central-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": REGION}


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
def throttled(client: Any, operation: str, times: int, code: str = "ThrottlingException") -> Iterator[list[str]]:
    """The next `times` HTTP requests of `operation` are answered by a throttle; yields the list of those answered."""
    answered: list[str] = []

    def answer(event_name: str, **_: Any) -> AWSResponse | None:
        if len(answered) >= times:
            return None
        answered.append(event_name)
        return _refusal(client, code)

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


def _refusal(client: Any, code: str) -> AWSResponse:
    message = "Rate exceeded"
    if client.meta.service_model.protocol_name.endswith("xml"):
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        return AWSResponse("", 503, {"content-type": "application/xml"}, _Raw(body))
    return AWSResponse("", 400, {}, _Raw(orjson.dumps({"__type": f"aws#{code}", "message": message})))


class _Raw:
    """What botocore reads a response's body from."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body
