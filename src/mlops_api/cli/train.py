"""`mlops train`: training jobs."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mlops_api.cli import options
from mlops_api.cli.command import Group
from mlops_api.cli.output import Column, Outcome, Printer, cell, listing, moment, printable
from mlops_api.cli.progress import following
from mlops_api.cli.session import Session

if TYPE_CHECKING:
    from mlops_api.domain.training import AlgorithmInfo, TrainingJob

GROUP = Group("train", "Start training jobs and follow them.")
Job = Annotated[str, typer.Argument(help="A training job's name.", show_default=False)]
Status = Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]
_NO_METRICS = frozenset({"progress", "round"})
"""What a job reports about its own course."""

_COLUMNS: list[Column] = [
    Column("job", lambda item: item.job),
    Column("status", lambda item: item.status),
    Column("algorithm", lambda item: item.algorithm),
    Column("dataset", lambda item: item.dataset),
    Column("metrics", lambda item: _headline(item.metrics)),
    Column("version", lambda item: item.model_version),
    Column("started", lambda item: item.started_at, moment),
    Column("by", lambda item: item.created_by),
]


@GROUP.command(
    "start",
    examples=[
        "train start --dataset flights:1 --target late --algorithm xgboost --exclude date --exclude month --wait",
        "train start --dataset flights:1 --target late --algorithm random_forest --param n_estimators=300",
    ],
)
def start(
    session: Session,
    dataset: Annotated[str, typer.Option(help="A version, such as flights:1 or flights:latest.", show_default=False)],
    target: Annotated[str, typer.Option(help="The column to predict.", show_default=False)],
    algorithm: Annotated[str, typer.Option(help="One of `mlops train algorithms`.", show_default=False)],
    model: Annotated[str | None, typer.Option(help="The model; default: the dataset's name.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="A column to leave out; repeat for more.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="A hyperparameter, name=value; repeat for more.")] = None,
    problem_type: Annotated[
        Literal["binary", "multiclass", "regression"] | None, typer.Option(help="Default: by the target.")
    ] = None,
    time_column: Annotated[str | None, typer.Option(help="Validate on the newest rows by this column.")] = None,
    split: Annotated[
        Literal["auto", "hash"], typer.Option(help="hash: held-out rows stay so in later versions of the dataset.")
    ] = "auto",
    validation_fraction: Annotated[float, typer.Option(help="Share of the rows that validate, 0.05 to 0.5.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Same seed, same model.")] = 0,
    instance_type: Annotated[str | None, typer.Option(help="On AWS.")] = None,
    instance_count: Annotated[int, typer.Option(min=1, help="Machines; more than one on AWS only.")] = 1,
    spot: Annotated[bool, typer.Option("--spot", help="On AWS: spot instances.")] = False,
    max_runtime: Annotated[int, typer.Option(help="Seconds after which it is stopped.")] = 3600,
    wait: options.Wait = False,
) -> Outcome:
    """Start a training job. With --wait exit code 1 unless it completes."""
    job = session.client.training.start(
        dataset=dataset,
        target=target,
        algorithm=algorithm,
        model=model,
        exclude=exclude or (),
        hyperparameters=options.parameters(param or []),
        problem_type=problem_type,
        time_column=time_column,
        split=split,
        validation_fraction=validation_fraction,
        seed=seed,
        instance_type=instance_type,
        instance_count=instance_count,
        spot=spot,
        max_runtime_seconds=max_runtime,
    )
    if wait:
        job = wait_for(session, job.job)
    else:
        session.say(f"Follow it: mlops train logs -f {job.job}")
    return Outcome(job, lambda printer: _show(printer, job))


def wait_for(session: Session, job: str) -> "TrainingJob":
    """Until it has ended; an interrupt leaves the job alone and says so."""
    with _goes_on(job), following(session, job) as progress:
        return session.client.training.wait(job, progress=progress)


@contextmanager
def _goes_on(job: str) -> Iterator[None]:
    """Whoever stops watching, or loses the server, is told that the job does not end with that."""
    from mlops_api.client.errors import Unreachable

    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(f"{job} goes on. Follow it: mlops train logs -f {job}\nStop it: mlops train stop {job}")
        raise
    except Unreachable as lost:
        lost.add_note(
            f"A job that runs goes on without its server. Start that again and follow: mlops train logs -f {job}"
        )
        raise


@GROUP.command(
    "list",
    is_list=True,
    examples=["train list", "train list --status Failed", "train list --model flights --sort metric"],
)
def list_jobs(
    session: Session,
    status: Annotated[Status | None, typer.Option(help="Only this status.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    sort: Annotated[Literal["created_at", "metric"], typer.Option(help="metric: needs --model.")] = "created_at",
    order: Annotated[Literal["asc", "desc"], typer.Option(help="Direction.")] = "desc",
    limit: options.Limit = 20,
    everything: options.All = False,
) -> Outcome:
    """List training jobs, newest first."""
    items = session.client.training.jobs(
        status=status, model=model, sort=sort, order=order, page_size=options.page_size(limit, everything)
    )
    empty = options.nothing(
        "No training job",
        "Start one: mlops train start --dataset NAME:1 --target COLUMN --algorithm xgboost",
        status=status,
        model=model,
    )
    return listing("jobs", items, _COLUMNS, limit=limit, everything=everything, empty=empty)


@GROUP.command("show", examples=["train show JOB"])
def show(session: Session, job: Job) -> Outcome:
    """One job."""
    found = session.client.training.get(job)
    return Outcome(found, lambda printer: _show(printer, found))


@GROUP.command("logs", examples=["train logs JOB", "train logs -f JOB"])
def logs(
    session: Session,
    job: Job,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Until it has ended.")] = False,
) -> Outcome:
    """The job's log. With --json the lines come in one envelope, at the end."""
    lines = session.client.training.logs(job, follow=follow)
    with _goes_on(job) if follow else nullcontext():
        if session.json:
            return Outcome({"job": job, "lines": list(lines)})
        for line in lines:
            sys.stdout.write(printable(line) + "\n")
            sys.stdout.flush()
    return Outcome({"job": job})


@GROUP.command("metrics", examples=["train metrics JOB", "train metrics JOB --json"])
def metrics(session: Session, job: Job) -> Outcome:
    """Every value the job reported, in order."""
    points = session.client.training.metrics(job)
    rows = [[point.name, point.step, point.value] for point in points]
    return Outcome({"job": job, "points": points}, lambda printer: printer.table(["metric", "step", "value"], rows))


@GROUP.command("stop", examples=["train stop JOB"])
def stop(session: Session, job: Job) -> Outcome:
    """Ask a job to stop."""
    found = session.client.training.stop(job)
    return Outcome(found, lambda printer: _show(printer, found))


@GROUP.command("algorithms", examples=["train algorithms", "train algorithms --json"])
def algorithms(session: Session) -> Outcome:
    """The algorithms and their hyperparameters."""
    found = session.client.training.algorithms()
    headings = ["algorithm", "hyperparameter", "default", "description"]

    def human(printer: Printer) -> None:
        printer.table(headings, [row for info in found for row in _parameter_rows(info)])

    return Outcome({"algorithms": found}, human)


@GROUP.command("compare", examples=["train compare JOB1 JOB2 JOB3"])
def compare(
    session: Session, jobs: Annotated[list[str], typer.Argument(help="Two jobs or more.", show_default=False)]
) -> Outcome:
    """Jobs side by side: their metrics, and the parameters that differ."""
    found = [session.client.training.get(job) for job in jobs]
    rows = comparison(found)
    data = {"jobs": found, "differences": [{"name": name, "values": values} for name, *values in rows]}
    return Outcome(data, lambda printer: printer.table(["", *(job.job for job in found)], rows))


def comparison(jobs: Sequence["TrainingJob"]) -> list[list[Any]]:
    """Rows of [name, value of each job]: settings that differ, then every metric."""
    settings = [_settings(job) for job in jobs]
    names = list(dict.fromkeys(name for one in settings for name in one))
    rows = [[name, *(one.get(name) for one in settings)] for name in names]
    differing = [row for row in rows if any(value != row[1] for value in row[2:])]
    metrics = sorted({name for job in jobs for name in job.metrics} - _NO_METRICS)
    return differing + [[name, *(job.metrics.get(name) for job in jobs)] for name in metrics]


def _settings(job: "TrainingJob") -> dict[str, Any]:
    names = ("algorithm", "dataset", "target", "exclude", "time_column", "validation_fraction", "seed", "status")
    return {name: getattr(job, name) for name in (*names, "model_version")} | job.hyperparameters


def _parameter_rows(info: "AlgorithmInfo") -> list[list[Any]]:
    properties = info.hyperparameters.get("properties", {})
    return [
        [
            info.algorithm,
            name,
            "none" if schema.get("default") is None else schema["default"],
            schema.get("description"),
        ]
        for name, schema in properties.items()
    ]


def _headline(metrics: dict[str, float]) -> str:
    """The first validation metrics that people rank by."""
    wanted = ("validation:auc", "validation:f1", "validation:rmse", "validation:r2", "validation:logloss")
    found = [name for name in wanted if name in metrics][:2]
    return " ".join(f"{name.removeprefix('validation:')}={cell(metrics[name])}" for name in found)


def _show(printer: Printer, job: "TrainingJob") -> None:
    shown = {
        "job": job.job,
        "status": _status(job),
        "attempt": job.attempt if job.attempt > 1 else None,
        "failure": job.failure_reason,
        "model version": job.model_version,
        "pipeline": job.execution,
        "algorithm": job.algorithm,
        "dataset": f"{job.dataset}, target {job.target}",
        "excluded": ", ".join(job.exclude) or None,
        "hyperparameters": ", ".join(
            f"{name}={'none' if value is None else cell(value)}" for name, value in job.hyperparameters.items()
        ),
        "started": moment(job.started_at),
        "ended": moment(job.ended_at),
    }
    printer.pairs({name: value for name, value in shown.items() if value is not None})
    metrics = [(name, value) for name, value in sorted(job.metrics.items()) if name not in _NO_METRICS]
    if metrics:
        printer.line()
        printer.table(["metric", "value"], metrics)


def _status(job: "TrainingJob") -> str:
    """`InProgress (Training, 40%)`; what has ended needs no more words."""
    if job.status == job.secondary_status:
        return job.status
    return f"{job.status} ({job.secondary_status}, {job.progress:.0%})"
