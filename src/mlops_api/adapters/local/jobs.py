"""The job engine: accepts, queues, runs, retries and settles jobs, and survives its own death at any instant.

    start() --> accepted --> queued --> prepared --> running --> ended --> settled --> acknowledged
    (spec.json)                 ^       (launch.json) (process.json) (exit.json) (state.json)  (in done/)
                                |                                     |
                                '-- killed, fewer than max_attempts --'

    ended     by itself, code 0               outputs stored, Completed
              by itself, other code           Failed, with output/failure or the last line of its log
              by a signal, or with no trace   the next attempt; Failed after the last
              because it was asked to         Stopped
              because of max_runtime          Stopped, secondary status MaxRuntimeExceeded; all attempts
                                              together have that time

Each step is a durable file (job_folder.py), so a new engine finds out where every job stands:

    state.json          tell its end again, acknowledge it
    exit.json           settle it, or begin the next attempt
    process.json        the shepherd lives: adopt it; it does not: write exit.json (lost) under the job's lock
    none of them        queue it again, as the same attempt

Two shepherds of one job can never both run: the second does not get the job's lock, or finds the first one's
process.json or exit.json. So it is always safe to launch again when in doubt.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlops_api.adapters.local.fork_client import ForkServer
from mlops_api.adapters.local.job_folder import JobFolder, JobFolders, Settled
from mlops_api.adapters.local.job_kind import JobKind, JobLimits
from mlops_api.adapters.local.job_log import MetricReader, read_lines
from mlops_api.adapters.local.job_steps import Job, JobSteps
from mlops_api.adapters.local.watcher import Watcher
from mlops_api.domain.errors import NotFound
from mlops_api.domain.training import TERMINAL
from mlops_api.ports import JobState, LogChunk, MetricValue, StateChange

_KEEP_LOGS = 2000


class JobEngine:
    """Register every kind, then start(). `tell` gets the event of each job that ended, at least once."""

    def __init__(
        self, root: Path, forks: ForkServer, tell: StateChange, *, limits: JobLimits | None = None, adopt: bool = True
    ) -> None:
        self._root = root
        self._limits = limits or JobLimits()
        self._adopt = adopt
        self._kinds: dict[str, JobKind] = {}
        self._jobs: dict[tuple[str, str], Job] = {}
        self._queues: dict[str, deque[Job]] = {}
        self._running: dict[str, int] = {}
        self._lock = threading.RLock()
        self._ended = threading.Condition(self._lock)
        self._watcher = Watcher("jobs")
        self._steps = JobSteps(forks, self._watcher, self._limits, tell=tell, freed=self._freed, told=self._told)

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
                folders = self._folders(kind)
                for folder in folders.active():
                    self._take_over(kind, folder)
                self._watcher.submit(lambda folders=folders: folders.trim(_KEEP_LOGS))  # type: ignore[misc] # binds now
        self._dispatch()

    def start_job(self, kind: JobKind, job: str, spec: Mapping[str, Any]) -> None:
        """Accept a job; when this returns, it is durable. A job of that name that exists is left as it is."""
        with self._lock:
            if self._folders(kind).find(job) is not None:
                return
            folder = self._folders(kind).new(job)
            folder.accept(spec, time.time_ns())
            found = Job(kind, folder, spec, MetricReader(folder.log))
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
        return found.settled or found.live()

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
            self._steps.later(found, self._steps.settle_stopped)
        else:
            found.ring()

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
        self._steps.closed = True
        self._watcher.close()

    # ------------------------------------------------------------------ queue

    def _dispatch(self) -> None:
        """Begin the oldest queued jobs that have a free slot."""
        with self._lock:
            for pool, queue in self._queues.items():
                while queue and self._running[pool] < self._limits.slots.get(pool, 1):
                    self._occupy(job := queue.popleft())
                    self._steps.later(job, self._steps.begin)

    def _occupy(self, job: Job) -> None:
        job.holds_slot = True
        job.phase = "Starting"
        self._running[job.kind.name] += 1

    def _freed(self, job: Job) -> None:
        with self._lock:
            if job.holds_slot:
                job.holds_slot = False
                self._running[job.kind.name] -= 1
        self._dispatch()

    def _take_over(self, kind: JobKind, folder: JobFolder) -> None:
        accepted = folder.accepted()
        assert accepted is not None  # noqa: S101 - active() lists accepted jobs only
        job = Job(kind, folder, accepted[1], MetricReader(folder.log), stopping=folder.stop_asked())
        job.attempt = max(1, folder.attempt())
        self._jobs[kind.name, folder.name] = job
        job.settled = folder.settled()
        if job.settled is not None:
            self._steps.later(job, self._steps.tell_end)
        elif folder.started(job.attempt) is None and folder.ended(job.attempt) is None:
            self._queues[kind.name].append(job)
        else:
            self._occupy(job)
            self._steps.later(job, self._steps.look)

    def _told(self, job: Job) -> None:
        """Its end will not be told again."""
        self._folders(job.kind).acknowledge(job.folder)
        with self._lock:
            del self._jobs[job.kind.name, job.folder.name]
            self._ended.notify_all()

    # ------------------------------------------------------------------ reading

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

    def _stop_all(self) -> None:
        for kind, job in list(self._jobs):
            self.stop(self._kinds[kind], job)
        with self._lock:
            self._ended.wait_for(lambda: not self._jobs, timeout=self._limits.grace + 30)
