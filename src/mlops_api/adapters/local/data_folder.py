"""The data folder: everything one local server owns, and the lock that keeps a second server out.

lock              held while a server runs; holds its process id
records.sqlite3   RecordStore
metrics.sqlite3   MetricSink
objects/          ObjectStore
jobs/ endpoints/  runners and model servers
secret            signs URLs                                    mode 0600
token             lets a user in                                mode 0600
server.json       {"url", "token", "pid"} while a server runs   mode 0600
"""

import fcntl
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from mlops_api.adapters.local.durable import make_folder, remove_file, write_file
from mlops_api.domain.errors import Conflict

_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600
_SECRET_BYTES = 32


class DataFolder:
    """Made by `open`; a context manager. The lock ends with the process, however it ends.

    The lock follows fork, not exec: a process forked from the server keeps the folder locked, so long-lived
    children are started by exec.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        self.token = _kept(path / "token")
        self.secret = _kept(path / "secret").encode()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Make the folder when it is missing, and lock it. One that is empty or was a data folder before is closed
        to other users; one that holds something else keeps its mode.

        Raises Conflict naming the server that holds it; StorageFull.
        """
        path = path.absolute()
        make_folder(path, mode=_PRIVATE_FOLDER)
        _close_to_others(path)
        lock = _lock(path)
        try:
            remove_file(path / "server.json")  # of a server that was killed
            for name in ("objects", "jobs", "endpoints"):
                make_folder(path / name, mode=_PRIVATE_FOLDER)
            return cls(path, lock)
        except BaseException:
            os.close(lock)
            raise

    @property
    def records(self) -> Path:
        return self.path / "records.sqlite3"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.sqlite3"

    @property
    def objects(self) -> Path:
        return self.path / "objects"

    @property
    def jobs(self) -> Path:
        return self.path / "jobs"

    @property
    def endpoints(self) -> Path:
        return self.path / "endpoints"

    def write_server_info(self, url: str, token: str, pid: int) -> None:
        """Let commands and clients find this server. Raises StorageFull."""
        content = orjson.dumps({"url": url, "token": token, "pid": pid}, option=orjson.OPT_INDENT_2)
        write_file(self.path / "server.json", content + b"\n", mode=_PRIVATE_FILE)

    def close(self) -> None:
        """Take the server's address back and let the next server in; no error when closed before."""
        if self._lock < 0:
            return
        remove_file(self.path / "server.json")
        os.ftruncate(self._lock, 0)
        # Not left to close: a process that was forked and is about to exec holds the same lock.
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        os.close(self._lock)
        self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _close_to_others(path: Path) -> None:
    ours = (path / "token").exists() or not any(path.iterdir())
    if ours and path.stat().st_mode & 0o077:
        path.chmod(_PRIVATE_FOLDER)


def _lock(path: Path) -> int:
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise _taken(path) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _taken(path: Path) -> Conflict:
    pid = (path / "lock").read_text().strip() or "unknown"
    url = _url(path / "server.json")
    where = f"at {url}" if url else "which is starting"
    return Conflict(
        f"{path} is in use by a server {where} (process {pid}). Use that one, stop it, or choose another data folder.",
        pid=int(pid) if pid.isdigit() else None,
        url=url,
    )


def _url(server_info: Path) -> str | None:
    try:
        return str(orjson.loads(server_info.read_bytes())["url"])
    except FileNotFoundError:
        return None


def _kept(path: Path) -> str:
    """A random text kept in a private file, made at first use; opened to others by mistake, it is closed again."""
    if not path.exists():
        write_file(path, secrets.token_urlsafe(_SECRET_BYTES).encode(), mode=_PRIVATE_FILE)
    if path.stat().st_mode & 0o077:
        path.chmod(_PRIVATE_FILE)
    content = path.read_text().strip()
    if len(content) < _SECRET_BYTES:
        raise Conflict(f"{path} is damaged. Remove the file and start again: a new one will be made.")
    return content
