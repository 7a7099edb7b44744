"""The API's side of the fork server: starts it, asks it for shepherds, starts another when it has died."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from mlops_api.domain.errors import Unavailable

_MODULE = "mlops_api.adapters.local.forkserver"
_ANSWER_SECONDS = 120.0
_CLOSE_SECONDS = 5.0
_NO_THREADS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
}
"""So that no library starts a thread when it is loaded: only the thread that forks lives on in a job."""
_INHERITED = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONHASHSEED"}
)


class ForkServer:
    """`program`: a module with main(argv) -> int; `preload`: a module with preload(), or empty.

    Both are imported in the fork server only. Its own messages are appended to `log`.
    """

    def __init__(self, log: Path, *, program: str = "training.__main__", preload: str = "training.preload") -> None:
        self._log = log
        self._arguments = ("--program", program, "--preload", preload)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._closed = False

    def start(self) -> None:
        """Returns at once; the libraries load in the background, and a launch waits for them if it must."""
        with self._lock:
            self._ensure()

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    def launch(self, run: Path) -> int:
        """Fork a shepherd for the folder `run`; a pidfd of it, which the caller closes.

        A launch whose answer was lost is sent again: the second shepherd finds the first one's mark and ends.
        Raises Unavailable when no fork server can be started.
        """
        with self._lock:
            for _ in range(2):
                try:
                    return self._ask(self._ensure(), run)
                except OSError:
                    self._drop()
        raise Unavailable(f"The process server does not answer; its messages are in {self._log.name}.", retry_after=5)

    def close(self) -> None:
        """End the fork server; what it forked lives on."""
        with self._lock:
            self._closed = True
            self._drop()

    def _ask(self, connection: socket.socket, run: Path) -> int:
        connection.sendall(json.dumps({"run": str(run.absolute())}).encode())
        message, fds, _flags, _address = socket.recv_fds(connection, 1024, 1)
        if not message or not fds:
            raise ConnectionResetError("the fork server has ended")
        os.set_inheritable(fds[0], False)
        return fds[0]

    def _ensure(self) -> socket.socket:
        if self._closed:
            raise Unavailable("The server is shutting down.")
        if self._socket is None:
            self._spawn()
        assert self._socket is not None  # noqa: S101 - for the type checker: _spawn sets it or raises
        return self._socket

    def _spawn(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._log.open("ab", buffering=0) as log:
            self._process = _popen(theirs.fileno(), self._arguments, log)
        ours.settimeout(_ANSWER_SECONDS)
        self._socket = ours

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_CLOSE_SECONDS)
            self._process.kill()
            self._process.wait()
            self._process = None


def _popen(fd: int, arguments: tuple[str, ...], log: BinaryIO) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - the interpreter that runs now, with our own module
        [sys.executable, "-P", "-m", _MODULE, "--fd", str(fd), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(fd,),
        cwd="/",
        env=clean_environment(os.environ),
        start_new_session=True,
    )


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What jobs may see of the API's environment: no token, no credential, no setting.

    Modules are found where the API finds them.
    """
    kept = {name: value for name, value in environ.items() if name in _INHERITED or name.startswith("LC_")}
    path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path if entry)
    return kept | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"} | _NO_THREADS
