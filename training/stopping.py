"""SIGTERM: end soon, whatever C code is running.

A Python signal handler waits for the main thread to come back from C, and a fit in scikit-learn may take an
hour. As process 1 of a container the default action of SIGTERM is to ignore it. So the C-level handler writes
to a pipe (signal.set_wakeup_fd), and a thread that reads it ends the process after a grace period, in which
a loop that asks `requested()` can save a checkpoint and leave by itself.
"""

import os
import signal
import sys
import threading
from types import FrameType

from training.failure import STOPPED

GRACE_SECONDS = 3.0


class StopRequest:
    """Set once SIGTERM has come. `install` must be called in the main thread; `remove` undoes it."""

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self._grace = grace
        self._event = threading.Event()
        self._done = threading.Event()
        self._read, self._write = -1, -1

    def requested(self) -> bool:
        return self._event.is_set()

    def finished(self, seconds: float) -> bool:
        """Whether the work has come to its end, well or not, within that time."""
        return self._done.wait(seconds)

    def install(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._previous_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._previous = signal.signal(signal.SIGTERM, self._handle)
        self._thread = threading.Thread(target=self._watch, args=(self._read,), name="stop-watch", daemon=True)
        self._thread.start()

    def remove(self) -> None:
        signal.signal(signal.SIGTERM, self._previous)
        signal.set_wakeup_fd(self._previous_fd)
        self._done.set()
        os.close(self._write)
        self._thread.join()
        os.close(self._read)

    def _handle(self, _signum: int, _frame: FrameType | None) -> None:
        self._event.set()

    def _watch(self, read: int) -> None:
        while received := os.read(read, 64):
            if signal.SIGTERM in received:
                self._event.set()
                if not self._done.wait(self._grace):
                    self._end()

    @staticmethod
    def _end() -> None:
        print("phase=stopped", flush=True)
        sys.stderr.flush()
        os._exit(STOPPED)
