"""Takes one job from step to step (jobs.py draws them); every step can be repeated after a crash."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_api.adapters.local import procs
from mlops_api.adapters.local.endings import Ending, failure_of, judge
from mlops_api.adapters.local.fork_client import ForkServer
from mlops_api.adapters.local.job_folder import JobFolder, Settled
from mlops_api.adapters.local.job_kind import JobKind, JobLimits, JobTask, processors
from mlops_api.adapters.local.job_log import MetricReader, last_line
from mlops_api.adapters.local.launch import PACKING, Ended, Launch
from mlops_api.adapters.local.shepherd import RANG
from mlops_api.adapters.local.watcher import Watcher
from mlops_api.domain.errors import PlatformError, Unavailable
from mlops_api.domain.times import rfc3339, utc_now
from mlops_api.ports import JobState, StateChange

_log = logging.getLogger(__name__)

_MAX_LAUNCHES = 3
_LOCK_RETRY = 0.05
_LAUNCH_AGAIN = 1.0
_AGAIN = 30.0
_NICENESS = 5


@dataclass
class Job:
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

    def live(self, *, ended: bool = False) -> Settled:
        self.metrics.refresh(ended=ended)
        metrics = self.metrics.last
        report = dict(self.kind.report(self.folder.ml))
        progress = float(report.pop("progress", metrics.get("progress", 0.0)))
        state = JobState(
            status="Stopping" if self.stopping else "InProgress",
            secondary_status="Stopping" if self.stopping else self._phase(),
            metrics=metrics,
            progress=min(1.0, max(0.0, progress)),
            started_at=self._started_at(),
            attempt=self.attempt,
        )
        return Settled(state, report)

    def _phase(self) -> str:
        packing = self.phase == "Training" and (self.folder.run(self.attempt) / PACKING).exists()
        return "Uploading" if packing else self.phase

    def _started_at(self) -> str | None:
        if self.started_at is None:
            started = self.folder.started(1)
            self.started_at = None if started is None else started.started_at
        return self.started_at

    def ring(self) -> None:
        """The shepherd would find the stop file within a second anyway; this spares the second."""
        started = self.folder.started(self.attempt)
        pidfd = None if started is None else started.shepherd.open()
        if pidfd is not None:
            procs.send_fd(pidfd, RANG)
            os.close(pidfd)


Step = Callable[[Job], None]


class JobSteps:
    """`tell` takes the event of an end; `freed` and `told` are called when a job needs no slot any more, and when
    its event was taken."""

    def __init__(
        self,
        forks: ForkServer,
        watcher: Watcher,
        limits: JobLimits,
        *,
        tell: StateChange,
        freed: Step,
        told: Step,
    ) -> None:
        self._forks = forks
        self._watcher = watcher
        self._limits = limits
        self._tell = tell
        self._freed = freed
        self._told = told
        self.closed = False

    def later(self, job: Job, step: Step, seconds: float = 0.0) -> None:
        def act() -> None:
            self.guarded(job, step)

        if seconds:
            self._watcher.later(seconds, act)
        else:
            self._watcher.submit(act)

    def guarded(self, job: Job, step: Step) -> None:
        """A job that the engine cannot handle fails alone; the queue goes on."""
        try:
            with job.lock:
                step(job)
        except Exception as error:  # noqa: BLE001 - whatever it is, it becomes this job's failure
            _log.exception("job %s: %s failed", job.folder.name, getattr(step, "__name__", "a step"))
            if not self.closed:
                self._give_up(job, error)

    def _give_up(self, job: Job, error: Exception) -> None:
        if job.settled is not None:  # its end is known; only acting on it went wrong
            self.later(job, self.tell_end, _AGAIN)
            return
        if isinstance(error, Unavailable):  # not the job's fault, and it passes
            self.later(job, self.look, _LAUNCH_AGAIN)
            return
        reason = error.detail if isinstance(error, PlatformError) else f"{type(error).__name__}: {error}"
        try:
            self._settle(job, Ending("Failed", "Failed", f"The job could not be run: {reason}"), None)
        except (OSError, PlatformError):
            _log.exception("job %s cannot be settled; trying again", job.folder.name)
            self.later(job, self.look, _AGAIN)

    def begin(self, job: Job) -> None:
        """Prepare the attempt and launch it, under the job's lock, so that no late shepherd runs meanwhile."""
        if job.folder.stop_asked():
            self.settle_stopped(job)
            return
        lock = procs.try_lock(job.folder.lock)
        if lock is None:
            self.later(job, self.look, _LOCK_RETRY)
            return
        try:
            run = self._prepare(job)
        finally:
            os.close(lock)
        pidfd = self._forks.launch(run)
        job.phase = "Training"
        job.launches += 1
        self._watcher.on_end(pidfd, lambda: self.guarded(job, self.look))

    def _prepare(self, job: Job) -> Path:
        job.phase = "Downloading"
        run = job.folder.run(job.attempt)
        run.mkdir(mode=0o700, exist_ok=True)
        job.kind.prepare(job.task)
        self._launch_of(job).write(run)
        return run

    def _launch_of(self, job: Job) -> Launch:
        folder = job.folder
        return Launch(
            argv=job.kind.argv,
            ml_root=str(folder.ml.absolute()),
            log=str(folder.log.absolute()),
            lock=str(folder.lock.absolute()),
            stop=str(folder.stop_file.absolute()),
            environ={job.kind.name_variable: folder.name},
            threads=max(1, processors() // self._limits.slots.get(job.kind.name, 1)),
            niceness=_NICENESS,
            max_runtime=max(0.0, job.spec["max_runtime_seconds"] - folder.seconds_used(job.attempt)),
            grace=self._limits.grace,
            pack_model=job.kind.pack_model,
        )

    def look(self, job: Job) -> None:
        """Find out where the attempt stands and go on from there."""
        ended = job.folder.ended(job.attempt)
        if ended is None and self._adopted(job):
            return
        if ended is None:
            lock = self._lock_of_dead(job)
            if lock is None:
                self.later(job, self.look, _LOCK_RETRY)
                return
            try:
                ended = self._fenced(job)
            finally:
                os.close(lock)
        if ended is None:
            self._not_begun(job)
        else:
            self._conclude(job, ended)

    def _adopted(self, job: Job) -> bool:
        """Watch the attempt's shepherd, if it lives."""
        started = job.folder.started(job.attempt)
        pidfd = None if started is None else started.shepherd.open()
        if pidfd is None:
            return False
        job.phase = "Training"
        if job.stopping:
            procs.send_fd(pidfd, RANG)
        self._watcher.on_end(pidfd, lambda: self.guarded(job, self.look))
        return True

    def _lock_of_dead(self, job: Job) -> int | None:
        """The job's lock once nothing of a dead attempt is left; None: not yet."""
        started = job.folder.started(job.attempt)
        if started is not None and started.shepherd.boot_id == procs.boot_id():
            procs.kill_stray(started.shepherd.pid, job.folder.path)
        return procs.try_lock(job.folder.lock)

    def _fenced(self, job: Job) -> Ended | None:
        """Under the job's lock: the end of the attempt, written here when its shepherd could not.

        None when the attempt was never begun.
        """
        ended = job.folder.ended(job.attempt)
        if ended is None and job.folder.started(job.attempt) is not None:
            # Not now: a machine may have been off for days, which are none of the job's run time.
            ended = Ended("lost", job.folder.last_sign_of_life(job.attempt))
            ended.write(job.folder.run(job.attempt))
        return ended

    def _not_begun(self, job: Job) -> None:
        if job.launches < _MAX_LAUNCHES:
            self.begin(job)
            return
        cause = last_line(job.folder.log) or "its supervisor left no message"
        self._settle(job, Ending("Failed", "Failed", f"The job could not be started: {cause}."[:1024]), None)

    def _conclude(self, job: Job, ended: Ended) -> None:
        ending = judge(job.folder, job.attempt, ended, self._limits.max_attempts)
        if ending is None:
            job.folder.remark(f"{failure_of(job.folder, job.attempt)} This is the next attempt.")
            job.attempt += 1
            job.launches = 0
            self.begin(job)
            return
        if ending.status == "Completed":
            job.phase = "Uploading"
            ending = self._collected(job, ending)
        self._settle(job, ending, ended.ended_at)

    def _collected(self, job: Job, ending: Ending) -> Ending:
        try:
            job.kind.collect(job.task)
        except PlatformError as error:
            return Ending("Failed", "Failed", error.detail[:1024])
        return ending

    def settle_stopped(self, job: Job) -> None:
        self._settle(job, Ending("Stopped", "Stopped", None), None)

    def _settle(self, job: Job, ending: Ending, ended_at: str | None) -> None:
        """Write the end durably, free the slot, tell."""
        live = job.live(ended=True)
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
        self._freed(job)
        self.later(job, self.tell_end)

    def tell_end(self, job: Job) -> None:
        """Hand the event over, then acknowledge. When the receiver raises, this happens again later."""
        assert job.settled is not None  # noqa: S101 - only settled jobs come here
        self._tell(job.kind.event(job.folder.name, job.settled.state))
        job.folder.clean()
        self._told(job)
