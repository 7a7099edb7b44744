"""Who may come in: a known Host (against DNS rebinding), a token, and a body no larger than the cap."""

import re
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

import anyio

from mlops_api.domain.errors import BadRequest, Forbidden, PlatformError, RequestTimeout, TooLarge, Unauthorized
from mlops_api.middleware.asgi import App, Message, Receive, Scope, Send, header, send_body, send_problem
from mlops_api.services.identity import Identity

COOKIE = "mlops_token"
OPEN_PATHS = frozenset({"/health/live", "/health/ready", "/favicon.ico"})
_LINKED = {"/": b"/ui/", "/ui/": b"/ui/", "/docs": b"/docs"}
"""Pages that a token link opens, and where each leads without its token."""
_IDLE_SECONDS = 30.0
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(?P<name>\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9.-]+)(:[0-9]{1,5})?")


class _SenderGone(Exception):
    """The client went away in the middle of its body: there is nobody to answer."""


class HostCheck:
    """Refuses a Host, and for changes an Origin, that is not this server: a page elsewhere cannot reach in."""

    def __init__(self, app: App, allowed: frozenset[str], origins: frozenset[str] = frozenset()) -> None:
        self._app = app
        self._allowed = allowed
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            error = self._refusal(scope)
            if error is not None:
                await send_problem(error, scope, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> PlatformError | None:
        host = header(scope, b"host") or ""
        if "*" not in self._allowed and _host_name(host) not in self._allowed:
            names = " or ".join(sorted(name for name in self._allowed if not name.startswith("[")))
            return Forbidden(f"This server does not answer to that Host. Use {names}.")
        if scope["method"] not in _SAFE and not self._is_own(header(scope, b"origin"), host):
            return Forbidden("Requests from pages of another origin are refused.")
        return None

    def _is_own(self, origin: str | None, host: str) -> bool:
        return origin is None or origin.partition("://")[2] == host or origin in self._origins


class Authentication:
    """A bearer token, or the cookie that the token link set. `/docs?token=...` sets the cookie and redirects.

    An identity that takes no tokens is asked about the request itself, and about nothing a client can write in it.
    """

    def __init__(self, app: App, identity: Identity, open_prefixes: tuple[str, ...]) -> None:
        self._app = app
        self._identity = identity
        self._open_prefixes = open_prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_open(scope["path"]):
            await self._app(scope, receive, send)
            return
        link = _link_token(scope) if self._identity.takes_tokens else None
        if link is not None and self._identity.identify(scope, link) is not None:
            await send_body(send, 303, b"", [(b"location", _LINKED[scope["path"]]), (b"set-cookie", _cookie(link))])
            return
        token = (_bearer(scope) or _cookie_token(scope)) if self._identity.takes_tokens else None
        principal = self._identity.identify(scope, token)
        if principal is None:
            await send_problem(_unauthorized(self._identity.advice), scope, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, send)

    def _is_open(self, path: str) -> bool:
        return path in OPEN_PATHS or path.startswith(self._open_prefixes)


class BodyCap:
    """Counts the body as it comes, before anything parses it; gives up on a sender that stops sending."""

    def __init__(
        self, app: App, most: int, uncapped_prefixes: tuple[str, ...], idle_seconds: float = _IDLE_SECONDS
    ) -> None:
        self._app = app
        self._most = most
        self._idle_seconds = idle_seconds
        self._uncapped = uncapped_prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._uncapped):
            await self._app(scope, receive, send)
            return
        error = self._declared_too_large(scope)
        if error is not None:
            await send_problem(error, scope, send)
            return
        try:
            body = await self._read(receive)
        except (TooLarge, RequestTimeout) as refusal:
            await send_problem(refusal, scope, send)
            return
        except _SenderGone:
            return
        await self._app(scope, _replay(body, receive), send)

    def _declared_too_large(self, scope: Scope) -> PlatformError | None:
        declared = header(scope, b"content-length")
        if declared is None:
            return None
        if not declared.isascii() or not declared.isdigit():
            return BadRequest("Content-Length is not a number.")
        return self._too_large() if int(declared) > self._most else None

    async def _read(self, receive: Receive) -> bytes:
        """The whole body. Raises TooLarge once it is over the cap, RequestTimeout, _SenderGone when it is cut off."""
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await self._next(receive)
            if message["type"] == "http.disconnect":
                raise _SenderGone
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._most:
                raise self._too_large()
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)

    async def _next(self, receive: Receive) -> Message:
        try:
            with anyio.fail_after(self._idle_seconds):
                return await receive()
        except TimeoutError as error:
            raise RequestTimeout(f"No data arrived for {self._idle_seconds:g} s. Send the request again.") from error

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The body is over {self._most} bytes. Upload files with POST /datasets and score them in batch."
        )


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def _host_name(host: str) -> str:
    """The Host without its port; IPv6 keeps its brackets. Empty for what is no Host."""
    match = _HOST.fullmatch(host)
    return match["name"].lower() if match else ""


def _bearer(scope: Scope) -> str | None:
    kind, _, token = (header(scope, b"authorization") or "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def _cookie_token(scope: Scope) -> str | None:
    try:
        morsel = SimpleCookie(header(scope, b"cookie") or "").get(COOKIE)
    except CookieError:
        return None
    return str(morsel.value) if morsel else None


def _link_token(scope: Scope) -> str | None:
    if scope["method"] != "GET" or scope["path"] not in _LINKED:
        return None
    found = parse_qs(bytes(scope.get("query_string", b"")).decode("latin-1")).get("token")
    return found[0] if found else None


def _cookie(token: str) -> bytes:
    return f"{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/".encode("latin-1")


def _unauthorized(advice: str) -> Unauthorized:
    error = Unauthorized(advice)
    error.headers["WWW-Authenticate"] = "Bearer"
    return error
