"""What EventBridge schedules do on AWS: an action at once, then every so many seconds, in a thread of its own."""

import logging
import threading
from collections.abc import Callable

_LOG = logging.getLogger(__name__)


class Schedule:
    """A run that raises is logged and does not stop the next one; runs never overlap."""

    def __init__(self, name: str, seconds: float, action: Callable[[], object]) -> None:
        self._name = name
        self._seconds = seconds
        self._action = action
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"schedule-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends after the run under way, if there is one."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._action()
            except Exception:  # noqa: BLE001 - logged whole; the next run has its turn
                _LOG.exception("scheduled %s failed; it runs again in %s s", self._name, self._seconds)
            self._ended.wait(self._seconds)
