"""HTTP/1.1 as clients really speak it, against the model server's own connections."""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from training.serving import connection as connections
from training.serving import server as servers
from training.serving.messages import MAX_BODY, Answer, Request, error_answer
from training.serving.server import HttpServer

HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\n"


class Echo:
    """Answers a body with itself; one that begins with `later` after `release`."""

    def __init__(self) -> None:
        self.admitted = self.left = 0
        self.release = asyncio.Event()
        self.seen: list[Request] = []
        self.full = False

    def admit(self, method: str, headers: dict[bytes, bytes]) -> Answer | None:
        if self.full:
            return error_answer(503, "full", {"Retry-After": "1"})
        self.admitted += 1
        return None

    def leave(self) -> None:
        self.left += 1

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        self.seen.append(request)
        return self._later(request) if request.body.startswith(b"later") else Answer(200, request.body)

    async def _later(self, request: Request) -> Answer:
        await self.release.wait()
        return Answer(200, request.body)


class Client:
    """Raw bytes to one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *parts: bytes) -> None:
        self.writer.write(b"".join(parts))

    async def answer(self, *, body: bool = True) -> tuple[int, dict[str, str], bytes]:
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode().splitlines()
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        size = int(headers.get("content-length", 0)) if body else 0
        return int(head[0].split()[1]), headers, await asyncio.wait_for(self.reader.readexactly(size), 10)

    async def ended(self) -> bytes:
        """What is left, until the server closes."""
        return await asyncio.wait_for(self.reader.read(), 10)


class Running:
    """A server, its application, and how to reach it."""

    def __init__(self, server: HttpServer, app: Echo, port: int) -> None:
        self.server, self.app, self.port = server, app, port
        self.clients: list[Client] = []

    async def client(self) -> Client:
        self.clients.append(Client(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self.clients[-1]


def run(check: Callable[[Running], Awaitable[None]]) -> Echo:
    """Run `check` against a server; its connections are all gone in the end, and every admission was given back."""

    async def main() -> Echo:
        app = Echo()
        server = HttpServer(app)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            serving = asyncio.create_task(server.serve(listening))
            running = Running(server, app, listening.getsockname()[1])
            try:
                await asyncio.wait_for(check(running), 20)
            finally:
                server.stop()
                app.release.set()
                for client in running.clients:
                    client.writer.close()
                await asyncio.wait_for(serving, 10)
                closed = (client.writer.wait_closed() for client in running.clients)
                await asyncio.gather(*closed, return_exceptions=True)
        assert app.left == app.admitted
        return app

    return uvloop.run(main())


def post(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(line + b"\r\n" for line in headers)
    return HEAD + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


def test_requests_in_one_piece_or_many_are_answered_in_order():
    async def check(running: Running) -> None:
        client = await running.client()
        client.send(post(b"one"), post(b"later two"), post(b"three"), post(b"later four"))
        assert (await client.answer())[2] == b"one"
        running.app.release.set()
        assert [(await client.answer())[2] for _ in range(3)] == [b"later two", b"three", b"later four"]
        for byte in post(b"five"):
            client.send(bytes([byte]))
            await client.writer.drain()
        status, headers, body = await client.answer()
        assert (status, body, headers["content-type"]) == (200, b"five", "application/json")
        assert "date" in headers
        assert "connection" not in headers

    run(check)


def test_chunked_bodies_queries_and_header_names():
    async def check(running: Running) -> None:
        client = await running.client()
        client.send(
            b"POST /a%20b?c=d HTTP/1.1\r\nhOST: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        )
        assert (await client.answer())[2] == b"abcde"

    seen = run(check).seen[0]
    assert (seen.method, seen.path, seen.header(b"host"), seen.header(b"other")) == ("POST", "/a b", "x", "")


def test_a_client_that_asks_before_sending_is_told_to_go_on():
    async def check(running: Running) -> None:
        client = await running.client()
        client.send(HEAD, b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert (await client.answer())[0] == 100
        client.send(b"body")
        assert (await client.answer())[2] == b"body"
        running.app.full = True
        client.send(HEAD, b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\nbody")
        assert (await client.answer())[0] == 503

    run(check)


@pytest.mark.parametrize("head", [b"POST / HTTP/1.0\r\n", HEAD + b"Connection: close\r\n"])
def test_connections_that_are_not_to_be_kept_are_closed(head):
    async def check(running: Running) -> None:
        client = await running.client()
        client.send(head, b"Content-Length: 1\r\n\r\nx")
        _, headers, body = await client.answer()
        assert (headers["connection"], body) == ("close", b"x")
        assert await client.ended() == b""

    run(check)


def test_head_has_no_body():
    async def check(running: Running) -> None:
        client = await running.client()
        client.send(b"HEAD /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", post(b"next"))
        assert (await client.answer(body=False))[0] == 200
        assert (await client.answer())[2] == b"next"

    run(check)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01 this is TLS", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST / HTTP/1.1\r\nX: " + b"y" * connections.MAX_HEAD + b"\r\n\r\n", 431),
        (b"POST /" + b"y" * connections.MAX_HEAD + b" HTTP/1.1\r\n\r\n", 431),
    ],
)
def test_what_is_no_http_is_refused_and_ends_the_connection(data, status):
    async def check(running: Running) -> None:
        client = await running.client()
        client.send(data)
        answered, headers, body = await client.answer()
        assert (answered, headers["connection"]) == (status, "close")
        assert b"error" in body
        client.send(b"more")
        assert await client.ended() == b""
        client.writer.close()

    assert run(check).seen == []


def test_nonsense_behind_a_request_waits_for_its_answer():
    async def check(running: Running) -> None:
        client = await running.client()
        client.send(post(b"later"), b"nonsense\r\n\r\n")
        await asyncio.sleep(0.05)
        running.app.release.set()
        assert (await client.answer())[2] == b"later"
        assert (await client.answer())[0] == 400

    run(check)


def test_an_offer_to_upgrade_is_answered_in_http_1_1():
    async def check(running: Running) -> None:
        client = await running.client()
        client.send(post(b"x", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"))
        assert (await client.answer())[::2] == (200, b"x")

    run(check)


def test_a_full_queue_refuses_and_the_connection_lives_on():
    async def check(running: Running) -> None:
        client = await running.client()
        running.app.full = True
        client.send(post(b"x" * 100_000))
        status, headers, _ = await client.answer()
        assert (status, headers["retry-after"]) == (503, "1")
        running.app.full = False
        client.send(post(b"again"))
        assert (await client.answer())[2] == b"again"

    assert len(run(check).seen) == 1


def test_a_body_that_turns_out_too_large_is_refused_and_its_place_given_back():
    async def check(running: Running) -> None:
        client = await running.client()
        client.send(HEAD, b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(2):
            client.send(b"%x\r\n" % (MAX_BODY // 2 + 1), b"x" * (MAX_BODY // 2 + 1), b"\r\n")
        client.send(b"0\r\n\r\n", post(b"next"))
        assert (await client.answer())[0] == 413
        assert (await client.answer())[2] == b"next"

    run(check)


@pytest.mark.parametrize("when", ["in the head", "in the body", "while it is answered"])
def test_a_client_that_hangs_up_costs_nothing(when):
    async def check(running: Running) -> None:
        client = await running.client()
        client.send(
            {"in the head": HEAD, "in the body": HEAD + b"Content-Length: 9\r\n\r\nx"}.get(when, post(b"later") * 3)
        )
        await client.writer.drain()
        await asyncio.sleep(0.05)
        client.writer.transport.abort()
        await asyncio.sleep(0.05)
        running.app.release.set()
        again = await running.client()
        again.send(post(b"x"))
        assert (await again.answer())[2] == b"x"

    run(check)


def test_a_client_that_closes_its_side_still_gets_its_answers():
    async def check(running: Running) -> None:
        client = await running.client()
        client.send(post(b"later one"), post(b"later two"))
        client.writer.write_eof()
        await asyncio.sleep(0.05)
        running.app.release.set()
        assert (await client.answer())[2] == b"later one"
        assert (await client.answer())[2] == b"later two"
        assert await client.ended() == b""

    run(check)


def test_time_limits(monkeypatch):
    """An idle connection is closed, one that stops in a request is told, and one that is worked on is neither."""
    monkeypatch.setattr(servers, "_TICK", 0.02)
    for name in ("HEAD_SECONDS", "BODY_SECONDS", "IDLE_SECONDS", "LINGER_SECONDS"):
        monkeypatch.setattr(connections, name, 0.1)

    async def check(running: Running) -> None:
        idle, slow_head, slow_body, patient = [await running.client() for _ in range(4)]
        slow_head.send(HEAD)
        slow_body.send(HEAD, b"Content-Length: 9\r\n\r\nx")
        patient.send(post(b"later"))
        assert await idle.ended() == b""
        for client in (slow_head, slow_body):
            assert (await client.answer())[0] == 408
        await asyncio.sleep(0.3)
        running.app.release.set()
        assert (await patient.answer())[2] == b"later"

    run(check)


def test_a_client_that_does_not_read_is_given_up(monkeypatch):
    monkeypatch.setattr(servers, "_TICK", 0.02)
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.2)

    async def check(running: Running) -> None:
        body = b"x" * (MAX_BODY - 10)
        with socket.socket() as link:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(link, ("127.0.0.1", running.port))
            await loop.sock_sendall(link, post(body))
            give_up = time.monotonic() + 10
            while running.server._connections:
                assert time.monotonic() < give_up
                await asyncio.sleep(0.02)

    run(check)


def test_draining_answers_what_has_begun_and_ends_the_rest():
    async def check(running: Running) -> None:
        idle, begun, worked_on = [await running.client() for _ in range(3)]
        begun.send(HEAD, b"Content-Length: 2\r\n\r\nx")
        worked_on.send(post(b"later"), post(b"pipelined"))
        idle.send(post(b"x"))
        await idle.answer()
        running.server.stop()
        assert await idle.ended() == b""
        begun.send(b"y")
        status, headers, body = await begun.answer()
        assert (status, headers["connection"], body) == (200, "close", b"xy")
        running.app.release.set()
        assert (await worked_on.answer())[2] == b"later"
        assert (await worked_on.answer())[2] == b"pipelined"
        with pytest.raises(ConnectionRefusedError):
            await running.client()

    run(check)
