"""What every part of the server shares: storage, logs, events, tags, and the threads and containers it owns."""

import itertools
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.sagemaker_server.containers import Container
from tests.sagemaker_server.events import EventSender
from tests.sagemaker_server.faults import Faults
from tests.sagemaker_server.guardian import Guardian
from tests.sagemaker_server.log_groups import LogGroups, LogStream
from tests.sagemaker_server.options import Options
from tests.sagemaker_server.s3 import Storage
from tests.sagemaker_server.tags import Tags

Operation = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Takes a checked request and returns the reply. Raises Refusal."""


def now() -> datetime:
    """The present moment, to the millisecond, as the API shows it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class World:
    """`lock` guards every resource table. `bugs` holds what went wrong in the server itself."""

    def __init__(self, options: Options, s3: Any, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.storage = Storage(s3)
        self.faults = Faults()
        self.tags = Tags()
        self.logs = LogGroups(options.region, options.account)
        self.events = EventSender(options.region, options.account, options.events, options.events_per_change)
        self.lock = threading.RLock()
        self.closing = threading.Event()
        self._guardian = Guardian()
        self.bugs: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._containers: list[Container] = []
        self._serials = itertools.count(1)

    def arn(self, resource: str, name: str) -> str:
        return f"arn:aws:sagemaker:{self.options.region}:{self.options.account}:{resource}/{name}"

    def serial(self) -> int:
        """A number used once: instance ids, folders, host names."""
        return next(self._serials)

    def spawn(self, name: str, work: Callable[[], None]) -> None:
        """Do it in a thread that close() waits for."""
        thread = threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
        with self.lock:
            self._threads.append(thread)
        thread.start()

    def launch(
        self, argv: Sequence[str], root: Path, environment: Mapping[str, str], log: LogStream, **hooks: Any
    ) -> Container:
        """Start a container that close() ends."""
        image = self.options.image_environment
        with self.lock:
            container = Container(argv, root, {**image, **environment}, log, self._guardian, **hooks)
            self._containers.append(container)
        if self.closing.is_set():
            container.kill()
        return container

    def bug(self, error: BaseException) -> None:
        """Remember a fault of the server; the test that uses it must fail."""
        traceback.print_exception(error)
        self.bugs.append(error)

    def close(self) -> None:
        """End every container by its pid, then every thread."""
        self.closing.set()
        for container in self._running():
            container.kill()
        for thread in list(self._threads):
            thread.join()
        for container in self._running():
            container.wait()
        self.events.close()
        self._guardian.close()

    def pids(self) -> list[int]:
        """Of the containers that run."""
        return [each.pid for each in self._running()]

    def _running(self) -> list[Container]:
        with self.lock:
            self._containers = [each for each in self._containers if each.exit_code is None]
            return list(self._containers)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a thread's exception would go unseen; close() raises it
            if not self.closing.is_set():
                self.bug(error)
