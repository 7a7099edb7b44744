"""One thread that waits for processes to end and for timers, and a few workers that act on it."""

import contextlib
import heapq
import itertools
import logging
import os
import select
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_log = logging.getLogger(__name__)

Act = Callable[[], None]


class Watcher:
    """Calls run on worker threads, never on the waiting one. What an act raises is logged, not lost."""

    def __init__(self, name: str, workers: int = 4) -> None:
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._wake, select.EPOLLIN)
        self._lock = threading.Lock()
        self._waiting: dict[int, Act] = {}
        self._timers: list[tuple[float, int, Act]] = []
        self._order = itertools.count()
        self._closed = False
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix=name)
        self._thread = threading.Thread(target=self._run, name=f"{name}-watch", daemon=True)
        self._thread.start()

    def submit(self, act: Act) -> None:
        """Run `act` soon; dropped once the watcher is closed."""
        with contextlib.suppress(RuntimeError):  # the pool takes no more after shutdown
            self._workers.submit(_logged, act)

    def on_end(self, pidfd: int, act: Act) -> None:
        """Run `act` when the process has ended. Takes over the pidfd and closes it then."""
        with self._lock:
            if self._closed:
                os.close(pidfd)
                return
            self._waiting[pidfd] = act
            self._poll.register(pidfd, select.EPOLLIN)

    def later(self, seconds: float, act: Act) -> None:
        with self._lock:
            heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), act))
        self._ring()

    def close(self) -> None:
        """Wait for the acts under way; those not begun are dropped."""
        with self._lock:
            already, self._closed = self._closed, True
        if already:
            return
        self._ring()
        self._thread.join()
        self._workers.shutdown(wait=True, cancel_futures=True)
        for descriptor in (self._wake, *self._waiting):
            os.close(descriptor)
        self._poll.close()

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # closed meanwhile
            os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        while not self._closed:
            for descriptor, _event in self._poll.poll(self._timeout()):
                self._ready(descriptor)
            self._due()

    def _timeout(self) -> float | None:
        """Seconds to the next timer."""
        with self._lock:
            return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def _ready(self, descriptor: int) -> None:
        if descriptor == self._wake:
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._wake)
            return
        with self._lock:
            act = self._waiting.pop(descriptor)
            self._poll.unregister(descriptor)
        os.close(descriptor)
        self.submit(act)

    def _due(self) -> None:
        with self._lock:
            due = []
            while self._timers and self._timers[0][0] <= time.monotonic():
                due.append(heapq.heappop(self._timers)[2])
        for act in due:
            self.submit(act)


def _logged(act: Act) -> None:
    try:
        act()
    except Exception:  # noqa: BLE001 - the last resort of a thread nobody waits for
        _log.exception("a background act failed")
