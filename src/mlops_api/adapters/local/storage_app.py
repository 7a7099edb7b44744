"""What answers signed URLs: an ASGI app without a framework, so that bodies go to disk as they arrive.

    PUT       /uploads/{id}/{part}?expires&size&signature
    GET HEAD  /objects/{key}?expires&filename&signature     one Range at most

The signature is all the authentication there is: a URL is good for one method, one part or object, one size, and
until it expires. Files are read and written in threads, so a slow disk does not hold up the event loop.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from mlops_api.adapters.attachment import attachment
from mlops_api.adapters.local.byte_ranges import ByteRange, Unsatisfiable, parse_range
from mlops_api.adapters.local.file_objects import FileObjects
from mlops_api.adapters.local.object_files import OpenObject
from mlops_api.adapters.local.signing import UrlSigner
from mlops_api.adapters.local.uploads import PartWriter
from mlops_api.domain.errors import BadRequest, NotFound, PlatformError, RequestTimeout, TooLarge

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

IDLE_SECONDS = 30.0
_WRITE_BYTES = 1 << 20
_READ_BYTES = 1 << 18
_UPLOAD = re.compile(r"^/uploads/([0-9a-f]{32})/([0-9]{1,5})$", re.ASCII)
_OBJECT = re.compile(r"^/objects/(.+)$", re.DOTALL)
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cache-Control": "private, no-store",
}


class LengthRequired(PlatformError):
    status = 411
    title = "Length required"


class RangeNotSatisfiable(PlatformError):
    status = 416
    title = "Range not satisfiable"


class MethodNotAllowed(PlatformError):
    status = 405
    title = "Method not allowed"


class _Disconnected(Exception):
    """The client went away: there is nobody to answer."""


@dataclass(frozen=True)
class _Request:
    """`path` is decoded and begins below the mount; `target` is path and query as they were sent."""

    method: str
    path: str
    target: str
    headers: Mapping[str, str]


class StorageApp:
    """`idle_seconds`: longest wait for the next bytes of a part."""

    def __init__(self, objects: FileObjects, signer: UrlSigner, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._objects = objects
        self._signer = signer
        self._idle_seconds = idle_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"The storage app answers http only, not {scope['type']}.")
        request = _request(scope)
        try:
            await self._answer(request, receive, send)
        except PlatformError as error:
            await _send_problem(send, error, with_body=request.method != "HEAD")
        except _Disconnected:
            return

    async def _answer(self, request: _Request, receive: Receive, send: Send) -> None:
        upload, found = _UPLOAD.match(request.path), _OBJECT.match(request.path)
        if upload:
            _allow(request, "PUT")
            await self._take_part(request, upload[1], int(upload[2]), receive, send)
        elif found:
            _allow(request, "GET", "HEAD")
            await self._send_object(request, found[1], receive, send)
        else:
            raise NotFound("There is nothing here. Signed URLs come from the API; use them unchanged.")

    async def _take_part(self, request: _Request, upload_id: str, number: int, receive: Receive, send: Send) -> None:
        query = self._signer.verify("PUT", request.target)
        _check_length(request, int(query["size"]))
        part = await asyncio.to_thread(self._objects.open_part, upload_id, number)
        try:
            await self._write_body(part, receive)
            etag = await asyncio.to_thread(part.finish)
        finally:
            await asyncio.to_thread(part.abandon)
        await _send_empty(send, 200, {"ETag": f'"{etag}"'})

    async def _write_body(self, part: PartWriter, receive: Receive) -> None:
        """Gather small network chunks into large writes: a thread switch costs more than copying them."""
        waiting = bytearray()
        more = True
        while more:
            message = await self._next(receive)
            waiting += message.get("body", b"")
            more = message.get("more_body", False)
            if len(waiting) >= _WRITE_BYTES or not more:
                await asyncio.to_thread(part.write, waiting)
                waiting = bytearray()

    async def _next(self, receive: Receive) -> Message:
        try:
            message = await asyncio.wait_for(receive(), self._idle_seconds)
        except TimeoutError as error:
            raise RequestTimeout(f"No data arrived for {self._idle_seconds:g} s. Send the part again.") from error
        if message["type"] == "http.disconnect":
            raise _Disconnected
        return message

    async def _send_object(self, request: _Request, key: str, receive: Receive, send: Send) -> None:
        query = self._signer.verify("GET", request.target)
        found = await asyncio.to_thread(self._objects.open_object, key)
        try:
            wanted = _wanted_range(request, found)
            status, headers = _object_headers(found, wanted, query["filename"])
            await _start(send, status, headers)
            if request.method == "HEAD":
                await _finish(send)
            else:
                await _send_range(found, wanted or ByteRange(0, found.info.size), receive, send)
        finally:
            found.close()


def _request(scope: Scope) -> _Request:
    root = scope.get("root_path", "")
    path = scope["path"].removeprefix(root)
    raw = (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1").removeprefix(root)
    query = scope.get("query_string", b"").decode("latin-1")
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return _Request(scope["method"], path, f"{raw}?{query}", headers)


def _allow(request: _Request, *methods: str) -> None:
    if request.method not in methods:
        error = MethodNotAllowed(f"{request.method} is not possible here; this URL is for {' and '.join(methods)}.")
        error.headers["Allow"] = ", ".join(methods)
        raise error


def _check_length(request: _Request, size: int) -> None:
    """Raises LengthRequired, TooLarge or BadRequest unless exactly `size` bytes are announced."""
    announced = request.headers.get("content-length")
    if announced is None:
        raise LengthRequired(f"Send Content-Length: {size}; chunked transfer is not taken here.")
    if announced != str(size):
        number = int(announced[:20]) if announced.isascii() and announced.isdigit() else 0
        kind = TooLarge if number > size else BadRequest
        raise kind(f"This part has {size} bytes; Content-Length says {announced[:20]!r}. Cut the file at part_size.")


def _wanted_range(request: _Request, found: OpenObject) -> ByteRange | None:
    condition = request.headers.get("if-range")
    if condition is not None and condition != _quoted(found):
        return None
    try:
        return parse_range(request.headers.get("range"), found.info.size)
    except Unsatisfiable as unsatisfiable:
        error = RangeNotSatisfiable(f"The object has {found.info.size} bytes; the range begins behind its end.")
        error.headers["Content-Range"] = f"bytes */{found.info.size}"
        raise error from unsatisfiable


def _object_headers(found: OpenObject, wanted: ByteRange | None, filename: str) -> tuple[int, dict[str, str]]:
    length = found.info.size if wanted is None else wanted.length
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(length),
        "Content-Disposition": attachment(filename),
        "Accept-Ranges": "bytes",
        "ETag": _quoted(found),
    }
    if wanted is None:
        return 200, headers
    last = wanted.start + wanted.length - 1
    return 206, headers | {"Content-Range": f"bytes {wanted.start}-{last}/{found.info.size}"}


def _quoted(found: OpenObject) -> str:
    return f'"{found.info.etag}"'


async def _send_range(found: OpenObject, wanted: ByteRange, receive: Receive, send: Send) -> None:
    """Send until all is sent or the client has gone: a server may drop what is sent to nobody without a word."""
    gone = asyncio.ensure_future(_disconnect(receive))
    try:
        offset, end = wanted.start, wanted.start + wanted.length
        while offset < end and not gone.done():
            chunk = await asyncio.to_thread(found.read, offset, min(_READ_BYTES, end - offset))
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            offset += len(chunk)
        await _finish(send)
    finally:
        gone.cancel()
        with suppress(asyncio.CancelledError):
            await gone


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_problem(send: Send, error: PlatformError, *, with_body: bool) -> None:
    """RFC 9457."""
    document = {"type": "about:blank", "title": error.title, "status": error.status, "detail": error.detail}
    body = orjson.dumps(document | error.extra)
    headers = {"Content-Type": "application/problem+json", "Content-Length": str(len(body)), **error.headers}
    await _start(send, error.status, headers)
    await _finish(send, body if with_body else b"")


async def _send_empty(send: Send, status: int, headers: Mapping[str, str]) -> None:
    await _start(send, status, {"Content-Length": "0", **headers})
    await _finish(send)


async def _start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    pairs = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in {**_ALWAYS, **headers}.items()
    ]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def _finish(send: Send, body: bytes = b"") -> None:
    await send({"type": "http.response.body", "body": body, "more_body": False})
