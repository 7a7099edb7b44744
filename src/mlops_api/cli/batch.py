"""`mlops batch`: score whole dataset versions."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mlops_api.cli import options
from mlops_api.cli.command import Group
from mlops_api.cli.output import Column, Outcome, Printer, listing, moment
from mlops_api.cli.progress import following, transferring
from mlops_api.cli.session import Session

if TYPE_CHECKING:
    from mlops_api.domain.inference import TransformJob

GROUP = Group("batch", "Score whole dataset versions.")
Job = Annotated[str, typer.Argument(help="A batch job's name.", show_default=False)]
Status = Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]

_COLUMNS: list[Column] = [
    Column("job", lambda item: item.transform_job),
    Column("status", lambda item: item.status),
    Column("model", lambda item: item.model_version),
    Column("input", lambda item: item.input),
    Column("rows", lambda item: item.rows),
    Column("done", lambda item: item.done_rows),
    Column("failed", lambda item: item.failed_rows),
    Column("created", lambda item: item.created_at, moment),
    Column("by", lambda item: item.created_by),
]


@GROUP.command(
    "start", examples=["batch start flights --input flights:2 --wait", "batch start flights:3 --input flights:2"]
)
def start(
    session: Session,
    model: Annotated[str, typer.Argument(help="A model (its champion), alias or version.", show_default=False)],
    dataset: Annotated[str, typer.Option("--input", help="The dataset version to score.", show_default=False)],
    result: Annotated[Literal["csv", "parquet"], typer.Option("--format", help="Of the results.")] = "csv",
    max_runtime: Annotated[int, typer.Option(help="Seconds after which it is stopped.")] = 3600,
    wait: options.Wait = False,
) -> Outcome:
    """Start batch scoring. With --wait exit code 1 unless it completes."""
    job = session.client.batch.start(model=model, input=dataset, format=result, max_runtime_seconds=max_runtime)
    if wait:
        job = _wait_for(session, job.transform_job)
    else:
        session.say(f"See how it goes: mlops batch show {job.transform_job}")
    return Outcome(job, lambda printer: _show(printer, job))


@GROUP.command("list", is_list=True, examples=["batch list", "batch list --status Failed --json"])
def list_jobs(
    session: Session,
    status: Annotated[Status | None, typer.Option(help="Only this status.")] = None,
    limit: options.Limit = 20,
    everything: options.All = False,
) -> Outcome:
    """List batch jobs, newest first."""
    items = session.client.batch.list(status=status, page_size=options.page_size(limit, everything))
    empty = options.nothing("No batch job", "Start one: mlops batch start MODEL --input NAME:1", status=status)
    return listing("transform_jobs", items, _COLUMNS, limit=limit, everything=everything, empty=empty)


@GROUP.command("show", examples=["batch show JOB"])
def show(session: Session, job: Job) -> Outcome:
    """One job: its progress and its rows."""
    found = session.client.batch.get(job)
    return Outcome(found, lambda printer: _show(printer, found))


@GROUP.command("results", examples=["batch results JOB", "batch results JOB --to scored.csv --force"])
def results(session: Session, job: Job, to: options.To = None, force: options.Force = False) -> Outcome:
    """Download the results: one row per input row, in order."""
    with transferring(session, f"Downloading {job}") as progress:
        path = session.client.batch.results(job, to, overwrite=force, progress=progress)
    return Outcome({"transform_job": job, "path": path}, lambda printer: printer.line(str(path)))


@GROUP.command("stop", examples=["batch stop JOB"])
def stop(session: Session, job: Job) -> Outcome:
    """Ask a job to stop."""
    found = session.client.batch.stop(job)
    return Outcome(found, lambda printer: _show(printer, found))


def _wait_for(session: Session, job: str) -> "TransformJob":
    from mlops_api.client.errors import Unreachable

    try:
        with following(session, job) as progress:
            return session.client.batch.wait(job, progress=progress)
    except Unreachable as lost:
        lost.add_note(f"A job that runs goes on without its server. Start that again and see: mlops batch show {job}")
        raise
    except KeyboardInterrupt as stop:
        stop.add_note(f"{job} goes on. See how it goes: mlops batch show {job}\nStop it: mlops batch stop {job}")
        raise


def _show(printer: Printer, job: "TransformJob") -> None:
    shown = {
        "job": job.transform_job,
        "status": f"{job.status} ({job.progress:.0%})",
        "failure": job.failure_reason,
        "model version": job.model_version,
        "input": job.input,
        "rows": job.rows,
        "done rows": job.done_rows,
        "failed rows": job.failed_rows,
        "created": f"{moment(job.created_at)} by {job.created_by}",
        "ended": moment(job.ended_at),
    }
    printer.pairs({name: value for name, value in shown.items() if value is not None})
