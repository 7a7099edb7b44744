"""What runs jobs and endpoints, by adapter name. A new adapter adds one factory; the contract suites do the rest.

A factory gives an object with `objects`, `training`, `processing`, `transform` and `host` (the ports), `events`
(what was handed to the platform), `train` and `put_model` (local_runners.Machine). Its container program is
tests.support.fake_container.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tests.support.local_runners import Machine, running

MACHINES: dict[str, Callable[[Path], AbstractContextManager[Machine]]] = {
    "local": lambda folder: running(folder / "data"),
}
