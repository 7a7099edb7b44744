"""A real server in a process of its own, as `mlops up` starts it, and the processes that live below its folder."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlops_api.client import MLOps

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


class Server(Program):
    """`mlops up` on a data folder. Leaves nothing running: jobs and model servers end with it."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dir = data_dir
        port = free_port()
        super().__init__([*_mlops(), "up", "--data-dir", str(data_dir), "--port", str(port)], port, data_dir / "out")

    def client(self) -> MLOps:
        return MLOps(data_dir=self.data_dir, timeout=600)

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data_dir / "server.json").read_text())
        return found

    def stop(self) -> None:
        super().stop()
        end_all(self.data_dir)


def _mlops() -> list[str]:
    """The command as a user starts it."""
    script = Path(sys.executable).with_name("mlops")
    return [str(script)] if script.exists() else [sys.executable, "-m", "mlops_api"]


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


def processes_of(data_dir: Path) -> list[int]:
    """Pids of living processes whose folder, arguments or environment lie below `data_dir`."""
    wanted = os.fsencode(data_dir.resolve())
    found = (entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and int(entry.name) != os.getpid())
    return [int(entry.name) for entry in found if _works_in(entry, wanted)]


def _works_in(entry: Path, wanted: bytes) -> bool:
    try:
        if (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        places = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
        return wanted in places or os.fsencode((entry / "cwd").readlink()).startswith(wanted)
    except OSError:
        return False  # it ended meanwhile, or is another user's


def end_all(data_dir: Path) -> None:
    """End, by pid, what still works below a folder of this benchmark's own."""
    for pid in processes_of(data_dir):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
