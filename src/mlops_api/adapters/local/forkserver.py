"""`python -m mlops_api.adapters.local.forkserver`: imports the ML libraries once, then forks a shepherd per request.

It speaks over the socket that it inherits: one JSON message `{"run": FOLDER}` in, `{"pid": N}` with a pidfd
of the shepherd out. It ends when the other end of the socket is gone; what it forked lives on.
"""

import argparse
import gc
import importlib
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path

from mlops_api.adapters.local import procs
from mlops_api.adapters.local.program import find_thread_pools
from mlops_api.adapters.local.shepherd import shepherd

MAX_MESSAGE = 1 << 16


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    procs.set_name("mlops-forksrv")
    procs.no_core_dump()
    signal.signal(signal.SIGCHLD, _reap)
    _preload(options.preload)
    serve(socket.socket(fileno=options.fd), options.program)
    return 0


def serve(requests: socket.socket, program: str) -> None:
    """Answer until end of file."""
    while message := requests.recv(MAX_MESSAGE):
        run = Path(json.loads(message)["run"])
        pid, pidfd = _fork_shepherd(run, program)
        try:
            socket.send_fds(requests, [json.dumps({"pid": pid}).encode()], [pidfd])
        except (BrokenPipeError, ConnectionResetError):
            return
        finally:
            os.close(pidfd)


def _fork_shepherd(run: Path, program: str) -> tuple[int, int]:
    """(pid, pidfd). SIGCHLD waits meanwhile, so that the child is not reaped before its pidfd is open."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    try:
        pid = os.fork()
        if pid == 0:
            _be_shepherd(run, program)
        return pid, os.pidfd_open(pid)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _be_shepherd(run: Path, program: str) -> None:
    code = 70
    try:
        code = shepherd(run, program)
    except BaseException:  # noqa: BLE001 - a forked child must never return into its parent's stack
        traceback.print_exc()
    finally:
        os._exit(code)


def _reap(_signum: int, _frame: object) -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _preload(module: str) -> None:
    """A library that cannot be imported is said here and again, with its trace, by every job that needs it."""
    if module:
        try:
            importlib.import_module(module).preload()
        except ImportError:
            traceback.print_exc()
    find_thread_pools()
    if threading.active_count() > 1 or len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - names only
        print(f"{module} started threads; they do not exist in forked jobs", file=sys.stderr, flush=True)
    # Collected once and then left alone, so that a job's garbage collector does not copy the shared pages.
    gc.collect()
    gc.freeze()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="forkserver")
    parser.add_argument("--fd", type=int, required=True, help="inherited socket")
    parser.add_argument("--program", required=True, help="module whose main(argv) runs a job")
    parser.add_argument("--preload", default="", help="module whose preload() imports what jobs share")
    return parser


if __name__ == "__main__":
    # Nothing is left to tidy, and the libraries' own farewells would fill the log.
    os._exit(main())
