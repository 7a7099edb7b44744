"""`mlops monitor`: alarms, and what people were told."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mlops_api.cli import options
from mlops_api.cli.command import Group
from mlops_api.cli.errors import UsageProblem
from mlops_api.cli.output import Column, Outcome, Printer, listing, moment, number
from mlops_api.cli.session import Session

if TYPE_CHECKING:
    from mlops_api.domain.alerts import Alert
    from mlops_api.domain.monitoring import AlarmView, MetricValues

GROUP = Group("monitor", "See what goes wrong.")

_ALARMS: list[Column] = [
    Column("alarm", lambda item: item.alarm),
    Column("state", lambda item: item.state),
    Column("why", lambda item: _why(item)),
    Column("since", lambda item: item.since, moment),
]
_ALERTS: list[Column] = [
    Column("at", lambda item: item.at, moment),
    Column("severity", lambda item: item.severity),
    Column("alert", lambda item: item.subject),
    Column("delivery", lambda item: item.delivery),
    Column("last error", lambda item: _last_error(item)),
]


@GROUP.command("alarms", is_list=True, examples=["monitor alarms", "monitor alarms --json"])
def alarms(session: Session, limit: options.Limit = 100, everything: options.All = False) -> Outcome:
    """List alarms and their states. Without data an alarm is never OK."""
    items = session.client.monitoring.alarms(page_size=options.page_size(limit, everything))
    empty = "No alarm yet. A dataset has some from its first version on: mlops data upload FILE --name NAME"
    return listing("alarms", items, _ALARMS, limit=limit, everything=everything, empty=empty)


@GROUP.command("alerts", is_list=True, examples=["monitor alerts", "monitor alerts --delivery Failed"])
def alerts(
    session: Session,
    delivery: Annotated[
        Literal["Pending", "Delivered", "Failed"] | None, typer.Option(help="Only those.", show_default=False)
    ] = None,
    limit: options.Limit = 20,
    everything: options.All = False,
) -> Outcome:
    """List what people were told, newest first."""
    items = session.client.monitoring.alerts(delivery=delivery, page_size=options.page_size(limit, everything))
    empty = options.nothing("No alert", "Failed jobs, rejected versions and alarms make some.", delivery=delivery)
    return listing("alerts", items, _ALERTS, limit=limit, everything=everything, empty=empty)


@GROUP.command(
    "series",
    examples=[
        "monitor series DatasetRows --of dataset=flights",
        "monitor series TrainingObjective --of model=flights --of metric=auc --hours 720 --period 86400",
    ],
)
def series(
    session: Session,
    metric: Annotated[str, typer.Argument(help="A metric, such as DatasetRows.", show_default=False)],
    of: Annotated[list[str], typer.Option(help="NAME=VALUE: a dimension; repeat for all it has.")] = [],  # noqa: B006 - typer copies it
    statistic: Annotated[
        Literal["Average", "Sum", "Minimum", "Maximum", "SampleCount"], typer.Option(help="Over each period.")
    ] = "Average",
    hours: Annotated[int, typer.Option(min=1, help="How far back.")] = 168,
    period: Annotated[int, typer.Option(min=60, help="Seconds, a multiple of 60.")] = 3600,
) -> Outcome:
    """A metric over time; periods without a point are left out."""
    found = session.client.monitoring.series(metric, _dimensions(of), statistic=statistic, hours=hours, period=period)
    return Outcome(found, lambda printer: _show_series(printer, found))


def _dimensions(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not (name and separator and value):
            raise UsageProblem(f"--of {pair!r}: write NAME=VALUE, such as --of dataset=flights")
        found[name] = value
    return found


def _show_series(printer: Printer, found: "MetricValues") -> None:
    if found.points:
        printer.table(["from", found.statistic], [[moment(point.at), number(point.value)] for point in found.points])
    else:
        printer.line("No points. Name all dimensions with --of, or look further back with --hours.")


def _why(alarm: "AlarmView") -> str:
    return f"{alarm.description} {alarm.reason}".strip()


def _last_error(alert: "Alert") -> str | None:
    return alert.attempts[-1].error if alert.attempts else None
