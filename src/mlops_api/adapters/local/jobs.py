"""The job engine: accepts, queues, runs, retries and settles jobs, and survives its own death at any instant.

    start() --> accepted --> queued --> prepared --> running --> ended --> settled --> acknowledged
    (spec.json)                 ^       (launch.json) (process.json) (exit.json) (state.json)  (in done/)
                                |                                     |
                                '-- killed, fewer than max_attempts --'

    ended     by itself, code 0               outputs stored, Completed
              by itself, other code           Failed, with output/failure or the last line of its log
              by a signal, or with no trace   the next attempt; Failed after the last
              because it was asked to         Stopped
              because of max_runtime          Stopped, secondary status MaxRuntimeExceeded

Each step is a durable file (job_folder.py), so a new engine finds out where every job stands:

    state.json          tell its end again, acknowledge it
    exit.json           settle it, or begin the next attempt
    process.json        the shepherd lives: adopt it; it does not: write exit.json (lost) under the job's lock
    none of them        queue it again, as the same attempt

Two shepherds of one job can never both run: the second does not get the job's lock, or finds the first one's
process.json or exit.json. So it is always safe to launch again when in doubt.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_api.adapters.local import procs
from mlops_api.adapters.local.endings import Ending, failure_of, judge
from mlops_api.adapters.local.fork_client import ForkServer
from mlops_api.adapters.local.job_folder import JobFolder, JobFolders, Settled
from mlops_api.adapters.local.job_log import MetricReader, last_line, read_lines
from mlops_api.adapters.local.launch import PACKING, Ended, Launch
from mlops_api.adapters.local.shepherd import RANG
from mlops_api.adapters.local.watcher import Watcher
from mlops_api.domain.errors import NotFound, PlatformError, Unavailable
from mlops_api.domain.times import rfc3339, utc_now
from mlops_api.domain.training import TERMINAL
from mlops_api.ports import JobState, LogChunk, MetricValue, StateChange

_log = logging.getLogger(__name__)

_MAX_LAUNCHES = 3
_LOCK_RETRY = 0.05
_LAUNCH_AGAIN = 1.0
_AGAIN = 30.0
_NICENESS = 5


@dataclass(frozen=True)
class JobTask:
    """One job, as its kind sees it: `spec` as it was accepted (JSON), `ml` the root of its /opt/ml."""

    name: str
    spec: Mapping[str, Any]
    ml: Path


def _no_report(_ml: Path) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class JobKind:
    """What differs between training, processing and batch scoring. `spec` holds `max_runtime_seconds` always.

    prepare: lays out /opt/ml; called for each attempt, and again after a crash in its middle.
    collect: stores the outputs of a program that ended well; it may be called again with some stored already.
    Both raise PlatformError to fail the job. report: what describe adds; `progress` (0..1) in it wins over the
    metric of that name. event: the state change in AWS's shape.
    """

    name: str
    argv: tuple[str, ...]
    name_variable: str
    prepare: Callable[[JobTask], None]
    collect: Callable[[JobTask], None]
    event: Callable[[str, JobState], Mapping[str, Any]]
    report: Callable[[Path], Mapping[str, Any]] = _no_report
    pack_model: bool = False


@dataclass
class _Job:
    """A job that is not yet acknowledged."""

    kind: JobKind
    folder: JobFolder
    spec: Mapping[str, Any]
    metrics: MetricReader
    phase: str = "Pending"
    attempt: int = 1
    launches: int = 0
    holds_slot: bool = False
    stopping: bool = False
    started_at: str | None = None
    shepherd: procs.ProcessId | None = None
    settled: Settled | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def task(self) -> JobTask:
        return JobTask(self.folder.name, self.spec, self.folder.ml)


_Step = Callable[[_Job], None]


@dataclass(frozen=True)
class JobLimits:
    """`slots`: jobs at once, by kind. `grace`: seconds between SIGTERM and SIGKILL."""

    slots: Mapping[str, int] = field(default_factory=lambda: default_slots())
    max_attempts: int = 2
    grace: float = 120.0


def default_slots(training: int | None = None) -> dict[str, int]:
    """Half the processors train; validation and batch scoring never wait behind training."""
    return {"training": training or max(1, _processors() // 2), "processing": 1, "transform": 1}


class JobEngine:
    """Register every kind, then start(). `tell` gets the event of each job that ended, at least once."""

    def __init__(
        self, root: Path, forks: ForkServer, tell: StateChange, *, limits: JobLimits | None = None, adopt: bool = True
    ) -> None:
        self._root = root
        self._forks = forks
        self._tell = tell
        self._limits = limits or JobLimits()
        self._adopt = adopt
        self._kinds: dict[str, JobKind] = {}
        self._jobs: dict[tuple[str, str], _Job] = {}
        self._queues: dict[str, deque[_Job]] = {}
        self._running: dict[str, int] = {}
        self._lock = threading.RLock()
        self._ended = threading.Condition(self._lock)
        self._watcher = Watcher("jobs")
        self._closed = False

    # ------------------------------------------------------------------ for the runners

    def register(self, kind: JobKind) -> None:
        self._kinds[kind.name] = kind
        self._folders(kind).make()
        self._queues.setdefault(kind.name, deque())
        self._running.setdefault(kind.name, 0)

    def start(self) -> None:
        """Take over every job that is not acknowledged, unless `adopt` is off; then begin what is queued."""
        if self._adopt:
            for kind in self._kinds.values():
                for folder in self._folders(kind).active():
                    self._take_over(kind, folder)
        self._dispatch()

    def start_job(self, kind: JobKind, job: str, spec: Mapping[str, Any]) -> None:
        """Accept a job; when this returns, it is durable. A job of that name that exists is left as it is."""
        with self._lock:
            if self._folders(kind).find(job) is not None:
                return
            folder = self._folders(kind).new(job)
            folder.accept(spec, time.time_ns())
            found = _Job(kind, folder, spec, MetricReader(folder.log))
            self._jobs[kind.name, job] = found
            self._queues[kind.name].append(found)
        self._dispatch()

    def describe(self, kind: JobKind, job: str) -> JobState:
        """Raises NotFound."""
        return self.settled_or_live(kind, job).state

    def settled_or_live(self, kind: JobKind, job: str) -> Settled:
        """The state, and what the job's kind reports. Raises NotFound."""
        found = self._jobs.get((kind.name, job))
        if found is None:
            return self._stored(kind, job)
        return found.settled or self._live(found)

    def stop(self, kind: JobKind, job: str) -> None:
        """Durable when it returns. No error when the job has ended. Raises NotFound."""
        found = self._jobs.get((kind.name, job))
        if found is None:
            self._stored(kind, job)
            return
        with self._lock:
            if found.settled is not None:
                return
            try:
                found.folder.ask_to_stop()
            except FileNotFoundError:  # acknowledged since the line above
                return
            found.stopping = True
            queued = found in self._queues[kind.name]
            if queued:
                self._queues[kind.name].remove(found)
        if queued:
            self._watcher.submit(lambda: self._guarded(found, self._settle_stopped))
        else:
            self._ring(found)

    def logs(self, kind: JobKind, job: str, after: int, limit: int) -> LogChunk:
        """Raises NotFound."""
        ended = self.describe(kind, job).status in TERMINAL
        folder = self._find(kind, job)
        chunk = read_lines(folder.log, after, limit, ended=ended)
        if not folder.path.exists():  # acknowledged meanwhile, and so moved
            return read_lines(self._find(kind, job).log, after, limit, ended=True)
        return chunk

    def metrics(self, kind: JobKind, job: str) -> Sequence[MetricValue]:
        """Raises NotFound."""
        found = self._jobs.get((kind.name, job))
        reader = found.metrics if found is not None else MetricReader(self._find(kind, job).log)
        reader.refresh(ended=found is None)
        return reader.values

    def close(self, *, stop_jobs: bool = False) -> None:
        """End the engine's threads. Jobs run on, to be adopted at the next start, unless `stop_jobs`."""
        if stop_jobs:
            self._stop_all()
        self._closed = True
        self._watcher.close()

    # ------------------------------------------------------------------ queue

    def _dispatch(self) -> None:
        """Begin the oldest queued jobs that have a free slot."""
        with self._lock:
            for pool, queue in self._queues.items():
                while queue and self._running[pool] < self._limits.slots.get(pool, 1):
                    self._occupy(job := queue.popleft())
                    self._later(job, self._begin)

    def _occupy(self, job: _Job) -> None:
        job.holds_slot = True
        job.phase = "Starting"
        self._running[job.kind.name] += 1

    def _free(self, job: _Job) -> None:
        with self._lock:
            if job.holds_slot:
                job.holds_slot = False
                self._running[job.kind.name] -= 1
        self._dispatch()

    def _take_over(self, kind: JobKind, folder: JobFolder) -> None:
        accepted = folder.accepted()
        assert accepted is not None  # noqa: S101 - active() lists accepted jobs only
        job = _Job(kind, folder, accepted[1], MetricReader(folder.log), stopping=folder.stop_asked())
        job.attempt = max(1, folder.attempt())
        self._jobs[kind.name, folder.name] = job
        job.settled = folder.settled()
        if job.settled is not None:
            self._later(job, self._tell_end)
        elif folder.started(job.attempt) is None and folder.ended(job.attempt) is None:
            self._queues[kind.name].append(job)
        else:
            self._occupy(job)
            self._later(job, self._look)

    # ------------------------------------------------------------------ one job, one step at a time

    def _later(self, job: _Job, step: _Step, seconds: float = 0.0) -> None:
        def act() -> None:
            self._guarded(job, step)

        if seconds:
            self._watcher.later(seconds, act)
        else:
            self._watcher.submit(act)

    def _guarded(self, job: _Job, step: _Step) -> None:
        """A job that the engine cannot handle fails alone; the queue goes on."""
        try:
            with job.lock:
                step(job)
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes this job's failure
            _log.exception("job %s: %s failed", job.folder.name, getattr(step, "__name__", "a step"))
            if not self._closed:
                self._give_up(job, error)

    def _give_up(self, job: _Job, error: Exception) -> None:
        if job.settled is not None:  # its end is known; only acting on it went wrong
            self._later(job, self._tell_end, _AGAIN)
            return
        if isinstance(error, Unavailable):  # not the job's fault, and it passes
            self._later(job, self._look, _LAUNCH_AGAIN)
            return
        reason = error.detail if isinstance(error, PlatformError) else f"{type(error).__name__}: {error}"
        try:
            self._settle(job, Ending("Failed", "Failed", f"The job could not be run: {reason}"), None)
        except (OSError, PlatformError):
            _log.exception("job %s cannot be settled; trying again", job.folder.name)
            self._later(job, self._look, _AGAIN)

    def _begin(self, job: _Job) -> None:
        """Prepare the attempt and launch it, under the job's lock, so that no late shepherd runs meanwhile."""
        if job.folder.stop_asked():
            self._settle_stopped(job)
            return
        lock = procs.try_lock(job.folder.lock)
        if lock is None:
            self._later(job, self._look, _LOCK_RETRY)
            return
        try:
            run = self._prepare(job)
        finally:
            os.close(lock)
        pidfd = self._forks.launch(run)
        job.phase = "Training"
        job.launches += 1
        self._watcher.on_end(pidfd, lambda: self._guarded(job, self._look))

    def _prepare(self, job: _Job) -> Path:
        job.phase = "Downloading"
        run = job.folder.run(job.attempt)
        run.mkdir(mode=0o700, exist_ok=True)
        job.kind.prepare(job.task)
        self._launch_of(job).write(run)
        return run

    def _launch_of(self, job: _Job) -> Launch:
        folder = job.folder
        return Launch(
            argv=job.kind.argv,
            ml_root=str(folder.ml.absolute()),
            log=str(folder.log.absolute()),
            lock=str(folder.lock.absolute()),
            stop=str(folder.stop_file.absolute()),
            environ={job.kind.name_variable: folder.name},
            threads=max(1, _processors() // self._limits.slots.get(job.kind.name, 1)),
            niceness=_NICENESS,
            max_runtime=float(job.spec["max_runtime_seconds"]),
            grace=self._limits.grace,
            pack_model=job.kind.pack_model,
        )

    def _look(self, job: _Job) -> None:
        """Find out where the attempt stands and go on from there."""
        ended = job.folder.ended(job.attempt)
        if ended is None and self._adopted(job):
            return
        if ended is None:
            lock = self._lock_of_dead(job)
            if lock is None:
                self._later(job, self._look, _LOCK_RETRY)
                return
            try:
                ended = self._fenced(job)
            finally:
                os.close(lock)
        if ended is None:
            self._not_begun(job)
        else:
            self._conclude(job, ended)

    def _adopted(self, job: _Job) -> bool:
        """Watch the attempt's shepherd, if it lives."""
        started = job.folder.started(job.attempt)
        pidfd = None if started is None else started.shepherd.open()
        if pidfd is None:
            return False
        job.phase = "Training"
        if job.stopping:
            procs.send_fd(pidfd, RANG)
        self._watcher.on_end(pidfd, lambda: self._guarded(job, self._look))
        return True

    def _lock_of_dead(self, job: _Job) -> int | None:
        """The job's lock once nothing of a dead attempt is left; None: not yet."""
        started = job.folder.started(job.attempt)
        if started is not None and started.shepherd.boot_id == procs.boot_id():
            procs.kill_stray(started.shepherd.pid, job.folder.path)
        return procs.try_lock(job.folder.lock)

    def _fenced(self, job: _Job) -> Ended | None:
        """Under the job's lock: the end of the attempt, written here when its shepherd could not.

        None when the attempt was never begun.
        """
        ended = job.folder.ended(job.attempt)
        if ended is None and job.folder.started(job.attempt) is not None:
            ended = Ended("lost", rfc3339(utc_now()))
            ended.write(job.folder.run(job.attempt))
        return ended

    def _not_begun(self, job: _Job) -> None:
        if job.launches < _MAX_LAUNCHES:
            self._begin(job)
            return
        cause = last_line(job.folder.log) or "its supervisor left no message"
        self._settle(job, Ending("Failed", "Failed", f"The job could not be started: {cause}."[:1024]), None)

    def _conclude(self, job: _Job, ended: Ended) -> None:
        ending = judge(job.folder, job.attempt, ended, self._limits.max_attempts)
        if ending is None:
            job.folder.remark(f"{failure_of(job.folder, job.attempt)} This is the next attempt.")
            job.attempt += 1
            job.launches = 0
            self._begin(job)
            return
        if ending.status == "Completed":
            job.phase = "Uploading"
            ending = self._collected(job, ending)
        self._settle(job, ending, ended.ended_at)

    def _collected(self, job: _Job, ending: Ending) -> Ending:
        try:
            job.kind.collect(job.task)
        except PlatformError as error:
            return Ending("Failed", "Failed", error.detail[:1024])
        return ending

    def _settle_stopped(self, job: _Job) -> None:
        self._settle(job, Ending("Stopped", "Stopped", None), None)

    def _settle(self, job: _Job, ending: Ending, ended_at: str | None) -> None:
        """Write the end durably, free the slot, tell."""
        live = self._live(job, ended=True)
        state = JobState(
            status=ending.status,
            secondary_status=ending.secondary_status,
            failure_reason=ending.failure_reason,
            metrics=live.state.metrics,
            progress=1.0 if ending.status == "Completed" else live.state.progress,
            started_at=live.state.started_at,
            ended_at=ended_at or rfc3339(utc_now()),
            attempt=job.attempt,
        )
        settled = Settled(state, live.report)
        job.folder.settle(settled)
        job.settled = settled
        self._free(job)
        self._later(job, self._tell_end)

    def _tell_end(self, job: _Job) -> None:
        """Hand the event over, then acknowledge. When the receiver raises, this happens again later."""
        assert job.settled is not None  # noqa: S101 - only settled jobs come here
        self._tell(job.kind.event(job.folder.name, job.settled.state))
        job.folder.clean()
        self._folders(job.kind).acknowledge(job.folder)
        with self._lock:
            del self._jobs[job.kind.name, job.folder.name]
            self._ended.notify_all()

    # ------------------------------------------------------------------ reading

    def _live(self, job: _Job, *, ended: bool = False) -> Settled:
        job.metrics.refresh(ended=ended)
        metrics = job.metrics.last
        report = dict(job.kind.report(job.folder.ml))
        progress = float(report.pop("progress", metrics.get("progress", 0.0)))
        state = JobState(
            status="Stopping" if job.stopping else "InProgress",
            secondary_status="Stopping" if job.stopping else self._phase(job),
            metrics=metrics,
            progress=min(1.0, max(0.0, progress)),
            started_at=self._started_at(job),
            attempt=job.attempt,
        )
        return Settled(state, report)

    def _phase(self, job: _Job) -> str:
        packing = job.phase == "Training" and (job.folder.run(job.attempt) / PACKING).exists()
        return "Uploading" if packing else job.phase

    def _started_at(self, job: _Job) -> str | None:
        if job.started_at is None:
            started = job.folder.started(1)
            job.started_at = None if started is None else started.started_at
        return job.started_at

    def _stored(self, kind: JobKind, job: str) -> Settled:
        """A job that this engine does not hold: acknowledged, or not adopted."""
        settled = self._find(kind, job).settled()
        return settled or Settled(JobState("InProgress", "Pending"), {})

    def _find(self, kind: JobKind, job: str) -> JobFolder:
        folder = self._folders(kind).find(job)
        if folder is None:
            raise NotFound(f"There is no {kind.name} job {job}.")
        return folder

    def _folders(self, kind: JobKind) -> JobFolders:
        return JobFolders(self._root / kind.name)

    # ------------------------------------------------------------------ stopping

    def _ring(self, job: _Job) -> None:
        """The shepherd would find the stop file within a second anyway; this spares the second."""
        started = job.folder.started(job.attempt)
        pidfd = None if started is None else started.shepherd.open()
        if pidfd is not None:
            procs.send_fd(pidfd, RANG)
            os.close(pidfd)

    def _stop_all(self) -> None:
        for kind, job in list(self._jobs):
            self.stop(self._kinds[kind], job)
        with self._lock:
            self._ended.wait_for(lambda: not self._jobs, timeout=self._limits.grace + 30)


def _processors() -> int:
    return len(os.sched_getaffinity(0))
