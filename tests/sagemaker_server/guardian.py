"""Ends the containers of a server that was itself killed: a small process that outlives it for a moment.

It is told every process group that begins and ends; when its standard input closes it kills those that are left.
"""

import subprocess
import sys
import threading

_PROGRAM = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


class Guardian:
    """Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", _PROGRAM], stdin=subprocess.PIPE, text=True, start_new_session=True
        )

    def begun(self, group: int) -> None:
        """A process group to end should this process die."""
        self._tell(f"+{group}")

    def ended(self, group: int) -> None:
        """To be called while the group's id cannot belong to anybody else yet."""
        self._tell(f"-{group}")

    def close(self) -> None:
        """Wait until it has gone, and with it whatever was still running."""
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, text: str) -> None:
        with self._lock:
            assert self._process.stdin is not None
            self._process.stdin.write(text + "\n")
            self._process.stdin.flush()
