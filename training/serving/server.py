"""Listening, time limits and draining of the model server's connections."""

import asyncio
import socket
from email.utils import formatdate
from typing import Final

from training.serving.connection import Application, Connection

DRAIN_SECONDS: Final = 25.0
"""SageMaker kills 30 s after SIGTERM."""

_TICK: Final = 0.5
"""Seconds between two looks at the connections' deadlines."""


class HttpServer:
    """Serves `app` on one listening socket until `stop`, then answers what has begun to arrive."""

    def __init__(self, app: Application) -> None:
        self.app = app
        self.draining = False
        self.date = b""
        self._connections: set[Connection] = set()
        self._stop = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    def stop(self) -> None:
        """Safe to call again, and before `serve`."""
        self._stop.set()

    def opened(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._empty.clear()

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    async def serve(self, listening: socket.socket) -> None:
        """Returns once every connection has ended, at most DRAIN_SECONDS after `stop`."""
        loop = asyncio.get_running_loop()
        self._tick()
        listen = loop.create_unix_server if listening.family == socket.AF_UNIX else loop.create_server
        server = await listen(lambda: Connection(self, loop), sock=listening)
        ticking = loop.create_task(self._watch())
        try:
            await self._stop.wait()
            server.close()
            await self._drain()
        finally:
            ticking.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            self._tick()

    def _tick(self) -> None:
        self.date = f"date: {formatdate(usegmt=True)}\r\n".encode()
        now = asyncio.get_running_loop().time()
        for connection in [each for each in self._connections if each.deadline < now]:
            connection.expire()

    async def _drain(self) -> None:
        self.draining = True
        for connection in list(self._connections):
            connection.drain()
        try:
            await asyncio.wait_for(self._empty.wait(), DRAIN_SECONDS)
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()
