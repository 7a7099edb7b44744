"""Runs a container program inside a forked process: environment, threads, a tidy end."""

import atexit
import importlib
import os
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

_pools: list[Any] = []
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run_program(module: str, argv: Sequence[str], environ: Mapping[str, str], threads: int) -> int:
    """Call main(argv) of `module`; the exit code that a process of its own would have had."""
    os.environ.update(environ)
    limit_threads(threads)
    try:
        code = _exit_code(importlib.import_module(module).main(list(argv)))
    except SystemExit as ended:
        code = _exit_code(ended.code)
    except BaseException:  # noqa: BLE001 - what the interpreter does with an exception nobody caught
        traceback.print_exc()
        code = 1
    _finish()
    return code


def find_thread_pools() -> None:
    """Look once, before the forks, which native libraries with a thread pool are loaded; it takes 50 ms."""
    control: ModuleType | None = sys.modules.get("threadpoolctl")  # scikit-learn loads it
    _pools[:] = [] if control is None else [control.ThreadpoolController()]


def limit_threads(threads: int) -> None:
    """Hold the native thread pools to `threads`.

    The variables alone come too late: OpenMP and OpenBLAS read them when they are loaded, and the fork server
    has loaded them already. threadpoolctl asks the loaded libraries themselves.
    """
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))
    for pools in _pools:
        pools.limit(limits=threads)


def _exit_code(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, int):
        return value & 0xFF
    print(value, file=sys.stderr)
    return 1


def _finish() -> None:
    """What the interpreter does at its end, without taking apart the modules that are shared with the fork server.

    multiprocessing's forked children end through the same two functions.
    """
    threading._shutdown()  # type: ignore[attr-defined] # joins the threads that are not daemons
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
