"""The demo's server: the one that runs on the data folder already, or one of its own, started as a subprocess, found
by the file it writes, and ended by its own process id."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mlops_api.client import MLOps, ServerError, Unreachable

_START_SECONDS = 60
_STOP_SECONDS = 30


@contextmanager
def running_server(data_dir: Path) -> Iterator[MLOps]:
    """Raises Unreachable, with the end of its output, when it does not come up."""
    running = _answering(None, data_dir)
    if running is not None:
        with running:
            yield running
        return
    with _own_server(data_dir) as client:
        yield client


@contextmanager
def _own_server(data_dir: Path) -> Iterator[MLOps]:
    # Unnamed, because what the server prints holds the token. It makes the data folder itself, closed to others.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: S603 - this program itself, with a path as one argument
            [sys.executable, "-m", "mlops_api", "up", "--data-dir", os.fspath(data_dir), "--port", "0"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Of its own session, so that Ctrl-C reaches the demo alone and the demo ends the server in order.
            start_new_session=True,
        )
        try:
            with _connected(process, data_dir, output) as client:
                yield client
        finally:
            _end(process)


def _connected(process: "subprocess.Popen[bytes]", data_dir: Path, output: IO[bytes]) -> MLOps:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        client = _answering(process.pid, data_dir)
        if client is not None:
            return client
        time.sleep(0.1)
    output.seek(0)
    tail = output.read().decode(errors="replace")[-2000:].strip()
    raise Unreachable(f"The server did not come up (exit code {process.poll()}). Its last words:\n{tail}")


def _answering(pid: int | None, data_dir: Path) -> MLOps | None:
    """A client, once the file names this process (None: any process) and its server is ready.

    A file that a killed server left behind names an address where nothing answers.
    """
    try:
        client = MLOps(data_dir=data_dir)
    except Unreachable:
        return None
    if pid in (None, client.pid) and _is_ready(client):
        return client
    client.close()
    return None


def _is_ready(client: MLOps) -> bool:
    try:
        client.health()
    except (Unreachable, ServerError):
        return False
    return True


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
