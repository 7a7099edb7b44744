"""What runs jobs and endpoints, by adapter name. A new adapter adds one factory; the contract suites do the rest.

A factory takes a folder and the session's emulators, and gives an object with `objects`, `training`, `processing`,
`transform` and `host` (the ports), `events`
(what was handed to the platform), `train` and `put_model` (local_runners.Machine). Its container program is
tests.support.fake_container.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from tests.support.aws_runners import AwsMachine, sagemaker
from tests.support.emulators import Emulators
from tests.support.local_runners import Machine, running

AnyMachine = Machine | AwsMachine

MACHINES: dict[str, Callable[[Path, Emulators], AbstractContextManager[AnyMachine]]] = {
    "local": lambda folder, _: running(folder / "data"),
    "sagemaker": lambda folder, emulators: sagemaker(emulators.moto, folder),
}

_ENDED = frozenset({"Completed", "Failed", "Stopped", "IN_SERVICE", "FAILED"})


def ends_of(machine: AnyMachine, kind: str) -> list[tuple[str, str]]:
    """(name, status) of what has ended, by the events so far: Training Job, Endpoint, ... Each once: on AWS there are
    several events for a change, and some on the way to it."""
    word = kind.replace(" ", "")
    found = [
        (detail[f"{word}Name"], detail[f"{word}Status"])
        for detail in machine.events_of(f"SageMaker {kind} State Change")
    ]
    return [each for each in dict.fromkeys(found) if each[1] in _ENDED]
