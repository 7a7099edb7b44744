"""HTTP/1.1 to one model server over its unix socket: kept-alive connections, no library in between.

A call costs one write and, for a small answer, one read. http.client would cost five times as much.
"""

import contextlib
import os
import select
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

from mlops_api.domain.errors import Unavailable

_READ = 1 << 16
_MAX_IDLE = 16
_MAX_HEAD = 1 << 16


@dataclass(frozen=True)
class Reply:
    status: int
    content_type: str
    body: bytes
    retry_after: str | None


class _Closed(Exception):
    """The connection ended before any byte of the answer."""


class ServerClient:
    """`folder` holds the server's socket, of name `name`. Safe to share between threads."""

    def __init__(self, folder: Path, name: str, *, timeout: float = 60.0) -> None:
        # Through a descriptor of the folder, because a socket address holds no more than 107 bytes.
        self._folder = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._name = name
        self._timeout = timeout
        self._idle: list[socket.socket] = []
        self._lock = threading.Lock()
        self._closed = False

    def request(self, method: str, path: str, body: bytes = b"", *, content_type: str = "", accept: str = "") -> Reply:
        """One exchange; sent again once, and only when a kept-alive connection turns out to have been closed.

        Raises Unavailable when the server is gone or does not answer in time.
        """
        message = _message(method, path, body, content_type, accept)
        kept = self._take()
        try:
            if kept is not None:
                with contextlib.suppress(_Closed):
                    return self._exchange(kept, message)
            return self._exchange(self._connect(), message)
        except TimeoutError:
            raise Unavailable(f"The model server did not answer in {self._timeout:g} s.", retry_after=5) from None
        except (_Closed, OSError, ValueError) as error:
            raise Unavailable(f"The model server is not there; it is being started again ({error}).") from error

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        os.close(self._folder)

    def _exchange(self, connection: socket.socket, message: list[bytes]) -> Reply:
        try:
            _send(connection, message)
            reply, keep = _receive(connection)
        except BaseException:
            connection.close()
            raise
        self._give_back(connection) if keep else connection.close()
        return reply

    def _connect(self) -> socket.socket:
        with self._lock:
            if self._closed:
                raise _Closed("the server was put away")
            # Its own, because once closed the number may mean another server's folder.
            folder = os.dup(self._folder)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._timeout)
        try:
            connection.connect(f"/proc/self/fd/{folder}/{self._name}")
        except OSError:
            connection.close()
            raise
        finally:
            os.close(folder)
        return connection

    def _take(self) -> socket.socket | None:
        """A kept connection that the server has not closed meanwhile."""
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None or not _readable(connection):
                return connection
            connection.close()

    def _give_back(self, connection: socket.socket) -> None:
        with self._lock:
            if not self._closed and len(self._idle) < _MAX_IDLE:
                self._idle.append(connection)
                return
        connection.close()


def _message(method: str, path: str, body: bytes, content_type: str, accept: str) -> list[bytes]:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    if content_type:
        head += f"Content-Type: {content_type}\r\n"
    if accept:
        head += f"Accept: {accept}\r\n"
    start = (head + "\r\n").encode("latin-1")
    return [start + body] if len(body) < _READ else [start, body]


def _send(connection: socket.socket, message: list[bytes]) -> None:
    try:
        for part in message:
            connection.sendall(part)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise _Closed("the connection was closed") from error


def _readable(connection: socket.socket) -> bool:
    """An idle connection that can be read has been closed by the server, or is out of step."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _receive(connection: socket.socket) -> tuple[Reply, bool]:
    """(answer, whether the connection may be used again)."""
    reader = _Reader(connection)
    head = reader.until(b"\r\n\r\n", _MAX_HEAD)
    status_line, *lines = head[:-4].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = reader.chunked()
    else:
        body = reader.exactly(int(headers["content-length"]))
    reply = Reply(int(status_line.split(" ", 2)[1]), headers.get("content-type", ""), body, headers.get("retry-after"))
    return reply, headers.get("connection", "").lower() != "close"


class _Reader:
    """Reads one answer. Raises _Closed at the end of file before its first byte, ConnectionError after it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""
        self._started = False

    def until(self, mark: bytes, limit: int) -> bytes:
        """Bytes up to and with `mark`. Raises ValueError when they are more than `limit`."""
        while (end := self._buffer.find(mark)) < 0:
            if len(self._buffer) > limit:
                raise ValueError("the answer's head is too long")
            self._buffer += self._more(_READ)
        return self._cut(end + len(mark))

    def exactly(self, size: int) -> bytes:
        parts = [self._cut(size)]
        missing = size - len(parts[0])
        while missing:
            parts.append(self._more(min(missing, 1 << 20)))
            missing -= len(parts[-1])
        return b"".join(parts)

    def chunked(self) -> bytes:
        parts = []
        while size := int(self.until(b"\r\n", _MAX_HEAD).split(b";")[0], 16):
            parts.append(self.exactly(size))
            self.until(b"\r\n", 2)
        while self.until(b"\r\n", _MAX_HEAD) != b"\r\n":
            pass
        return b"".join(parts)

    def _cut(self, size: int) -> bytes:
        cut, self._buffer = self._buffer[:size], self._buffer[size:]
        return cut

    def _more(self, size: int) -> bytes:
        try:
            data = self._connection.recv(size)
        except ConnectionResetError:
            data = b""
        if not data and not self._started:
            raise _Closed("the connection was closed")
        if not data:
            raise ConnectionError("the answer broke off")
        self._started = True
        return data
