"""`client.training`: start jobs and follow them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from mlops_api.client import calls
from mlops_api.client.effects import Flow, Item, Items, Sleep
from mlops_api.client.errors import JobFailed
from mlops_api.client.resource import M, Resource, listing, operation
from mlops_api.domain.training import (
    TERMINAL,
    AlgorithmInfo,
    AlgorithmList,
    JobStatus,
    LogPage,
    MetricPoint,
    MetricSeries,
    StartTraining,
    TrainingJob,
    TrainingJobPage,
)
from mlops_contracts.hyperparameters import ProblemType
from mlops_contracts.job import SplitName

_LOG_POLL = 0.5


class Training(Resource[M]):
    @operation
    def algorithms(self) -> Flow[list[AlgorithmInfo]]:
        """Each with the JSON Schema of its hyperparameters."""
        answer = yield from calls.get("/training/algorithms", AlgorithmList)
        return answer.algorithms

    @operation
    def start(
        self,
        *,
        dataset: str,
        target: str,
        algorithm: str,
        model: str | None = None,
        exclude: Sequence[str] = (),
        hyperparameters: Mapping[str, Any] | None = None,
        problem_type: ProblemType | None = None,
        time_column: str | None = None,
        split: SplitName = "auto",
        validation_fraction: float = 0.2,
        seed: int = 0,
        instance_type: str | None = None,
        instance_count: int = 1,
        spot: bool = False,
        max_runtime_seconds: int = 3600,
    ) -> Flow[TrainingJob]:
        """Start a job; `model` is by default the dataset's name.

        `problem_type` None: inferred from the target; `time_column`: the newest rows validate; `split` "hash": rows
        held out once stay so in later versions of the dataset. Raises Validation naming the field, NotFound, Conflict
        when the dataset is not Ready.
        """
        body = calls.checked(
            StartTraining,
            {
                "dataset": dataset,
                "target": target,
                "algorithm": algorithm,
                "model": model or dataset.partition(":")[0],
                "exclude": list(exclude),
                "hyperparameters": dict(hyperparameters or {}),
                "problem_type": problem_type,
                "time_column": time_column,
                "split": split,
                "validation_fraction": validation_fraction,
                "seed": seed,
                "instance_type": instance_type,
                "instance_count": instance_count,
                "spot": spot,
                "max_runtime_seconds": max_runtime_seconds,
            },
        )
        return calls.write("POST", "/training/start", TrainingJob, body)

    @operation
    def get(self, job: str) -> Flow[TrainingJob]:
        """Raises NotFound."""
        return _get(job)

    @listing
    def jobs(
        self,
        *,
        status: JobStatus | None = None,
        model: str | None = None,
        sort: Literal["created_at", "metric"] | None = None,
        order: Literal["asc", "desc"] | None = None,
        page_size: int | None = None,
    ) -> Items[TrainingJob]:
        """All jobs, newest first; sort="metric" ranks the completed jobs of one model."""
        return calls.pages(
            "/training/jobs",
            TrainingJobPage,
            lambda page: page.jobs,
            page_size=page_size,
            status=status,
            model=model,
            sort=sort,
            order=order,
        )

    @listing
    def logs(self, job: str, *, follow: bool = False) -> Items[str]:
        """Lines of the log from its start; with `follow` until the job has ended."""
        after, url = 0, calls.path("training", "jobs", job, "logs")
        while True:
            page = yield from calls.get(url, LogPage, after=after)
            for line in page.lines:
                yield Item(line)
            moved = page.next_after != after
            after = page.next_after
            if page.complete or not (moved or follow):
                return
            if not moved:
                yield Sleep(_LOG_POLL)

    @operation
    def metrics(self, job: str) -> Flow[list[MetricPoint]]:
        """Every value the job reported, in order."""
        series = yield from calls.get(calls.path("training", "jobs", job, "metrics"), MetricSeries)
        return series.points

    @operation
    def stop(self, job: str) -> Flow[TrainingJob]:
        """Ask it to stop. Raises Conflict when it has ended."""
        return calls.write("POST", calls.path("training", "jobs", job, "stop"), TrainingJob)

    @operation
    def wait(
        self, job: str, *, timeout: float | None = None, progress: Callable[[TrainingJob], None] | None = None
    ) -> Flow[TrainingJob]:
        """Until it has ended; `progress` sees each state on the way.

        Raises:
            JobFailed: it ended Failed or Stopped.
            Timeout: after `timeout` seconds; the job goes on.
        """
        ended = yield from calls.poll(lambda: _seen(job, progress), _has_ended, job, timeout)
        if ended.status != "Completed":
            raise JobFailed(f"{job} is {ended.status}: {ended.failure_reason or 'no reason was given'}", ended)
        return ended


def _get(job: str) -> Flow[TrainingJob]:
    return calls.get(calls.path("training", "jobs", job), TrainingJob)


def _seen(job: str, progress: Callable[[TrainingJob], None] | None) -> Flow[TrainingJob]:
    found = yield from _get(job)
    if progress is not None:
        progress(found)
    return found


def _has_ended(found: TrainingJob) -> bool:
    return found.status in TERMINAL
