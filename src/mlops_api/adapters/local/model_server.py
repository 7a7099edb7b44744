"""One model server: a `serve` program under a shepherd, in a folder of its own."""

import os
import select
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from mlops_api.adapters.local import procs
from mlops_api.adapters.local.fork_client import ForkServer
from mlops_api.adapters.local.job_log import last_line
from mlops_api.adapters.local.launch import SOCKET, Launch, Started
from mlops_api.adapters.local.server_client import Reply, ServerClient
from mlops_api.adapters.local.shepherd import RANG
from mlops_api.domain.errors import PlatformError, Unavailable

_PING_SECONDS = 0.5
"""A server that is still loading has its socket already, so a ping waits there; not for long, because the
deployment may be given up meanwhile."""
_PING_EVERY = 0.01
_PING_SLOWEST = 0.1
_NICENESS = 0


class LoadFailed(PlatformError):
    """The server ended, or did not answer in time, before it was ready; `detail` says why."""

    status = 500
    title = "Model server failed"


class ModelServer:
    """States: launched or adopted -> loaded -> retired (takes no more requests) -> stopped."""

    def __init__(self, folder: Path, *, timeout: float = 60.0) -> None:
        self.folder = folder
        self.id = folder.name
        self.loaded = False
        self.ended = threading.Event()
        """Set by mark_ended."""
        self._last_words = ""
        self._client = ServerClient(folder, SOCKET, timeout=timeout)
        self._pings = ServerClient(folder, SOCKET, timeout=_PING_SECONDS)
        self._lock = threading.Condition()
        self._in_flight = 0
        self._retired = False

    @classmethod
    def launch(
        cls, folder: Path, model: Path, forks: ForkServer, owner_lock: Path, *, grace: float, timeout: float
    ) -> tuple["ModelServer", int]:
        """The server, which is still loading, and a pidfd of its shepherd. `model` is an unpacked bundle."""
        ml = folder / "ml"
        (ml / "output").mkdir(parents=True)
        (ml / "model").symlink_to(model.absolute())
        _launch(folder, owner_lock, grace).write(folder)
        server = cls(folder, timeout=timeout)
        try:
            return server, forks.launch(folder)
        except PlatformError:
            server.stop()  # the launch may have succeeded although its answer was lost
            raise

    def pidfd(self) -> int | None:
        """Of its shepherd, or None when it does not live."""
        started = Started.read(self.folder)
        return None if started is None else started.shepherd.open()

    def wait_loaded(self, seconds: float, cancelled: Callable[[], bool]) -> None:
        """Return when /ping answers 200. Raises LoadFailed, also when `cancelled` turns true."""
        give_up = time.monotonic() + seconds
        pause = _PING_EVERY
        while not self._ping():
            if cancelled():
                raise LoadFailed("The deployment was given up for a newer one.")
            if self.ended.is_set():
                raise LoadFailed(f"The model server ended while it was loading: {self.last_words()}")
            if time.monotonic() > give_up:
                raise LoadFailed(f"The model server did not answer /ping within {seconds:g} s.")
            time.sleep(pause)
            pause = min(pause * 1.2, _PING_SLOWEST)
        self.loaded = True

    def mark_ended(self) -> None:
        """To be called by whoever watches its shepherd, before its folder is removed."""
        self._last_words = self._last_words or self._read_last_words()
        self.ended.set()

    def last_words(self) -> str:
        """Why it ended, as far as it said so."""
        return self._last_words or self._read_last_words()

    def _read_last_words(self) -> str:
        try:
            written = (self.folder / "ml/output/failure").read_text(errors="replace")[:1024].strip()
        except FileNotFoundError:
            written = ""
        return written or last_line(self.folder / "log")[:1024] or "it left no message."

    def enter(self) -> bool:
        """Count one request in; False when the server is retired and must not be asked."""
        with self._lock:
            if not self._retired:
                self._in_flight += 1
            return not self._retired

    def leave(self) -> None:
        with self._lock:
            self._in_flight -= 1
            if self._retired and not self._in_flight:
                self._lock.notify_all()

    def invoke(self, body: bytes, content_type: str, accept: str) -> Reply:
        """Raises Unavailable."""
        return self._client.request("POST", "/invocations", body, content_type=content_type, accept=accept)

    def retire(self, seconds: float) -> None:
        """Take no more requests, and wait for those under way."""
        with self._lock:
            self._retired = True
            self._lock.wait_for(lambda: not self._in_flight, timeout=seconds)

    def stop(self) -> None:
        """Ask it to end; its shepherd sees to it. No error when it has ended, or was put away."""
        try:
            (self.folder / "stop").touch()
        except FileNotFoundError:
            return
        pidfd = self.pidfd()
        if pidfd is not None:
            procs.send_fd(pidfd, RANG)
            os.close(pidfd)

    def wait_ended(self, seconds: float) -> bool:
        """Whether every process of it was gone within `seconds`."""
        give_up = time.monotonic() + seconds
        pidfd = self.pidfd()
        if pidfd is not None:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.poll(seconds * 1000)
            os.close(pidfd)
        while procs.lock_is_held(self.folder / "lock"):
            if time.monotonic() > give_up:
                return False
            self.kill_stray()
            time.sleep(_PING_EVERY)
        return True

    def kill_stray(self) -> None:
        """After its shepherd was killed: what that left behind."""
        started = Started.read(self.folder)
        if started is not None and not started.shepherd.alive() and started.shepherd.boot_id == procs.boot_id():
            procs.kill_stray(started.shepherd.pid, self.folder)

    def remove(self) -> None:
        """Drop the folder of a server that has ended."""
        self._client.close()
        self._pings.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ping(self) -> bool:
        try:
            return self._pings.request("GET", "/ping").status == 200
        except Unavailable:
            return False


def _launch(folder: Path, owner_lock: Path, grace: float) -> Launch:
    return Launch(
        argv=("serve",),
        ml_root=str((folder / "ml").absolute()),
        log=str((folder / "log").absolute()),
        lock=str((folder / "lock").absolute()),
        stop=str((folder / "stop").absolute()),
        environ={"MLOPS_BIND_HOST": "127.0.0.1"},
        threads=1,
        niceness=_NICENESS,
        grace=grace,
        listen=True,
        owner_lock=str(owner_lock.absolute()),
    )
