"""`mlops stats`: the dashboard's figures."""

from typing import TYPE_CHECKING

from mlops_api.cli.command import Group
from mlops_api.cli.output import Outcome, Printer, cell, moment
from mlops_api.cli.session import Session

if TYPE_CHECKING:
    from mlops_api.domain.dashboard import DashboardStats, Figure


def add_to(group: Group) -> None:
    group.command("stats", examples=["stats", "stats --json"])(stats)


def stats(session: Session) -> Outcome:
    """What needs attention, counts, champions, serving, cost and storage."""
    found = session.client.dashboard.stats()
    return Outcome(found, lambda printer: _show(printer, found))


def _show(printer: Printer, found: "DashboardStats") -> None:
    printer.table(
        ["needs attention", "what", "message", "since"],
        [[item.id, item.kind, item.message, moment(item.at)] for item in found.needs_attention],
    )
    printer.line()
    printer.table(["running", "status", "progress"], [[j.job, j.status, f"{j.progress:.0%}"] for j in found.running])
    printer.line()
    printer.table(
        ["champion", "objective", "value", "before", "endpoint"],
        [[c.version, c.objective, c.value, c.previous_value, c.endpoint_status] for c in found.champions],
    )
    for title in ("counts", "serving", "cost", "storage"):
        printer.line()
        figures: dict[str, Figure] = getattr(found, title)
        printer.table([title, "", "behind it"], [[name, _figure(item), item.path] for name, item in figures.items()])


def _figure(item: "Figure") -> str:
    text = cell(item.value) if item.exact else f"at least {cell(item.value)}"
    return f"{text} {item.unit}" if item.unit else text
