"""Requests to the app in this process: as a client sends them, or byte by byte as the server hands them over."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from tests.support.platform import HOST, TOKEN

Headers = Sequence[tuple[str, str]]
AUTHORIZED: Headers = (("host", HOST), ("authorization", f"Bearer {TOKEN}"))


class Web:
    """A client with the token; redirects are not followed."""

    def __init__(self, app: FastAPI, portal: BlockingPortal, client: httpx.AsyncClient) -> None:
        self.app = app
        self._portal = portal
        self._client = client

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self._portal.call(lambda: self._client.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return self("POST", path, json=json, **options)

    def put(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return self("PUT", path, json=json, **options)


@contextmanager
def web(app: FastAPI, token: str | None = TOKEN) -> Iterator[Web]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}", headers=headers, timeout=30)
    with start_blocking_portal() as portal:
        try:
            yield Web(app, portal, client)
        finally:
            portal.call(client.aclose)


@dataclass
class Raw:
    """An answer, and how many chunks of the body the app took before it gave it."""

    status: int
    headers: dict[str, str]
    body: bytes
    chunks_taken: int


def raw(
    app: FastAPI,
    method: str,
    path: str,
    headers: Headers = AUTHORIZED,
    chunks: Sequence[bytes] = (b"",),
    query: str = "",
    *,
    vanishes: bool = False,
) -> Raw:
    """One request, its body in these chunks. `vanishes`: the client is gone before the last chunk."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "client": ("127.0.0.1", 5000),
        "server": ("127.0.0.1", 8000),
    }
    return anyio.run(_exchange, app, scope, chunks, vanishes)


async def _exchange(app: FastAPI, scope: dict[str, Any], chunks: Sequence[bytes], vanishes: bool) -> Raw:
    answer = Raw(0, {}, b"", 0)
    kept = chunks[:-1] if vanishes else chunks

    async def receive() -> dict[str, Any]:
        if answer.chunks_taken >= len(kept):
            return {"type": "http.disconnect"}
        answer.chunks_taken += 1
        more = answer.chunks_taken < len(chunks)
        return {"type": "http.request", "body": kept[answer.chunks_taken - 1], "more_body": more}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    await app(scope, receive, send)
    return answer
