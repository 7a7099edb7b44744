"""What is durable about one job: each file is a step that a crash cannot undo.

    spec.json       the job was accepted                      (the API)
    stop            it was asked to stop                      (the API)
    attempt-N/      launch.json, process.json, exit.json      (see launch.py)
    state.json      how it ended                              (the API, after its outputs were stored)
    log             output of all attempts, one behind the other
    lock            held while any process of the job lives
    ml/             its /opt/ml; gone when the job is acknowledged

A job lies in `active/` until its end was acknowledged, then in `done/`.
"""

import json
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlops_api.adapters.local.durable import make_folder, replace, sync_folder, write_file
from mlops_api.adapters.local.launch import Ended, Started
from mlops_api.domain.errors import BadRequest
from mlops_api.domain.names import JOB_PATTERN
from mlops_api.domain.times import parse_rfc3339, rfc3339
from mlops_api.ports import JobState

_JOB_NAME = re.compile(JOB_PATTERN)


@dataclass(frozen=True)
class Settled:
    """state.json: the end of a job, and what its kind adds to it."""

    state: JobState
    report: Mapping[str, Any]


class JobFolder:
    """One job's folder. Reading methods give None where a step was not reached."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def log(self) -> Path:
        return self.path / "log"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def stop_file(self) -> Path:
        return self.path / "stop"

    @property
    def ml(self) -> Path:
        return self.path / "ml"

    def run(self, attempt: int) -> Path:
        return self.path / f"attempt-{attempt}"

    def accept(self, spec: Mapping[str, Any], accepted_at: int) -> None:
        """`accepted_at`: nanoseconds since the epoch; jobs are begun in its order."""
        make_folder(self.path, mode=0o700)
        write_file(self.path / "spec.json", json.dumps({"accepted_at": accepted_at, "spec": dict(spec)}).encode())

    def accepted(self) -> tuple[int, dict[str, Any]] | None:
        """(accepted_at, spec), or None for what a crash left half made."""
        data = _read(self.path / "spec.json")
        return None if data is None else (int(data["accepted_at"]), data["spec"])

    def attempt(self) -> int:
        """The number of the last attempt, 0 before the first."""
        numbers = [int(path.name.removeprefix("attempt-")) for path in self.path.glob("attempt-*")]
        return max(numbers, default=0)

    def started(self, attempt: int) -> Started | None:
        return Started.read(self.run(attempt))

    def ended(self, attempt: int) -> Ended | None:
        return Ended.read(self.run(attempt))

    def seconds_used(self, attempt: int) -> float:
        """What the attempts before this one ran, together."""
        return sum(self._seconds_of(number) for number in range(1, attempt))

    def _seconds_of(self, attempt: int) -> float:
        started, ended = self.started(attempt), self.ended(attempt)
        if started is None or ended is None:
            return 0.0
        return (parse_rfc3339(ended.ended_at) - parse_rfc3339(started.started_at)).total_seconds()

    def last_sign_of_life(self, attempt: int) -> str:
        """When the attempt last wrote to the log, or else began: all that is known of one that ended unseen."""
        started = self.started(attempt)
        written = rfc3339(datetime.fromtimestamp(self.log.stat().st_mtime, UTC))
        return written if started is None else max(written, started.started_at)

    def ask_to_stop(self) -> None:
        write_file(self.stop_file, b"")

    def stop_asked(self) -> bool:
        return self.stop_file.exists()

    def settle(self, settled: Settled) -> None:
        data = {"state": asdict(settled.state), "report": dict(settled.report)}
        write_file(self.path / "state.json", json.dumps(data).encode())

    def settled(self) -> Settled | None:
        data = _read(self.path / "state.json")
        return None if data is None else Settled(JobState(**data["state"]), data["report"])

    def remark(self, text: str) -> None:
        """Say something in the log that the program could not say itself."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"--- {text}\n")

    def clean(self) -> None:
        """Keep what is asked for later: spec.json, state.json and the log."""
        for path in (self.ml, *self.path.glob("attempt-*")):
            with suppress(FileNotFoundError):
                shutil.rmtree(path)
        for path in (self.lock, self.stop_file):
            path.unlink(missing_ok=True)


class JobFolders:
    """The folders of one kind of job: `active/` and `done/` below `root`."""

    def __init__(self, root: Path) -> None:
        self._active = root / "active"
        self._done = root / "done"

    def make(self) -> None:
        for folder in (self._active, self._done):
            make_folder(folder, mode=0o700)

    def new(self, job: str) -> JobFolder:
        return JobFolder(self._active / checked(job))

    def find(self, job: str) -> JobFolder | None:
        """The folder of a job that was accepted, wherever it lies now."""
        for parent in (self._active, self._done, self._active):  # a job may move while this looks
            folder = JobFolder(parent / checked(job))
            if (folder.path / "spec.json").exists():
                return folder
        return None

    def active(self) -> list[JobFolder]:
        """Jobs not yet acknowledged, in the order in which they were accepted; what is half made is removed."""
        found: list[tuple[int, JobFolder]] = []
        for path in self._active.iterdir():
            accepted = JobFolder(path).accepted()
            if accepted is None:
                shutil.rmtree(path)
            else:
                found.append((accepted[0], JobFolder(path)))
        return [folder for _, folder in sorted(found, key=lambda each: (each[0], each[1].name))]

    def trim(self, keep: int) -> None:
        """Drop the logs of all but the `keep` jobs that ended last. Their states stay: a name is used once."""
        logs = sorted(self._done.glob("*/log"), key=lambda log: log.stat().st_mtime_ns, reverse=True)
        for log in logs[keep:]:
            log.unlink(missing_ok=True)

    def acknowledge(self, folder: JobFolder) -> JobFolder:
        """Move a settled job to `done/`: its end will not be told again."""
        target = self._done / folder.name
        replace(folder.path, target)
        sync_folder(self._active)
        return JobFolder(target)


def checked(job: str) -> str:
    """`job` itself, when it is a job's name and so cannot lead out of a folder. Raises BadRequest."""
    if not _JOB_NAME.fullmatch(job):
        raise BadRequest(f"{job[:80]!r} is not a job name: 1 to 63 letters, digits and single hyphens inside.")
    return job


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return data
