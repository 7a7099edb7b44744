"""`mlops stats`: the dashboard's figures."""

from typing import TYPE_CHECKING, Any

from mlops_api.cli.command import Group
from mlops_api.cli.output import Outcome, Printer, moment, number, size
from mlops_api.cli.session import Session

if TYPE_CHECKING:
    from mlops_api.domain.dashboard import DashboardStats, Figure


_FIGURES = ("counts", "serving", "cost", "storage")


def add_to(group: Group) -> None:
    group.command("stats", examples=["stats", "stats --json"])(stats)


def stats(session: Session) -> Outcome:
    """What needs attention, counts, champions, serving, cost and storage."""
    found = session.client.dashboard.stats()
    return Outcome(found, lambda printer: _show(printer, found))


def _show(printer: Printer, found: "DashboardStats") -> None:
    sections: list[tuple[list[str], list[list[Any]]]] = [
        (
            ["needs attention", "what", "message", "since"],
            [[item.id, item.kind, item.message, moment(item.at)] for item in found.needs_attention],
        ),
        (["running", "status", "progress"], [[job.job, job.status, f"{job.progress:.0%}"] for job in found.running]),
        (
            ["champion", "objective", "value", "before", "endpoint"],
            [[c.version, c.objective, c.value, c.previous_value, c.endpoint_status] for c in found.champions],
        ),
        *(([title, "", "behind it"], _figures(getattr(found, title))) for title in _FIGURES),
    ]
    for headings, rows in sections:
        if rows:
            printer.table(headings, rows)
        else:
            printer.line(f"{headings[0]}: none")
        printer.line()


def _figures(figures: "dict[str, Figure]") -> list[list[Any]]:
    return [[name, _figure(item), item.path] for name, item in figures.items()]


def _figure(item: "Figure") -> str:
    text = _amount(item.value, item.unit)
    return text if item.exact else f"at least {text}"


def _amount(value: float, unit: str | None) -> str:
    if unit == "bytes":
        return size(round(value)) or ""
    rounded = number(round(value, 1) if abs(value) < 100 else round(value))
    return f"{rounded} {_counted(value, unit)}" if unit else rounded


def _counted(value: float, unit: str) -> str:
    """`requests since start`, but 1 `request since start`."""
    noun, space, rest = unit.partition(" ")
    return noun.removesuffix("s") + space + rest if value == 1 else unit
