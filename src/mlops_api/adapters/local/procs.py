"""What Linux tells about processes: identity that survives reuse of a pid, pidfds, sessions, locks.

Only the standard library: the fork server imports this, and every job is a copy of it.
"""

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class ProcessId:
    """A pid alone may come to mean another process; with its start time (clock ticks since boot) and the boot
    it was started in, it cannot."""

    pid: int
    start_time: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> "ProcessId":
        """Raises ProcessLookupError when there is no such process."""
        return cls(pid, _stat(pid).start_time, boot_id())

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ProcessId":
        return cls(int(data["pid"]), int(data["start_time"]), str(data["boot_id"]))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def alive(self) -> bool:
        """False for a zombie too: it has ended, whoever has still to collect it."""
        if self.boot_id != boot_id():
            return False
        try:
            found = _stat(self.pid)
        except ProcessLookupError:
            return False
        return found.start_time == self.start_time and found.state not in "ZX"

    def open(self) -> int | None:
        """A pidfd of this very process, or None when it is gone."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if self.alive():  # asked after opening, so the pidfd cannot be of a later process with this pid
            return pidfd
        os.close(pidfd)
        return None


@dataclass(frozen=True)
class _Stat:
    state: str
    session: int
    start_time: int


def _stat(pid: int) -> _Stat:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(f"no process {pid}") from None
    # The second field is the command in brackets and may hold anything, so fields are counted from its end.
    fields = text[text.rindex(")") + 2 :].split()
    return _Stat(fields[0], int(fields[3]), int(fields[19]))


@cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def processes() -> Iterator[int]:
    """Every pid there is."""
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())  # noqa: PTH208 - Path objects cost 5x


def in_session(session: int) -> Iterator[int]:
    """Living members of a session, its leader included."""
    for pid in processes():
        with contextlib.suppress(ProcessLookupError):
            found = _stat(pid)
            if found.session == session and found.state not in "ZX":
                yield pid


def working_below(folder: Path) -> Iterator[int]:
    """Living processes whose working folder is `folder` or below it."""
    real = os.path.realpath(folder)
    for pid in processes():
        with contextlib.suppress(OSError):
            cwd = str(Path(f"/proc/{pid}/cwd").readlink()).removesuffix(" (deleted)")
            if (cwd == real or cwd.startswith(real + "/")) and _stat(pid).state not in "ZX":
                yield pid


def kill_stray(session: int, folder: Path) -> int:
    """SIGKILL what a session left working below `folder`; the number of processes hit.

    The folder is asked for too, because the number of an ended session can be used again.
    """
    hit = 0
    members = set(in_session(session))
    for pid in members & set(working_below(folder)):
        if pid != os.getpid():
            send(pid, signal.SIGKILL)
            hit += 1
    return hit


def kill_session_but(leader: int) -> None:
    """SIGKILL every other member of the session that this process leads."""
    for pid in in_session(leader):
        if pid != leader:
            send(pid, signal.SIGKILL)


def send(pid: int, signum: int) -> None:
    """No error when the process is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)


def send_fd(pidfd: int, signum: int) -> None:
    """As send, to the process of a pidfd."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signum)


def die_with_parent(parent: int) -> None:
    """SIGKILL for this process as soon as `parent` (its parent) ends, even if it ended before this call."""
    if _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def set_name(name: str) -> None:
    """What `ps` and `top` show; the kernel keeps 15 bytes."""
    _libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def no_core_dump() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def first_to_go() -> None:
    """When memory runs out, the kernel shall kill this process before the API."""
    Path("/proc/self/oom_score_adj").write_text("500")


def try_lock(path: Path) -> int | None:
    """A file descriptor that holds an exclusive flock on `path`, or None when another process holds it.

    A forked child shares the lock: it is free only when the last process that has the descriptor is gone.
    """
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def lock_is_held(path: Path) -> bool:
    """Whether some process holds a flock on `path`, found without taking it even for a moment."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    wanted = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    lines = Path("/proc/locks").read_text().splitlines()
    return any("FLOCK" in line and wanted in line.split() for line in lines)
