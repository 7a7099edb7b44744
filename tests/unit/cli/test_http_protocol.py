"""Clients that send half a request, and more clients than the server takes: over real sockets."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
import uvicorn

from mlops_api.cli.http_protocol import HeadTimeoutProtocol
from tests.support.local_storage import wait_for

MOST = 4
REQUEST = b"POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 4\r\n\r\n"


class Impatient(HeadTimeoutProtocol):
    head_seconds = 0.4


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    config = uvicorn.Config(
        echo, http=Impatient, ws="none", lifespan="off", log_config=None, limit_concurrency=MOST, timeout_keep_alive=5
    )
    server = uvicorn.Server(config)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_for(lambda: server.started)
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join(10)


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET / HT", b"GET / HTTP/1.1\r\nhost: here\r\nx: y"])
def test_half_a_head_is_not_waited_for(address: tuple[str, int], sent: bytes) -> None:
    with socket.create_connection(address, timeout=3) as client:
        client.sendall(sent)
        assert client.recv(100) == b""


def test_neither_is_one_that_comes_byte_by_byte(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=3) as client, pytest.raises(ConnectionError):
        dribble(client, seconds=3)


def dribble(client: socket.socket, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        client.sendall(b"x")
        time.sleep(0.05)


def test_nor_one_that_follows_an_answer(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=3) as client:
        client.sendall(REQUEST + b"body")
        assert client.recv(1000).endswith(b"body")
        client.sendall(b"GET / HT")
        assert client.recv(100) == b""


def test_a_body_may_take_its_time(address: tuple[str, int]) -> None:
    with socket.create_connection(address, timeout=3) as client:
        client.sendall(REQUEST)
        for byte in b"body":
            time.sleep(0.2)
            client.sendall(bytes([byte]))
        assert client.recv(1000).endswith(b"body")


def test_more_connections_than_allowed_are_refused_until_the_silent_ones_are_closed(address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        for _ in range(MOST):
            stack.enter_context(socket.create_connection(address, timeout=3))
        assert answer(address).startswith(b"HTTP/1.1 503 ")
        wait_for(lambda: answer(address).startswith(b"HTTP/1.1 200 "), 3)


def answer(address: tuple[str, int]) -> bytes:
    with socket.create_connection(address, timeout=3) as client:
        client.sendall(REQUEST + b"body")
        return client.recv(1000)
