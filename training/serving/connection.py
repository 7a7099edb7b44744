"""One HTTP/1.1 connection.

    bytes -> httptools -> requests, in order -> application -> answers, in the same order

    idle --first byte--> head --complete--> body --complete--> answered --> idle
                         10 s               60 s                            75 s

A request that the application answers at once is written in the same turn of the loop. While it works on one in a
thread, what follows on the connection waits, and no more is read. A body that is refused (too large, too many
requests) is read and dropped, so that the connection lives on. What is no HTTP ends the connection with a 400.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from dataclasses import replace
from http import HTTPStatus
from typing import Final, Protocol, cast
from urllib.parse import unquote

import httptools

from training.serving.messages import MAX_BODY, Answer, Request, error_answer, too_large

HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 60.0
"""A body that takes longer to arrive is given up: SageMaker waits no longer for the whole answer."""
IDLE_SECONDS: Final = 75.0
LINGER_SECONDS: Final = 2.0
"""How long an ended connection is still read from: closed at once, it might take the answer back."""
MAX_HEAD: Final = 64 * 1024

_REASONS: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_JOINED_BELOW: Final = 64 * 1024


class Application(Protocol):
    def admit(self, method: str, headers: dict[bytes, bytes]) -> Answer | None:
        """Called when a head has arrived: None lets the body be read and calls for `leave` in the end; an answer
        refuses the request, whose body is dropped."""

    def leave(self) -> None:
        """An admitted request is answered, or gone."""

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer a request. Never raises, nor does what is awaited."""


class Host(Protocol):
    """What a connection needs of its server."""

    app: Application
    date: bytes
    draining: bool

    def opened(self, connection: "Connection") -> None: ...
    def closed(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """`deadline`: loop time at which `expire` is to be called."""

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request | Answer, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._reading = False
        self._ended = self._closing = self._blocked = False
        self._admitted = 0
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._size = self._head_size = 0
        self._refusal: Answer | None = None

    # ---- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.deadline = self._loop.time() + IDLE_SECONDS
        self._host.opened(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._ended = True
        self._waiting.clear()
        for _ in range(self._admitted - (self._task is not None)):
            self._leave()
        self._host.closed(self)

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if self._head_size > MAX_HEAD:
                self._refuse(error_answer(431, f"the head of the request is over {MAX_HEAD} bytes"))
            else:
                self._refuse(error_answer(400, f"this is no HTTP/1.1 request: {error}"))

    def _stay(self, rest: bytes) -> None:
        """An offer to speak another protocol (HTTP/2 of Java's client, say) is passed over: the parser, which stopped
        before the body, is given the same head without it."""
        kept = [(name, value) for name, value in self._headers.items() if name not in (b"upgrade", b"connection")]
        lines = b"".join(b"%b: %b\r\n" % pair for pair in kept)
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (self._parser.get_method(), self._url, lines)
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(head + rest)

    def eof_received(self) -> bool:
        """A client may close its side and still read."""
        if self._reading or not self._busy:
            return False
        self._end_after_answers()
        return True

    def pause_writing(self) -> None:
        """The client does not read what it was sent."""
        self._blocked = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._blocked = False
        self._settle()

    # ---- called by the parser

    def on_message_begin(self) -> None:
        self._begin()
        self._reading = True
        self.deadline = self._loop.time() + HEAD_SECONDS

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value
        self._grow(len(name) + len(value))

    def _grow(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MAX_HEAD:
            raise ValueError("head too large")  # ends the parser, which is what counts here

    def on_headers_complete(self) -> None:
        self.deadline = self._loop.time() + BODY_SECONDS
        if self._parser.should_upgrade():
            return
        headers = self._headers
        self._refusal = self._host.app.admit(self._parser.get_method().decode("latin-1"), headers)
        if self._refusal is not None:
            return
        self._admitted += 1
        if headers.get(b"expect", b"").lower() == b"100-continue" and not self._busy:
            self._transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        if self._refusal is not None:
            return
        self._size += len(body)
        self._parts.append(body)
        if self._size > MAX_BODY:
            self._refusal = too_large()
            self._parts = []
            self._leave()

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return  # see _stay
        self._reading = False
        keep = self._parser.should_keep_alive()
        item = self._refusal or self._request()
        if self._busy:
            self._waiting.append((item, keep))
            self._transport.pause_reading()
        else:
            self._take(item, keep)

    def _request(self) -> Request:
        path = unquote(self._url.partition(b"?")[0].decode("latin-1"))
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        return Request(self._parser.get_method().decode("latin-1"), path, self._headers, body)

    # ---- answering

    @property
    def _busy(self) -> bool:
        return self._task is not None

    def _take(self, item: Request | Answer, keep: bool) -> None:
        if isinstance(item, Answer):
            self._write(item, keep)
            return
        answer = self._host.app.handle(item)
        if isinstance(answer, Answer):
            self._leave()
            self._write(replace(answer, body=b"") if item.method == "HEAD" else answer, keep)
            return
        self._transport.pause_reading()
        self._task = self._loop.create_task(self._later(answer, keep))

    async def _later(self, answer: Awaitable[Answer], keep: bool) -> None:
        try:
            found = await answer
        finally:
            self._task = None
            self._leave()
        self._write(found, keep)
        while self._waiting and not self._busy and not self._ended:
            self._take(*self._waiting.popleft())
        self._settle()

    def _leave(self) -> None:
        self._admitted -= 1
        self._host.app.leave()

    def _write(self, answer: Answer, keep: bool) -> None:
        if self._ended:
            return
        ending = (self._closing or self._host.draining) and not self._waiting
        keep = keep and not ending
        head, body = self._head(answer, keep), answer.body
        if len(body) < _JOINED_BELOW:
            self._transport.write(head + body)
        else:
            self._transport.writelines([head, body])
        self.deadline = self._loop.time() + (BODY_SECONDS if self._blocked else IDLE_SECONDS)
        if not keep:
            self._end()

    def _head(self, answer: Answer, keep: bool) -> bytes:
        more = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        if not keep:
            more += "connection: close\r\n"
        line = _REASONS[answer.status] + self._host.date
        fields = f"content-type: {answer.content_type}\r\ncontent-length: {len(answer.body)}\r\n{more}\r\n"
        return line + fields.encode("latin-1")

    def _settle(self) -> None:
        """Read on, if nothing is being worked on."""
        if not (self._ended or self._busy or self._blocked):
            self._transport.resume_reading()
            self.deadline = self._loop.time() + IDLE_SECONDS

    # ---- ending

    def expire(self) -> None:
        """`deadline` has passed."""
        if self._busy and not self._blocked:
            self.deadline = self._loop.time() + BODY_SECONDS  # the application takes its time; that is no fault
        elif self._ended or self._blocked:
            self._transport.abort()
        elif not self._reading:
            self._end()
        else:
            self._refuse(error_answer(408, "the request did not arrive in time"))

    def drain(self) -> None:
        """End as soon as what has begun to arrive is answered."""
        if not self._reading and not self._busy:
            self._end()

    def abort(self) -> None:
        self._transport.abort()

    def _end_after_answers(self) -> None:
        self._closing = True
        if not self._busy:
            self._end()

    def _refuse(self, answer: Answer) -> None:
        """Answer what cannot be read on, and end."""
        if self._busy:
            self._waiting.append((answer, False))
        else:
            self._write(answer, keep=False)

    def _end(self) -> None:
        """What was written goes out; what still comes in is dropped until the client closes."""
        if self._ended:
            return
        self._ended = True
        unsent = self._transport.get_write_buffer_size()
        self.deadline = self._loop.time() + (BODY_SECONDS if unsent else LINGER_SECONDS)
        if self._reading and self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()
