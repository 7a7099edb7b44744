"""API Gateway for tests: HTTP in front, events of an HTTP API behind.

It stands for the JWT authorizer too: one token is good, and gives the claims; other requests go on without claims.
"""

import base64
import http.server
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

Invoke = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class ApiGateway:
    """`url` once entered."""

    def __init__(self, invoke: Invoke, token: str, claims: Mapping[str, str]) -> None:
        self.invoke = invoke
        self.token = token
        self.claims = dict(claims)

    def __enter__(self) -> Self:
        self._http = _Front(self)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    def event(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        """Payload format 2.0."""
        path, _, query = target.partition("?")
        known = headers.get("authorization") == f"Bearer {self.token}"
        return {
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": query,
            "headers": dict(headers),
            "requestContext": {
                "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
                "stage": "$default",
                **({"authorizer": {"jwt": {"claims": self.claims, "scopes": None}}} if known else {}),
            },
            "body": base64.b64encode(body).decode() if body else None,
            "isBase64Encoded": bool(body),
        }


class _Front(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, gateway: ApiGateway) -> None:
        self.gateway = gateway
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Front

    def _any(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        gateway = self.server.gateway
        answer = gateway.invoke(gateway.event(self.command, self.path, headers, body))
        content = answer.get("body") or ""
        raw = base64.b64decode(content) if answer.get("isBase64Encoded") else content.encode()
        self.send_response(answer["statusCode"])
        for name, value in (answer.get("headers") or {}).items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Requests are in the function's own log."""
