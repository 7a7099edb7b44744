"""The few ASGI words the layers share."""

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import orjson

from mlops_api.domain.errors import PlatformError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def header(scope: Scope, name: bytes) -> str | None:
    """The last header of that (lower-case) name."""
    found = [value for key, value in scope["headers"] if key == name]
    return found[-1].decode("latin-1") if found else None


def request_id(scope: Scope) -> str:
    return str(scope.setdefault("state", {}).get("request_id", ""))


def problem(error: PlatformError, scope: Scope) -> dict[str, Any]:
    """RFC 9457, with the request id and whatever the error adds."""
    return {
        "type": f"urn:mlops:problem:{error.title.lower().replace(' ', '-')}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": scope["path"],
        "request_id": request_id(scope),
        **error.extra,
    }


async def send_problem(error: PlatformError, scope: Scope, send: Send) -> None:
    headers = [(b"content-type", b"application/problem+json")]
    headers += [(name.lower().encode(), value.encode()) for name, value in error.headers.items()]
    await send_body(send, error.status, orjson.dumps(problem(error, scope)), headers)


async def send_body(send: Send, status: int, body: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
