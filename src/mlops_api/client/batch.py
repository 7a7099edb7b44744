"""`client.batch`: score a whole dataset version."""

import os
from collections.abc import Callable
from pathlib import Path

from mlops_api.client import calls, downloads
from mlops_api.client.effects import Flow, Items
from mlops_api.client.errors import JobFailed
from mlops_api.client.resource import M, Resource, listing, operation
from mlops_api.domain.inference import StartBatch, TransformJob, TransformJobPage
from mlops_api.domain.models import DownloadUrl
from mlops_api.domain.training import TERMINAL, JobStatus
from mlops_contracts.transform import ResultFormat


class Batch(Resource[M]):
    @operation
    def start(
        self,
        *,
        model: str,
        input: str,  # noqa: A002 - the API's name
        format: ResultFormat = "csv",  # noqa: A002 - the API's name
        max_runtime_seconds: int = 3600,
    ) -> Flow[TransformJob]:
        """Score dataset version `input` with `model`: a name (its champion), an alias or a version."""
        fields = {"model": model, "input": input, "format": format, "max_runtime_seconds": max_runtime_seconds}
        return calls.write("POST", "/inference/batch", TransformJob, calls.checked(StartBatch, fields))

    @operation
    def get(self, job: str) -> Flow[TransformJob]:
        """Raises NotFound."""
        return _get(job)

    @listing
    def list(self, *, status: JobStatus | None = None, page_size: int | None = None) -> Items[TransformJob]:
        """All jobs, newest first."""
        return calls.pages(
            "/inference/batch", TransformJobPage, lambda page: page.transform_jobs, page_size=page_size, status=status
        )

    @operation
    def stop(self, job: str) -> Flow[TransformJob]:
        """Ask it to stop. Raises Conflict when it has ended."""
        return calls.write("POST", calls.path("inference", "batch", job, "stop"), TransformJob)

    @operation
    def wait(
        self, job: str, *, timeout: float | None = None, progress: Callable[[TransformJob], None] | None = None
    ) -> Flow[TransformJob]:
        """Until it has ended. Rows that could not be scored do not fail a job: see `failed_rows`.

        Raises:
            JobFailed: it ended Failed or Stopped.
            Timeout: after `timeout` seconds; the job goes on.
        """
        ended = yield from calls.poll(lambda: _seen(job, progress), _has_ended, job, timeout)
        if ended.status != "Completed":
            raise JobFailed(f"{job} is {ended.status}: {ended.failure_reason or 'no reason was given'}", ended)
        return ended

    @operation
    def results(
        self,
        job: str,
        to: str | os.PathLike[str] | None = None,
        *,
        overwrite: bool = False,
        progress: downloads.Progress | None = None,
    ) -> Flow[Path]:
        """Download the results: one row per input row, in order. Raises Conflict until the job is Completed."""
        found = yield from _get(job)
        target = downloads.target_path(to, f"{job}.{found.format}", overwrite=overwrite)
        url = yield from calls.get(calls.path("inference", "batch", job, "results"), DownloadUrl)
        return (yield from downloads.download(url, target, progress))


def _get(job: str) -> Flow[TransformJob]:
    return calls.get(calls.path("inference", "batch", job), TransformJob)


def _seen(job: str, progress: Callable[[TransformJob], None] | None) -> Flow[TransformJob]:
    found = yield from _get(job)
    if progress is not None:
        progress(found)
    return found


def _has_ended(found: TransformJob) -> bool:
    return found.status in TERMINAL
