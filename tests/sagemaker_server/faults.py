"""Faults on request: through this object, or by POST to /_control/FAULT with its arguments as JSON."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.sagemaker_server.refusals import Refusal


def _nobody(*_: object) -> None:
    raise ValueError("no job runs")


@dataclass
class _Planned:
    operation: str | None
    left: int
    refusal: Refusal


class Faults:
    """What is to go wrong. Safe to use from many threads."""

    def __init__(self) -> None:
        self._planned: list[_Planned] = []
        self._lost: list[_Planned] = []
        self._without_capacity: set[str] = set()
        self._lock = threading.Lock()
        self._interrupt_job: Callable[[str], None] = _nobody
        self._kill_job: Callable[[str, int | None], None] = _nobody

    def throttle(self, calls: int, operation: str | None = None) -> None:
        """Answer the next `calls` requests (of one operation, or of any) with ThrottlingException."""
        self.refuse(calls, Refusal("ThrottlingException", "Rate exceeded"), operation)

    def refuse(self, calls: int, refusal: Refusal, operation: str | None = None) -> None:
        """Answer the next `calls` requests with this error."""
        with self._lock:
            self._planned.append(_Planned(operation, calls, refusal))

    def lose_answers(self, calls: int, operation: str) -> None:
        """Carry out the next `calls` requests of an operation, but answer them with an InternalFailure."""
        with self._lock:
            self._lost.append(_Planned(operation, calls, Refusal("InternalFailure", "The answer was lost.", 500)))

    def no_capacity(self, job: str) -> None:
        """The job of this name, not yet created, will find no instances."""
        with self._lock:
            self._without_capacity.add(job)

    def interrupt(self, job: str) -> None:
        """Take the spot instances of a training job away. Raises ValueError unless it is a spot job that runs."""
        self._interrupt_job(job)

    def kill(self, job: str, host: int | None = None) -> None:
        """SIGKILL to the containers of a job, or to that of one host, from 0, as the kernel does when memory is short.
        Raises ValueError."""
        self._kill_job(job, host)

    # ---------------------------------------------------------------- the server's side

    def act_on_jobs(self, *, interrupt: Callable[[str], None], kill: Callable[[str, int | None], None]) -> None:
        """Who carries out what concerns a running job."""
        self._interrupt_job, self._kill_job = interrupt, kill

    def check(self, operation: str) -> None:
        """Raises the refusal planned for this call, if any."""
        self._raise(self._planned, operation)

    def check_answer(self, operation: str) -> None:
        """As check, once the call was carried out."""
        self._raise(self._lost, operation)

    def _raise(self, plans: list[_Planned], operation: str) -> None:
        with self._lock:
            for planned in plans:
                if planned.left and planned.operation in (None, operation):
                    planned.left -= 1
                    raise planned.refusal

    def capacity(self, job: str) -> bool:
        """Whether there are instances for the job."""
        with self._lock:
            return job not in self._without_capacity

    def control(self, fault: str, arguments: Mapping[str, Any]) -> None:
        """One request to /_control. Raises ValueError for an unknown fault."""
        known: dict[str, Callable[..., None]] = {
            "throttle": self.throttle,
            "lose_answers": self.lose_answers,
            "no_capacity": self.no_capacity,
            "interrupt": self.interrupt,
            "kill": self.kill,
        }
        if fault not in known:
            raise ValueError(f"no fault {fault!r}; there are: {', '.join(known)}")
        known[fault](**arguments)
