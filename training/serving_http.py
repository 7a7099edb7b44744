"""The little HTTP a model server needs on top of ASGI: a bounded body in, one answer out."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from training.complaints import BadRows, RequestError

Scope = Mapping[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MAX_BODY: Final = 6 * 2**20
"""Bytes: the limit of a SageMaker real-time endpoint."""

BODY_SECONDS: Final = 60.0
"""A body that takes longer to arrive is given up: SageMaker waits no longer for the whole answer."""


class Refused(Exception):
    """A request that is answered with this status and text without being looked into."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = dict(headers or {})


class ClientGone(Exception):
    """The connection closed before the body was complete; nobody waits for an answer."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def error_answer(status: int, text: str, headers: Mapping[str, str] | None = None, **more: Any) -> Answer:
    """{"error": text, ...}."""
    return Answer(status, orjson.dumps({"error": text, **more}), headers=headers or {})


def refusal(error: RequestError) -> Answer:
    """The answer to a body that cannot be read; BadRows lists row, column and message of each complaint."""
    if isinstance(error, BadRows):
        errors = [each._asdict() for each in error.complaints]
        return error_answer(error.status, str(error), errors=errors, error_count=error.total)
    return error_answer(error.status, str(error))


def header(scope: Scope, name: bytes) -> str:
    """Value of a header, given in lower case; empty when absent."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value, "latin-1")
    return ""


async def read_body(scope: Scope, receive: Receive, limit: int = MAX_BODY) -> bytes:
    """The whole body. Raises Refused (over `limit` bytes, encoded, or too slow) or ClientGone."""
    if (encoding := header(scope, b"content-encoding")) not in ("", "identity"):
        raise Refused(415, f"content encoding {encoding!r} is not supported; send the body as it is")
    declared = header(scope, b"content-length")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _received(receive, limit)
    except TimeoutError:
        raise Refused(408, f"the body did not arrive within {BODY_SECONDS:.0f} seconds") from None


async def _received(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int) -> Refused:
    return Refused(413, f"the body is over {limit} bytes; send fewer rows at a time, or use batch scoring")


async def send_answer(send: Send, answer: Answer) -> None:
    """Send status, headers and body."""
    headers = [
        (b"content-type", answer.content_type.encode("ascii")),
        (b"content-length", b"%d" % len(answer.body)),
        *((name.lower().encode("ascii"), value.encode("ascii")) for name, value in answer.headers.items()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
