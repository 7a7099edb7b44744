"""A server on a real socket that gives the answers a test put in, and remembers what it was asked."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Answer = Any
"""A pydantic model or JSON value (200), a (status, body) pair, bytes, or a function of the Asked."""


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class CannedApi:
    url: str = ""
    token: str = "t0ken"  # noqa: S105 - of this test server only
    asked: list[Asked] = field(default_factory=list)
    routes: list[tuple[str, re.Pattern[str], Answer]] = field(default_factory=list)

    def on(self, method: str, path: str, answer: Answer) -> None:
        """`path` is a regular expression; the route added last wins."""
        self.routes.insert(0, (method, re.compile(path), answer))

    def calls(self, method: str, path: str) -> list[Asked]:
        return [one for one in self.asked if one.method == method and one.path == path]

    def respond(self, asked: Asked) -> tuple[int, bytes]:
        self.asked.append(asked)
        open_to_all = asked.path.startswith(("/signed/", "/health/"))
        if not open_to_all and asked.headers.get("authorization") != f"Bearer {self.token}":
            return 401, _body({"detail": "wrong token"})
        for method, path, answer in self.routes:
            if method == asked.method and path.fullmatch(asked.path):
                return _rendered(answer, asked)
        return 404, _body({"detail": f"no {asked.method} {asked.path} here", "request_id": "r-404"})


def _rendered(answer: Answer, asked: Asked) -> tuple[int, bytes]:
    if isinstance(answer, Callable):  # type: ignore[arg-type]  # callable, of whatever type
        answer = answer(asked)
    if isinstance(answer, tuple):
        return answer[0], _body(answer[1])
    return 200, _body(answer)


def _body(answer: Answer) -> bytes:
    if answer is None or isinstance(answer, bytes):
        return answer or b""
    if hasattr(answer, "model_dump_json"):
        return bytes(answer.model_dump_json().encode())
    return json.dumps(answer).encode()


@contextmanager
def canned_api() -> Iterator[CannedApi]:
    api = CannedApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            status, content = api.respond(Asked(self.command, unquote(parts.path), query, headers, body))
            self.send_response(status)
            self.send_header("ETag", f'"{len(body)}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - names given by http.server

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        api.url = f"http://127.0.0.1:{server.server_port}"
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
