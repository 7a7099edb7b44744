"""A program of this repository that serves HTTP, in a process of its own. Light: the load generator imports it."""

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_POLL_SECONDS = 0.002
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0


class Failed(Exception):
    """Something that must work for a figure to be measured did not."""


def environment() -> dict[str, str]:
    """This process's, with compiled modules and without settings of another server."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MLOPS_") and name != "PYTHONDONTWRITEBYTECODE"
    }


class Program:
    """A program of this repository that serves HTTP on 127.0.0.1:`port`; ends with the `with` block."""

    def __init__(self, argv: Sequence[str], port: int, output: Path) -> None:
        self._argv = list(argv)
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port

    def __enter__(self) -> "Program":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> float:
        """Seconds from process start to the first 200 of /health/ready. Raises Failed."""
        began = time.perf_counter()
        with self._output.open("ab") as stream:
            self._process = subprocess.Popen(
                self._argv, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
            )
        while not is_ready(self.port):
            if self._process.poll() is not None or time.perf_counter() - began > _START_SECONDS:
                self.stop()
                raise Failed(f"{' '.join(self._argv)} did not come up; {self._output} says why")
            time.sleep(_POLL_SECONDS)
        return time.perf_counter() - began

    @property
    def pid(self) -> int:
        if self._process is None:
            raise Failed("the server has not been started")
        return self._process.pid

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False  # nobody listens yet
    finally:
        connection.close()
