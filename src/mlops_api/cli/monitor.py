"""`mlops monitor`: alarms, and what people were told."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mlops_api.cli import options
from mlops_api.cli.command import Group
from mlops_api.cli.output import Column, Outcome, listing, moment
from mlops_api.cli.session import Session

if TYPE_CHECKING:
    from mlops_api.domain.alerts import Alert
    from mlops_api.domain.monitoring import AlarmView

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


def _why(alarm: "AlarmView") -> str:
    return f"{alarm.description} {alarm.reason}".strip()


def _last_error(alert: "Alert") -> str | None:
    return alert.attempts[-1].error if alert.attempts else None
