"""One shepherd per run: it starts the program, holds it to its limits and says how it ended.

    fork server --fork--> shepherd --fork--> program
                          own session        dies with the shepherd
                          holds the lock     shares the lock

The shepherd needs no API: it enforces max_runtime and stop itself, and writes exit.json. When it is killed,
the kernel kills the program with it and frees the lock; then there is no exit.json, and the API knows.
SIGTERM without a stop file means that the machine goes down: the run ends without exit.json, to be run again.
"""

import contextlib
import os
import signal
import socket
import sys
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from mlops_api.adapters.local import procs
from mlops_api.adapters.local.launch import EXIT, PACKING, PROCESS, SOCKET, Ended, EndReason, Launch, Started
from mlops_api.adapters.local.model_tar import pack
from mlops_api.adapters.local.program import run_program
from mlops_api.domain.errors import StorageFull
from mlops_api.domain.times import rfc3339

_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP}
_TICK = 1.0
_OWNER_TICK = 15.0
_LOCK_WAIT = 5.0
_WRITE_WAIT = 60.0
_NO_MODEL = "The program ended without an error but left an empty model folder; see its log."

RANG = signal.SIGUSR1
"""Tells a shepherd to look for its stop file now instead of within a second."""


def shepherd(run: Path, program: str) -> int:
    """Run `program` (a module with main(argv)) as launch.json of `run` says; the shepherd's own exit code."""
    launch = Launch.read(run)
    os.setsid()
    procs.set_name("mlops-shepherd")
    _redirect(launch.log)
    _block_signals()
    lock = _lock(Path(launch.lock))
    if lock is None or (run / PROCESS).exists() or (run / EXIT).exists():
        return 0  # this run is, or was, somebody else's
    Started(procs.ProcessId.of(os.getpid()), _now()).write(run)
    ended = _stopped_before_start(launch) or _run(run, launch, program)
    if ended is not None:
        _write_end(ended, run)
    return 0


def _stopped_before_start(launch: Launch) -> Ended | None:
    return Ended("stopped", _now()) if Path(launch.stop).exists() else None


def _run(run: Path, launch: Launch, program: str) -> Ended | None:
    listener = _listen(run) if launch.listen else None
    child = _fork_program(launch, program, listener)
    if listener is not None:
        listener.close()
    supervision = _Supervision(child, launch)
    status = supervision.wait()
    procs.kill_session_but(os.getpid())
    if supervision.machine_goes_down:
        return None
    return _packed(run, launch, _ended(supervision.reason, status))


def _packed(run: Path, launch: Launch, ended: Ended) -> Ended:
    if not (launch.pack_model and ended.reason == "finished" and ended.code == 0):
        return ended
    (run / PACKING).touch()
    ml = Path(launch.ml_root)
    try:
        files = pack(ml / "model", ml / "output" / "model.tar.gz")
    except OSError as error:
        return replace(ended, error=f"The model could not be packed: {error}.", ended_at=_now())
    return replace(ended, error=None if files else _NO_MODEL, ended_at=_now())


def _write_end(ended: Ended, run: Path) -> None:
    """A full disk is waited for: without this file the whole run would be done again."""
    give_up = time.monotonic() + _WRITE_WAIT
    while True:
        try:
            ended.write(run)
        except StorageFull:
            if time.monotonic() > give_up:
                raise
            time.sleep(_TICK)
        else:
            return


class _Supervision:
    """Waits for one program and ends it when it must end."""

    def __init__(self, child: int, launch: Launch) -> None:
        self.reason: EndReason = "finished"
        self.machine_goes_down = False
        self._child = child
        self._launch = launch
        now = time.monotonic()
        self._deadline = None if launch.max_runtime is None else now + launch.max_runtime
        self._kill_at: float | None = None
        self._owner_seen = self._owner_asked = now

    def wait(self) -> int:
        """The program's wait status, once it has ended."""
        while True:
            rang = signal.sigtimedwait(_SIGNALS, self._timeout())
            if rang is not None and rang.si_signo in (signal.SIGTERM, signal.SIGINT):
                self.machine_goes_down = not Path(self._launch.stop).exists()
                self._ask_to_stop("stopped")
            pid, status = os.waitpid(self._child, os.WNOHANG)
            if pid:
                return status
            self._look()

    def _timeout(self) -> float:
        """Seconds until something may have to be done."""
        wakes = [self._kill_at] if self._kill_at else [self._deadline]
        return min([_TICK] + [max(0.0, wake - time.monotonic()) for wake in wakes if wake is not None])

    def _look(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None:
            if now >= self._kill_at:
                procs.send(self._child, signal.SIGKILL)
                self._kill_at = now + _TICK
        elif Path(self._launch.stop).exists():
            self._ask_to_stop("stopped")
        elif self._deadline is not None and now >= self._deadline:
            self._ask_to_stop("max_runtime")
        elif self._owner_gone(now):
            self._ask_to_stop("owner_gone")

    def _ask_to_stop(self, reason: EndReason) -> None:
        if self._kill_at is None:
            self.reason = reason
            self._kill_at = time.monotonic() + self._launch.grace
            procs.send(self._child, signal.SIGTERM)

    def _owner_gone(self, now: float) -> bool:
        if self._launch.owner_lock is None:
            return False
        if now - self._owner_asked >= min(_OWNER_TICK, self._launch.owner_absent / 4):
            self._owner_asked = now
            if procs.lock_is_held(Path(self._launch.owner_lock)):
                self._owner_seen = now
        return now - self._owner_seen >= self._launch.owner_absent


def _fork_program(launch: Launch, program: str, listener: socket.socket | None) -> int:
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _be_program(launch, program, parent, listener)
    return child


def _be_program(launch: Launch, program: str, parent: int, listener: socket.socket | None) -> NoReturn:
    code = 70
    try:
        procs.die_with_parent(parent)
        procs.set_name(f"mlops-{launch.argv[0]}")
        procs.no_core_dump()
        procs.first_to_go()
        os.nice(launch.niceness)
        environ = dict(launch.environ) | {"MLOPS_ML_ROOT": launch.ml_root, "MLOPS_THREADS": str(launch.threads)}
        if listener is not None:
            environ["MLOPS_LISTEN_FD"] = str(listener.fileno())
        os.chdir(launch.ml_root)
        _reset_signals()
        code = run_program(program, launch.argv, environ, launch.threads)
    except BaseException:  # noqa: BLE001 - a forked child must never return into its parent's stack
        traceback.print_exc()
    finally:
        os._exit(code)


def _listen(run: Path) -> socket.socket:
    """A socket in the run's own folder, which only this user may enter; a TCP port would be open to everyone.

    Bound by a relative name because the whole path may be longer than the 107 bytes a socket address holds.
    """
    os.chdir(run)
    with contextlib.suppress(FileNotFoundError):
        Path(SOCKET).unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(SOCKET)
    listener.listen(1024)
    return listener


def _lock(path: Path) -> int | None:
    """The lock, waited for a little: what an ended run left behind may need a moment to be gone."""
    give_up = time.monotonic() + _LOCK_WAIT
    while (lock := procs.try_lock(path)) is None and time.monotonic() < give_up:
        time.sleep(0.02)
    return lock


def _redirect(log: str) -> None:
    """Nothing of the fork server's own stays open: its socket would hide the API's death."""
    os.closerange(3, 1 << 16)
    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((null, 0), (out, 1), (out, 2)):
        os.dup2(source, target)
    os.close(null)
    os.close(out)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - the process's own stdin
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115 - same
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115 - same


def _block_signals() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def _reset_signals() -> None:
    for signum in _SIGNALS:
        signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _ended(reason: EndReason, status: int) -> Ended:
    if os.WIFSIGNALED(status):
        return Ended(reason, _now(), signal=os.WTERMSIG(status))
    return Ended(reason, _now(), code=os.WEXITSTATUS(status))


def _now() -> str:
    return rfc3339(datetime.now(UTC))
