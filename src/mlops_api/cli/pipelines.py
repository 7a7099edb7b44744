"""`mlops pipelines`: what uploads start, step by step."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mlops_api.cli import options
from mlops_api.cli.command import Group
from mlops_api.cli.output import Column, Outcome, Printer, cell, listing, moment
from mlops_api.cli.session import Session

if TYPE_CHECKING:
    from mlops_api.domain.pipelines import Execution, Step

GROUP = Group("pipelines", "Follow, stop and retry what uploads start.")
Name = Annotated[str, typer.Argument(help="An execution, such as flights-v2.", show_default=False)]
Status = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
_LONGEST_DETAIL = 100

_COLUMNS: list[Column] = [
    Column("execution", lambda item: item.execution),
    Column("dataset", lambda item: item.dataset),
    Column("status", lambda item: item.status),
    Column("error", lambda item: item.error),
    Column("best", lambda item: item.model_version),
    Column("passed", lambda item: item.passed, lambda value: None if value is None else "yes" if value else "no"),
    Column("created", lambda item: item.created_at, moment),
    Column("ended", lambda item: item.ended_at, moment),
    Column("by", lambda item: item.created_by),
]


@GROUP.command(
    "list", is_list=True, examples=["pipelines list", "pipelines list --dataset flights --status FAILED --json"]
)
def list_executions(
    session: Session,
    dataset: Annotated[str | None, typer.Option(help="Only of this dataset, such as flights.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only this status.")] = None,
    limit: options.Limit = 20,
    everything: options.All = False,
) -> Outcome:
    """List executions, newest first."""
    items = session.client.pipelines.list(
        dataset=dataset, status=status, page_size=options.page_size(limit, everything)
    )
    hint = "Each upload starts one: mlops data upload FILE"
    empty = options.nothing("No pipeline execution", hint, dataset=dataset, status=status)
    return listing("executions", items, _COLUMNS, limit=limit, everything=everything, empty=empty)


@GROUP.command("show", examples=["pipelines show flights-v2", "pipelines show flights-v2 --json"])
def show(session: Session, execution: Name) -> Outcome:
    """One execution: its steps, candidates, their comparison with the champion, and why it failed."""
    found = session.client.pipelines.get(execution)
    return Outcome(found, lambda printer: _show(printer, found))


@GROUP.command("start", examples=["pipelines start flights:2", "pipelines start flights:latest --wait"])
def start(
    session: Session,
    dataset: Annotated[str, typer.Argument(help="A Ready version, such as flights:2.", show_default=False)],
    wait: options.Wait = False,
) -> Outcome:
    """Train a version once more, by its dataset's recipe as it is now. Uploads start theirs by themselves."""
    found = session.client.pipelines.start(dataset)
    if wait:
        found = _watched(session, found.execution)
    else:
        session.say(f"Follow it: mlops pipelines watch {found.execution}")
    return Outcome(found, lambda printer: _show(printer, found))


@GROUP.command("watch", examples=["pipelines watch flights-v2"])
def watch(
    session: Session,
    execution: Name,
    timeout: Annotated[float | None, typer.Option(help="Seconds to wait at most; it goes on after that.")] = None,
) -> Outcome:
    """Follow an execution to its end. Exit code 1 when it does not end well."""
    found = _watched(session, execution, timeout)
    return Outcome(found, lambda printer: _show(printer, found))


@GROUP.command("stop", examples=["pipelines stop flights-v2"])
def stop(session: Session, execution: Name) -> Outcome:
    """End an execution, and the jobs it has under way."""
    found = session.client.pipelines.stop(execution)
    return Outcome(found, lambda printer: _show(printer, found))


@GROUP.command("retry", examples=["pipelines retry flights-v2"])
def retry(session: Session, execution: Name) -> Outcome:
    """Go on from the step that failed."""
    found = session.client.pipelines.retry(execution)
    session.say(f"Follow it: mlops pipelines watch {execution}")
    return Outcome(found, lambda printer: _show(printer, found))


def _watched(session: Session, execution: str, timeout: float | None = None) -> "Execution":
    try:
        return session.client.pipelines.wait(execution, timeout=timeout, progress=_teller(session))
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(
            f"{execution} goes on. Follow it: mlops pipelines watch {execution}\n"
            f"Stop it: mlops pipelines stop {execution}"
        )
        raise


def _teller(session: Session) -> Callable[["Execution"], None]:
    """Says each step once, as it is entered and as it ends."""
    told: set[tuple[str, int, str]] = set()

    def tell(execution: "Execution") -> None:
        for step in execution.steps:
            state = (step.name, step.attempt, step.status)
            if step.status != "PENDING" and state not in told:
                told.add(state)
                session.say(f"{execution.execution}: {step.name} {step.status}")

    return tell


# ---- for people


def _show(printer: Printer, execution: "Execution") -> None:
    shown = {
        "execution": execution.execution,
        "dataset": execution.dataset,
        "status": execution.status,
        "error": execution.error,
        "cause": execution.cause,
        "created": f"{moment(execution.created_at)} by {execution.created_by}",
        "ended": moment(execution.ended_at),
        "notification": execution.notification,
    }
    printer.pairs({name: value for name, value in shown.items() if value is not None})
    printer.line()
    printer.table(["step", "status", "entered", "seconds", "attempt", "what"], [_row(step) for step in execution.steps])
    _candidates(printer, execution)


def _row(step: "Step") -> list[Any]:
    return [step.name, step.status, moment(step.entered_at), _seconds(step), step.attempt, _what(step)]


def _seconds(step: "Step") -> float | None:
    from mlops_api.domain.times import parse_rfc3339

    if step.entered_at is None or step.exited_at is None:
        return None
    return round((parse_rfc3339(step.exited_at) - parse_rfc3339(step.entered_at)).total_seconds(), 1)


def _what(step: "Step") -> str | None:
    """The cause of a failure, or the plain values of the output."""
    if step.error is not None:
        return f"{step.error}: {step.cause}"
    plain = {name: value for name, value in (step.output or {}).items() if not isinstance(value, dict | list)}
    text = ", ".join(
        f"{name} {cell(value) if isinstance(value, str) else json.dumps(value)}" for name, value in plain.items()
    )
    return text[:_LONGEST_DETAIL] or None


def _candidates(printer: Printer, execution: "Execution") -> None:
    if not execution.candidates:
        return
    verdict = execution.comparison
    metric = verdict.metric if verdict else "value"
    printer.line()
    printer.table(
        ["candidate", "algorithm", "status", "version", metric, "failure"],
        [
            [each.job, each.algorithm, each.status, each.model_version, each.value, each.failure_reason]
            for each in execution.candidates
        ],
    )
    if verdict is not None:
        printer.line()
        printer.pairs(
            {
                "best": verdict.candidate,
                "champion": verdict.champion,
                "gate": "passed" if verdict.passed else "not passed",
                "because": " ".join(verdict.reasons),
                "outcome": execution.approval,
            }
        )
