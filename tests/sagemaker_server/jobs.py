"""What the three kinds of jobs have in common: names, states, stopping, listing.

    InProgress --> Completed | Failed | Stopping --> Stopped

A job's thread does the work; requests only set `stop_asked` and wake it. Whoever wants to end the work early raises
JobFailed or JobStopped inside it.
"""

import shutil
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from tests.sagemaker_server.containers import Container
from tests.sagemaker_server.pages import page, selected
from tests.sagemaker_server.refusals import ResourceInUse, ValidationException
from tests.sagemaker_server.s3 import TransferFailed
from tests.sagemaker_server.world import Operation, World, now

TERMINAL = frozenset({"Completed", "Failed", "Stopped"})
MAX_REASON = 1024


class JobFailed(Exception):
    """The message is the FailureReason."""


class JobStopped(Exception):
    """Asked to stop, or out of time; `secondary` says which."""

    def __init__(self, secondary: str = "Stopped") -> None:
        super().__init__(secondary)
        self.secondary = secondary


class Job:
    """One job. Subclasses say what the work is, and how it is described."""

    word: ClassVar[str]
    """Training, Processing or Transform: members are named after it."""

    def __init__(self, world: World, name: str, request: Mapping[str, Any]) -> None:
        self.world = world
        self.name = name
        self.request = request
        self.arn = world.arn(f"{self.word.lower()}-job", name)
        self.status = "InProgress"
        self.failure_reason: str | None = None
        self.created = self.modified = now()
        self.started: datetime | None = None
        self.ended: datetime | None = None
        self.stop_asked = False
        self.containers: list[Container] = []
        self.changed = threading.Condition(world.lock)
        self.folder = world.folder / self.word.lower() / name

    # ---------------------------------------------------------------- for subclasses

    def work(self) -> None:
        """Raises JobFailed, JobStopped or TransferFailed; returning is success."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """The Describe reply."""
        raise NotImplementedError

    def event_detail(self) -> dict[str, Any]:
        """The Describe reply as events carry it."""
        return self.describe() | {"Tags": self.world.tags.of(self.arn)}

    def on_end(self, secondary: str) -> None:
        """Called under the lock, after the status was set."""

    # ---------------------------------------------------------------- life

    def start(self) -> None:
        self.tell()
        self.world.spawn(f"{self.word}-{self.name}", self._run)

    def stop(self) -> None:
        """Ask for SIGTERM, SIGKILL later."""
        with self.changed:
            self.status = "Stopping"
            self.stop_asked = True
            self.changed.notify_all()
        self.tell()

    def kill(self, host: int | None = None) -> None:
        """SIGKILL to all its containers, or that of one host, from 0. Raises ValueError when none runs."""
        with self.world.lock:
            chosen = self.containers if host is None else self.containers[host : host + 1]
            running = [each for each in chosen if each.exit_code is None]
        if not running:
            raise ValueError(f"no container of {self.name} runs")
        for container in running:
            container.kill()

    def wake(self) -> None:
        """Something the job's thread may wait for has happened."""
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, happened: Callable[[], bool], deadline: float | None = None) -> bool:
        """Whether it happened before the deadline (time.monotonic). Raises JobStopped when the server closes."""
        with self.changed:
            while not happened():
                left = None if deadline is None else deadline - time.monotonic()
                if self.world.closing.is_set():
                    raise JobStopped
                if left is not None and left <= 0:
                    return False
                self.changed.wait(0.2 if left is None else min(left, 0.2))
            return True

    def check_stop(self) -> None:
        """Raises JobStopped when asked to stop."""
        if self.stop_asked or self.world.closing.is_set():
            raise JobStopped

    def end_containers(self) -> None:
        """SIGTERM to all, SIGKILL to those that take too long."""
        for container in self.containers:
            container.signal(15)
        deadline = time.monotonic() + self.world.options.stop_seconds
        for container in self.containers:
            if not container.wait(max(0.0, deadline - time.monotonic())):
                container.kill()
                container.wait()

    def tell(self) -> None:
        """Send the state as events."""
        with self.world.lock:
            detail = self.event_detail()
        self.world.events.send(f"SageMaker {self.word} Job State Change", self.arn, detail)

    def _run(self) -> None:
        status, secondary, reason = self._outcome()
        if self.world.closing.is_set():
            return
        with self.changed:
            self.status, self.failure_reason = status, reason and reason[:MAX_REASON]
            self.ended = self.modified = now()
            self.on_end(secondary)
            self.changed.notify_all()
        self.tell()
        shutil.rmtree(self.folder / "tmp", ignore_errors=True)

    def _outcome(self) -> tuple[str, str, str | None]:
        """Status, secondary status, failure reason."""
        try:
            self.work()
        except JobStopped as stopped:
            return "Stopped", stopped.secondary, None
        except JobFailed as failed:
            return "Failed", "Failed", str(failed)
        except TransferFailed as failed:
            return "Failed", "Failed", f"ClientError: {failed}"
        except Exception as error:  # noqa: BLE001 - the job must end; the test fails through `bugs`
            if not self.world.closing.is_set():
                self.world.bug(error)
            return "Failed", "Failed", "InternalServerError: We encountered an internal error. Please try again."
        return "Completed", "Completed", None


def read_reason(path: Path) -> str:
    """At most 1,024 characters of what a container wrote; empty when it wrote nothing."""
    try:
        return path.read_bytes().decode("utf-8", "replace")[:MAX_REASON]
    except FileNotFoundError:
        return ""


AnyJob = TypeVar("AnyJob", bound=Job)


class Jobs(Generic[AnyJob]):
    """The jobs of one kind, and the operations that are alike."""

    taken: ClassVar[str]
    unknown: ClassVar[str]
    unknown_to_stop: ClassVar[str]

    def __init__(self, world: World, kind: type[AnyJob]) -> None:
        self.world = world
        self.kind = kind
        self.by_name: dict[str, AnyJob] = {}
        word = kind.word
        self.operations: dict[str, Operation] = {
            f"Create{word}Job": self._create,
            f"Describe{word}Job": lambda params: self.find(params[f"{word}JobName"]).describe(),
            f"Stop{word}Job": self._stop,
            f"List{word}Jobs": self._list,
        }

    def check(self, request: Mapping[str, Any]) -> None:
        """Raises Refusal for what SageMaker refuses before it looks at names."""
        raise NotImplementedError

    def make(self, name: str, request: Mapping[str, Any]) -> AnyJob:
        """A job that is not started yet."""
        return self.kind(self.world, name, request)

    def find(self, name: str) -> AnyJob:
        """Raises ValidationException."""
        return self._find(name, self.unknown)

    def _find(self, name: str, message: str) -> AnyJob:
        if name not in self.by_name:
            raise ValidationException(message.format(name=name))
        return self.by_name[name]

    def _create(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self.check(params)
        name = params[f"{self.kind.word}JobName"]
        with self.world.lock:
            if name in self.by_name:
                raise ResourceInUse(self.taken.format(arn=self.by_name[name].arn))
            job = self.make(name, params)
            self.world.tags.own(job.arn, params.get("Tags", ()))
            self.by_name[name] = job
            job.start()
        return {f"{self.kind.word}JobArn": job.arn}

    def _stop(self, params: Mapping[str, Any]) -> dict[str, Any]:
        word = self.kind.word
        with self.world.lock:
            job = self._find(params[f"{word}JobName"], self.unknown_to_stop)
            if job.status != "InProgress":
                raise ValidationException(
                    f"The request was rejected because the {word.lower()} job is in status {job.status}."
                )
            job.stop()
        return {}

    def _list(self, params: Mapping[str, Any]) -> dict[str, Any]:
        word = self.kind.word
        with self.world.lock:
            jobs = selected(self.by_name.values(), params, _facts)
            chosen, token = page(jobs, params, lambda job: job.name)
            summaries = [self.summary(job) for job in chosen]
        return {f"{word}JobSummaries": summaries, "NextToken": token}

    def summary(self, job: AnyJob) -> dict[str, Any]:
        """What a list shows of a job."""
        word = self.kind.word
        return {
            f"{word}JobName": job.name,
            f"{word}JobArn": job.arn,
            f"{word}JobStatus": job.status,
            "CreationTime": job.created,
            "LastModifiedTime": job.modified,
            f"{word}EndTime": job.ended,
        }


def _facts(job: Job) -> dict[str, Any]:
    return {"name": job.name, "created": job.created, "modified": job.modified, "status": job.status}
