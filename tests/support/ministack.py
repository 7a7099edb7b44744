"""ministack, an AWS emulator, in a virtual environment of its own because it pins botocore."""

import fcntl
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.aws import CREDENTIALS, REGION

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / ".venv-ministack/bin/ministack"
_START_SECONDS = 60
_STOP_SECONDS = 10


@contextmanager
def ministack(folder: Path, **environment: str) -> Iterator[str]:
    """An emulator of its own, empty at start; its URL. `environment` adds settings, such as AUTH="true".

    `folder` takes its log and what it keeps on disk.
    """
    install()
    port = _free_port()
    log = folder / "ministack.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PROGRAM], stdout=output, stderr=subprocess.STDOUT, cwd=folder, env=_environment(folder, port, environment)
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(process, url, log)
        yield url
    finally:
        _stop(process)


def install() -> None:
    """Make .venv-ministack, once for all the processes of a test run."""
    with (ROOT / ".venv/.ministack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([ROOT / "scripts/setup.sh", "ministack"], check=True)


def _environment(folder: Path, port: int, more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    own = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(folder),
        "S3_DATA_DIR": str(folder / "s3"),
        "STATE_DIR": str(folder / "state"),
    }
    return {**kept, **CREDENTIALS, **own, **more}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"ministack did not start:\n{log.read_text(errors='replace')[-4000:]}")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/_ministack/health", timeout=2) as answer:
            return int(answer.status) == 200
    except (urllib.error.URLError, OSError):
        return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
