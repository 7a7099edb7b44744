"""A real server in a process of its own, as `mlops up` starts it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from mlops_api.client import MLOps

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "data"
FLIGHTS = EXAMPLES / "flights.csv.gz"
PENGUINS = EXAMPLES / "penguins.csv"


class Server:
    """`environ`: settings for this server only; `watched`: the folder it watches. Ends with the `with` block, jobs
    included."""

    def __init__(self, data_dir: Path, environ: Mapping[str, str] | None = None, watched: Path | None = None) -> None:
        self.data_dir = data_dir
        self.watched = watched
        self._environ = dict(environ or {})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        end_all(self.data_dir)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Returns once /health/ready answers. Raises AssertionError with what it said when it ends instead."""
        (self.data_dir / "server.json").unlink(missing_ok=True)
        self.start_beside()

    def start_beside(self) -> None:
        """As start, leaving another server's address in place."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("MLOPS_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlops_api", "up", "--data-dir", str(self.data_dir), "--port", "0", *self._watch()],
            env=environ | self._environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._wait_ready()

    def _watch(self) -> list[str]:
        return ["--watch", str(self.watched)] if self.watched is not None else []

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                raise AssertionError(f"the server ended: {self._last_words()}")
            if self._answers():
                return
            time.sleep(0.02)
        raise AssertionError("the server was not ready in 60 s")

    def _last_words(self) -> str:
        assert self._process is not None
        _, words = self._process.communicate()
        self._process = None
        return words.decode()

    def _answers(self) -> bool:
        try:
            info = self.info()
            return info["pid"] == self.pid and httpx.get(info["url"] + "/health/ready").status_code == 200
        except (FileNotFoundError, httpx.TransportError):
            return False

    def info(self) -> dict[str, object]:
        found: dict[str, object] = json.loads((self.data_dir / "server.json").read_text())
        return found

    def client(self) -> MLOps:
        info = self.info()
        return MLOps(str(info["url"]), str(info["token"]), timeout=60)

    def http(self) -> httpx.Client:
        """Authenticated, for what the client has no words for."""
        info = self.info()
        return httpx.Client(base_url=str(info["url"]), headers={"Authorization": f"Bearer {info['token']}"}, timeout=60)

    def kill(self) -> None:
        """kill -9, and nothing else: jobs and model servers live on."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(how)
        self._process.wait(30)
        if self._process.stderr is not None:
            self._process.stderr.close()
        self._process = None


def processes_of(data_dir: Path) -> list[int]:
    """Pids of living processes that work below a data folder (by their environment or arguments)."""
    wanted = str(data_dir.resolve()).encode()
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _works_in(entry, wanted)]


def _works_in(entry: Path, wanted: bytes) -> bool:
    if int(entry.name) == os.getpid():
        return False
    try:
        state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and (
            wanted in (entry / "environ").read_bytes()
            or wanted in (entry / "cmdline").read_bytes()
            or os.fsencode((entry / "cwd").readlink()).startswith(wanted)
        )
    except OSError:
        return False  # it ended meanwhile


def end_all(data_dir: Path) -> None:
    """Ends, by pid, whatever a test left running below its own data folder."""
    for pid in processes_of(data_dir):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
