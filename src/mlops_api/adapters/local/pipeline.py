"""The local PipelineRunner: each execution is one record, moved from step to step by worker threads.

start() --> record --> enter step --> task --> its output --> enter the next ... --> ended, event
               ^          |            | jobs are under way: wait for an event of theirs, or for the schedule
               |          |            | Unavailable and its like: the same step again, with back-off
               |          |            '- any other error: RecordFailure, then FAILED
               '- kill -9, at any point: start() of the stack takes up what is RUNNING, at the step it was in

A step is written when it is entered and when it has its output; between them its task may run more than once, which
every task allows. Nothing waits in a thread: an execution that waits for jobs costs none, so that it cannot hold up
others, and steps run on a few workers at most.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Protocol

from mlops_api.adapters.local.events import execution_event
from mlops_api.adapters.local.pipeline_runs import Run, Runs
from mlops_api.adapters.local.pipeline_states import JOB_ENDED, STATES
from mlops_api.domain.errors import AlreadyExists, NotFound, PlatformError, RevisionMismatch, StorageFull, Unavailable
from mlops_api.domain.pipelines import ON_FAILURE
from mlops_api.domain.times import Clock, parse_rfc3339, rfc3339
from mlops_api.ports import PipelineState, RecordStore, StateChange

Task = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]
"""services.tasks: {"task", "execution", ...} to a step's output."""

_LOG = logging.getLogger(__name__)
_PASSING = (Unavailable, StorageFull, AlreadyExists, RevisionMismatch)
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
WORKERS = 4


class Workers(Protocol):
    """What a Watcher does."""

    def submit(self, act: Callable[[], None]) -> None: ...

    def later(self, seconds: float, act: Callable[[], None]) -> None: ...


class AtOnce:
    """Workers where there are no threads to leave work to: it is done in the call, and again on the schedule."""

    def submit(self, act: Callable[[], None]) -> None:
        act()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """The schedule has it tried again."""


class LocalPipelineRunner:
    """ports.PipelineRunner. Nothing moves before `attach`."""

    def __init__(self, records: RecordStore, workers: Workers, clock: Clock, *, seconds: int) -> None:
        self._runs = Runs(records)
        self._workers = workers
        self._clock = clock
        self._limit = timedelta(seconds=seconds)
        self._task: Task | None = None
        self._tell: StateChange | None = None
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._waiting: dict[str, str] = {}
        """Execution by the job it waits for."""
        self._events = 0

    def attach(self, task: Task, tell: StateChange) -> None:
        """`task` does the work, `tell` gets the event of each execution that ended."""
        self._task, self._tell = task, tell

    def resume(self) -> None:
        """Take up every execution that is RUNNING: at start, and on a schedule in case an event was lost."""
        for execution in list(self._runs.under_way()):
            self._wake(execution)

    # ---- the port

    def start(self, execution: str, input: Mapping[str, Any]) -> None:  # noqa: A002 - the port's word
        now = rfc3339(self._clock())
        try:
            self._runs.save(Run(execution=execution, input=dict(input), started_at=now, resumed_at=now))
        except AlreadyExists:
            _LOG.debug("%s was started before", execution)
        self._wake(execution)

    def describe(self, execution: str) -> PipelineState:
        return self._runs.get(execution).state()

    def stop(self, execution: str, cause: str) -> None:
        self._change(execution, lambda run: run.ended("ABORTED", rfc3339(self._clock()), "Aborted", cause))

    def retry(self, execution: str) -> None:
        self._runs.save(self._runs.get(execution).retried(rfc3339(self._clock())))
        self._wake(execution)

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Wake the execution that waits for the job of this event."""
        names = {str(value) for value in event.get("detail", {}).values()}
        with self._lock:
            self._events += 1
            woken = {self._waiting.pop(job) for job in names & self._waiting.keys()}
        for execution in woken:
            self._wake(execution)

    # ---- moving

    def _wake(self, execution: str) -> None:
        """Have it advanced soon, by one thread at a time."""
        if self._task is None:
            return
        with self._lock:
            if execution in self._busy:
                self._again.add(execution)
                return
            self._busy.add(execution)
        self._workers.submit(lambda: self._advance(execution))

    def _advance(self, execution: str) -> None:
        try:
            while self._moved(execution):
                pass
        finally:
            with self._lock:
                self._busy.discard(execution)
                again = execution in self._again
                self._again.discard(execution)
        if again:
            self._wake(execution)

    def _moved(self, execution: str) -> bool:
        """One move; False when there is nothing more to do now."""
        try:
            run = self._runs.get(execution)
            if run.status != "RUNNING":
                return False
            return self._move(run)
        except NotFound:
            return False
        except (AlreadyExists, RevisionMismatch):
            return True  # it was stopped or retried meanwhile: judge again
        except PlatformError as error:
            _LOG.warning("%s: its state cannot be read or written; it is tried again: %s", execution, error.detail)
            self._workers.later(_LONGEST_PAUSE, lambda: self._wake(execution))
            return False

    def _move(self, run: Run) -> bool:
        now = self._clock()
        if now - parse_rfc3339(run.resumed_at) > self._limit:
            cause = f"It had not ended after {self._limit.total_seconds():.0f} s (MLOPS_PIPELINE_SECONDS)."
            return self._end(run.ended("TIMED_OUT", rfc3339(now), "States.Timeout", cause))
        if run.current is not None:
            return self._work(run)
        name = run.next_name()
        if name is not None:
            self._runs.save(run.entered(name, rfc3339(now)))
            return True
        return self._end(run.ended("FAILED" if run.error else "SUCCEEDED", rfc3339(now)))

    def _end(self, ended: Run) -> bool:
        self._runs.save(ended)
        self._announce(ended)
        return False

    def _announce(self, run: Run) -> None:
        """By a worker: whoever reacts stops jobs, writes, and may take its time."""
        tell = self._tell
        if tell is not None:
            event = execution_event(run.execution, run.status, run.started_at, run.ended_at)
            self._workers.submit(lambda: tell(event))

    def _work(self, run: Run) -> bool:
        """Do the task of the step under way."""
        step = run.steps[-1]
        state = STATES[step.name]
        with self._lock:
            before = self._events
        try:
            output = self._do(state.task, step.input)
        except _PASSING as error:
            return self._try_again(run, error)
        except PlatformError as error:
            return self._fail(run, type(error).__name__, error.detail)
        except Exception as error:  # noqa: BLE001 - becomes the cause of the failure, as Catch States.ALL makes it
            _LOG.exception("%s: step %s broke", run.execution, step.name)
            return self._fail(run, type(error).__name__, str(error))
        if state.waits and output.get("status") != JOB_ENDED:
            return self._wait(run.execution, output.get("jobs", []), before)
        self._runs.save(run.succeeded(output, rfc3339(self._clock())))
        return True

    def _do(self, task: str, given: Mapping[str, Any]) -> dict[str, Any]:
        assert self._task is not None  # noqa: S101 - _wake sees to it
        return dict(self._task({**given, "task": task}) or {})

    def _wait(self, execution: str, jobs: list[str], before: int) -> bool:
        """Until an event; True when one came while the task was looking, so that none is missed."""
        with self._lock:
            self._waiting |= dict.fromkeys(jobs, execution)
            return self._events != before

    def _try_again(self, run: Run, error: PlatformError) -> bool:
        step = run.steps[-1]
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(step.attempt, 20))
        _LOG.warning("%s: %s is tried again in %s s: %s", run.execution, step.name, pause, error.detail)
        self._runs.save(run.tried())
        self._workers.later(pause, lambda: self._wake(run.execution))
        return False

    def _fail(self, run: Run, error: str, cause: str) -> bool:
        """RecordFailure comes next; when it is that which failed, the execution ends without it."""
        now = rfc3339(self._clock())
        if run.steps[-1].name == ON_FAILURE:
            return self._end(run.ended("FAILED", now))
        self._runs.save(run.failed(error, cause, now))
        return True

    def _change(self, execution: str, change: Callable[[Run], Run]) -> None:
        """Change one that runs, whoever else moves it."""
        while True:
            run = self._runs.get(execution)
            if run.status != "RUNNING":
                return
            try:
                self._end(change(run))
            except RevisionMismatch:
                continue
            return
