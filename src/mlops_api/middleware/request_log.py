"""A request id for every request, security headers on every answer, one JSON log line each, and a 500 that says
nothing of the inside."""

import logging
import re
import secrets
import time

from mlops_api.domain.errors import PlatformError
from mlops_api.middleware.asgi import App, Message, Receive, Scope, Send, header, send_problem

_LOG = logging.getLogger("mlops_api.requests")
_GIVEN_ID = re.compile(r"^[A-Za-z0-9._-]{1,64}$")
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'"),
)


class RequestLog:
    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = header(scope, b"x-request-id") or ""
        identity = given if _GIVEN_ID.match(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = identity
        start, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name for name, _ in message["headers"]}
                own = [(b"x-request-id", identity.encode()), *_HEADERS]
                message["headers"] = [*message["headers"], *((n, v) for n, v in own if n not in present)]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            _LOG.exception("request failed", extra={"fields": {"request_id": identity, "path": scope["path"]}})
            if status:  # the answer has begun: nothing but ending the connection is left
                raise
            error = PlatformError(f"Something broke here. Report request {identity}; the server's log has the cause.")
            await send_problem(error, scope, send_with_headers)
        finally:
            self._write(scope, identity, status, time.perf_counter() - start)

    @staticmethod
    def _write(scope: Scope, identity: str, status: int, seconds: float) -> None:
        fields = {
            "request_id": identity,
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "ms": round(seconds * 1000, 2),
        }
        _LOG.info("request", extra={"fields": fields})
