"""`python -m bench.load PLAN OUT`: sends requests over raw sockets and reports how long each answer took.

A client library costs more than the server's own work, so it would measure itself. The plan is a JSON file, and
so is what comes out: {"seconds": [one a request], "elapsed": wall seconds of them all}.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import uvloop

from bench.figure import Samples
from bench.program import ROOT, Failed, environment

_DEADLINE = 60.0


@dataclass(frozen=True)
class Plan:
    """`count` requests over `connections` kept-alive connections, after `warm` uncounted ones; bodies in turn.

    `address` is [host, port], or the path of a unix socket. Each connection waits for its answer before it asks
    again; an answer other than 200 ends the run.
    """

    address: list[Any] | str
    path: str
    headers: dict[str, str]
    bodies: list[str]
    count: int
    connections: int = 1
    warm: int = 100

    def requests(self) -> list[bytes]:
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return [
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{lines}"
            f"Content-Length: {len(body.encode())}\r\n\r\n{body}".encode()
            for body in self.bodies
        ]


@dataclass(frozen=True)
class Load:
    """What came of a plan."""

    seconds: Samples
    elapsed: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.seconds.values) / self.elapsed


def run(plan: Plan, scratch: Path) -> Load:
    """In a process of its own. Raises Failed with what it said when a request was not answered with 200."""
    file, out = scratch / "plan.json", scratch / "load.json"
    file.write_text(json.dumps(asdict(plan)))
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", str(file), str(out)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise Failed(f"load on {plan.path} broke off: {done.stderr.strip()[-500:]}")
    found = json.loads(out.read_text())
    return Load(Samples(found["seconds"]), found["elapsed"])


class _Connection(asyncio.Protocol):
    """Asks one request after the other until `Work` has none left."""

    def __init__(self, work: "_Work") -> None:
        self._work = work
        self._buffer = b""
        self._asked = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n") + 4
        if end < 4 or len(self._buffer) < end + _content_length(self._buffer[:end]):
            return
        self._work.took(time.perf_counter() - self._asked, self._buffer)
        self._buffer = b""
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        self._work.lost(error)

    def _ask(self) -> None:
        assert self._transport is not None
        request = self._work.next_request()
        if request is None:
            return
        self._asked = time.perf_counter()
        self._transport.write(request)


def _content_length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])


class _Work:
    def __init__(self, plan: Plan) -> None:
        self._requests = plan.requests()
        self._left = self._owed = plan.count
        self._given = 0
        self.seconds: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def next_request(self) -> bytes | None:
        if not self._left:
            return None
        self._left -= 1
        self._given += 1
        return self._requests[self._given % len(self._requests)]

    def took(self, seconds: float, answer: bytes) -> None:
        if not answer.startswith(b"HTTP/1.1 200"):
            self._fail(f"refused: {answer[:500]!r}")
        self.seconds.append(seconds)
        if len(self.seconds) == self._owed and not self.done.done():
            self.done.set_result(None)

    def lost(self, error: Exception | None) -> None:
        self._fail(f"the connection was closed: {error}")

    def _fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(Failed(why))


async def _sent(plan: Plan) -> dict[str, Any]:
    """Send what the plan says, once."""
    work = _Work(plan)
    began = time.perf_counter()
    transports = [await _connected(plan.address, work) for _ in range(plan.connections)]
    await asyncio.wait_for(work.done, _DEADLINE)
    elapsed = time.perf_counter() - began
    for transport in transports:
        transport.close()
    return {"seconds": work.seconds, "elapsed": elapsed}


async def _connected(address: list[Any] | str, work: _Work) -> asyncio.BaseTransport:
    loop = asyncio.get_running_loop()
    if isinstance(address, str):
        # A socket's address holds 107 bytes, so it is named from its own folder.
        os.chdir(Path(address).parent)
        transport, _ = await loop.create_unix_connection(lambda: _Connection(work), Path(address).name)
        return transport
    transport, _ = await loop.create_connection(lambda: _Connection(work), address[0], address[1])
    return transport


async def _main(plan: Plan) -> dict[str, Any]:
    warming = {**asdict(plan), "count": plan.warm}
    if plan.warm:
        await _sent(Plan(**warming))
    return await _sent(plan)


def main(argv: Sequence[str]) -> None:
    plan = Plan(**json.loads(Path(argv[0]).read_text()))
    # To a file: an unbuffered standard output may take less of a long text than it is given.
    Path(argv[1]).write_text(json.dumps(uvloop.run(_main(plan))))


if __name__ == "__main__":
    main(sys.argv[1:])
