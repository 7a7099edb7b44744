"""The life of a job, whatever it does: its record is written first, then the runner is asked.

    written --launch--> under way --event--> settled: the record says how it ended
        '-- refused for good --> Failed          '--stop--> Stopping --event--> settled

Both ends are idempotent by the job's name, so a crash between them is made good by `reconcile`. A job's end is an
event that may come several times: what is written comes from the runner's own answer, and once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pydantic import BaseModel

from mlops_api.domain.errors import AlreadyExists, Conflict, Invalid, NameTaken, NotFound, RevisionMismatch
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.domain.training import TERMINAL, JobStatus
from mlops_api.ports import JobState, RecordStore
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.principal import Principal
from mlops_api.services.repair import begin, each

_UNDER_WAY: tuple[JobStatus, ...] = ("InProgress", "Stopping")


class JobRecord(BaseModel):
    """What every job's record has."""

    status: JobStatus


J = TypeVar("J", bound=JobRecord)
S = TypeVar("S")
"""What the runner says of a job."""

S_co = TypeVar("S_co", covariant=True)


class Runner(Protocol[S_co]):
    """What the runners of ports have in common."""

    def describe(self, job: str) -> S_co: ...

    def stop(self, job: str) -> None: ...


@dataclass(frozen=True)
class JobKind(Generic[J, S]):
    """What differs. `word` begins the activity's actions, `path` the job's own; `all`: see the index `status`."""

    word: str
    path: str
    all: str
    name_of: Callable[[J], str]
    runner: Runner[S]
    start: Callable[[J], None]
    of_state: Callable[[JobState], S]
    """As the runner would say it, for a job that it never took."""
    status_of: Callable[[S], JobStatus]
    end: Callable[[Stored[J], S], J]
    """Write how it ended, on condition that its record still is as it was read; what was written."""
    waits: Callable[[J], bool] = lambda _: False
    """It belongs to a pipeline, which begins it (`carry_on`) when its turn comes."""


class JobLife(Generic[J, S]):
    def __init__(
        self, records: RecordStore, jobs: Collection[J], kind: JobKind[J, S], activity: ActivityLog, clock: Clock
    ) -> None:
        self._records = records
        self._jobs = jobs
        self._kind = kind
        self._activity = activity
        self._clock = clock

    def began(self, stored: Stored[J]) -> J:
        """Ask the runner for a job that was just written; its record as it is then."""
        failed = begin(lambda: self._launch(stored), self._kind.name_of(stored.value))
        return failed or stored.value

    def stop(self, by: Principal, job: str) -> J:
        """Raises Conflict when it has ended; asking twice is no error."""
        return self._stop_marked(until_unbeaten(lambda: self._mark_stopping(by, job), what=job))

    def carry_on(self, job: str) -> J:
        """Begin a recorded job unless it was begun, write its end if it has ended. Harmless when repeated."""
        stored = self._jobs.get(job)
        if stored.value.status == "InProgress":
            self._launch(stored)
        return self.settled(job)

    def settled(self, job: str) -> J:
        """What is recorded of it, once its end is written if it has ended."""
        if self._is_begun(job):
            self.on_change(job)
        return self._jobs.get(job).value

    def state(self, job: J) -> S | None:
        """What the runner knows of a job under way; None once it has ended, and before it was started."""
        if job.status in TERMINAL:
            return None
        try:
            return self._kind.runner.describe(self._kind.name_of(job))
        except NotFound:
            return None  # written, not started yet: reconcile starts it

    def on_change(self, job: str) -> None:
        """React to a job's event: once it has ended, write how. Repeats change nothing."""
        # A stop, another delivery, or a write of something that ends with it may come between.
        until_unbeaten(lambda: self._settle(job), what=job)

    def reconcile(self) -> None:
        """Make good what a crash left undone: every job under way is known to the runner, every ended one settled."""
        found = [
            stored
            for status in _UNDER_WAY
            for stored in self._jobs.every_stored("status", f"{self._kind.all}/{status}")
        ]
        each(found, self._repair)

    def _launch(self, stored: Stored[J]) -> J | None:
        """None: it is begun. Else the runner will never take it, and this is how its record ended."""
        try:
            self._kind.start(stored.value)
        except (Invalid, NameTaken) as error:
            refused = JobState("Failed", "Failed", error.detail[:1024], ended_at=rfc3339(self._clock()))
            return self._end(stored, self._kind.of_state(refused))
        return None

    def _is_begun(self, job: str) -> bool:
        try:
            self._kind.runner.describe(job)
        except NotFound:
            return False
        return True

    def _stop_marked(self, stored: Stored[J]) -> J:
        job = self._kind.name_of(stored.value)
        if self._kind.waits(stored.value) and not self._is_begun(job):
            reason = "Its pipeline ended before it began."
            never = JobState("Stopped", "Stopped", reason, ended_at=rfc3339(self._clock()))
            return self._end(stored, self._kind.of_state(never))
        failed = self._launch(stored)  # so that a job whose start was lost in a crash can be stopped
        if failed is None:
            self._kind.runner.stop(job)
        return failed or stored.value

    def _mark_stopping(self, by: Principal, job: str) -> Stored[J]:
        stored = self._jobs.get(job)
        if stored.value.status in TERMINAL:
            raise Conflict(f"{job} is {stored.value.status}: it has ended.", status_now=stored.value.status)
        if stored.value.status == "Stopping":
            return stored
        stopping = stored.with_value(stored.value.model_copy(update={"status": "Stopping"}))
        entry = self._activity.entry(by, f"{self._kind.word}.stop", job, path=f"{self._kind.path}/{job}")
        self._records.write([self._jobs.to_put(stopping), entry])
        return stopping.written()

    def _settle(self, job: str) -> None:
        stored = self._jobs.find(job)
        if stored is None or stored.value.status in TERMINAL:
            return
        state = self._kind.runner.describe(job)
        if self._kind.status_of(state) in TERMINAL:
            self._kind.end(stored, state)

    def _end(self, stored: Stored[J], state: S) -> J:
        try:
            return self._kind.end(stored, state)
        except (AlreadyExists, RevisionMismatch):
            job = self._kind.name_of(stored.value)
            return until_unbeaten(lambda: self._end_as_it_is(job, state), what=job)

    def _end_as_it_is(self, job: str, state: S) -> J:
        stored = self._jobs.get(job)
        return stored.value if stored.value.status in TERMINAL else self._kind.end(stored, state)

    def _repair(self, stored: Stored[J]) -> None:
        if stored.value.status == "Stopping":
            self._stop_marked(stored)
        elif not self._kind.waits(stored.value) and self._launch(stored) is not None:
            return
        self.settled(self._kind.name_of(stored.value))
