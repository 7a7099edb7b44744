"""`mlops data contract`: what later versions of a dataset are held to."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops_api.cli import options
from mlops_api.cli.command import Group
from mlops_api.cli.errors import UsageProblem
from mlops_api.cli.output import Outcome, Printer, cell, moment
from mlops_api.cli.session import Session

if TYPE_CHECKING:
    from mlops_api.domain.contracts import DatasetContract
    from mlops_contracts.data_contract import ColumnRule, DataContract

GROUP = Group("data contract", "The contract that later versions of a dataset must keep, or be refused.")
Name = Annotated[str, typer.Argument(help="The dataset, such as flights.", show_default=False)]
To = Annotated[Path | None, typer.Option("--to", help="Save it as JSON, to be edited and `set`.")]
Revision = Annotated[
    int | None,
    typer.Option("--if-revision", min=0, help="Only if that is what was read (0: there was none)."),
]


@GROUP.command(
    "show",
    examples=[
        "data contract show flights",
        "data contract show flights --number 1 --json",
        "data contract show flights --to contract.json",
    ],
)
def show(
    session: Session,
    name: Name,
    number: Annotated[int | None, typer.Option(min=1, help="An earlier one; default: the one in force.")] = None,
    to: To = None,
    force: options.Force = False,
) -> Outcome:
    """The contract in force, or an earlier one."""
    found = session.client.datasets.contract(name, number=number)
    _save(session, to, force, found.contract)
    return Outcome(found, lambda printer: _show(printer, found))


@GROUP.command(
    "suggest",
    examples=["data contract suggest flights:1 --to contract.json", "data contract suggest flights:latest --json"],
)
def suggest(
    session: Session,
    version: Annotated[str, typer.Argument(help="Such as flights:2, or flights:latest.", show_default=False)],
    to: To = None,
    force: options.Force = False,
) -> Outcome:
    """A contract that a version keeps, with room for the next ones. Save it, edit it, and `set` it."""
    found = session.client.datasets.suggest_contract(version)
    _save(session, to, force, found)
    return Outcome(_said(found), lambda printer: _rules(printer, found))


@GROUP.command(
    "set",
    examples=["data contract set flights contract.json", "data contract set flights contract.json --if-revision 3"],
)
def set_contract(
    session: Session,
    name: Name,
    file: Annotated[str, typer.Argument(help="JSON, as `show --to` saves it; - for stdin.", show_default=False)],
    if_revision: Revision = None,
) -> Outcome:
    """Put a contract in force under the next number. Exit code 4 when it contradicts itself."""
    found = session.client.datasets.set_contract(name, _read(file), revision=if_revision)
    session.say(f"{name}: contract {found.number} is in force")
    return Outcome(found)


@GROUP.command("delete", examples=["data contract delete flights"])
def delete(session: Session, name: Name, if_revision: Revision = None) -> Outcome:
    """Hold later versions to none. The contracts so far are kept: `show --number`."""
    session.client.datasets.delete_contract(name, revision=if_revision)
    session.say(f"{name}: no contract is in force")
    return Outcome({"deleted": name})


def _show(printer: Printer, found: "DatasetContract") -> None:
    printer.pairs(
        {
            "dataset": found.dataset,
            "number": found.number,
            "in force": "yes" if found.in_force else "no",
            "revision": found.revision,
            "set": f"{moment(found.created_at)} by {found.created_by}",
        }
    )
    printer.line()
    _rules(printer, found.contract)


def _rules(printer: Printer, contract: "DataContract") -> None:
    if contract.columns:
        headings = ["column", "required", "type", "range", "allowed", "unique", "most missing"]
        printer.table(headings, [_rule(rule) for rule in contract.columns])
        printer.line()
    printer.pairs(
        {
            "other columns": "allowed" if contract.extra_columns else "refused",
            "unique together": "; ".join(", ".join(key) for key in contract.unique) or None,
            "rows": _span(contract.min_rows, contract.max_rows),
        }
    )


def _rule(rule: "ColumnRule") -> list[Any]:
    return [
        rule.name,
        "yes" if rule.required else "no",
        rule.type,
        _span(rule.minimum, rule.maximum),
        [str(value).lower() if isinstance(value, bool) else value for value in rule.allowed] or None,
        "yes" if rule.unique else None,
        None if rule.max_missing is None else f"{rule.max_missing:.2%}",
    ]


def _span(low: float | None, high: float | None) -> str | None:
    if low is None and high is None:
        return None
    return f"{'' if low is None else cell(low)} to {'' if high is None else cell(high)}".strip()


def _save(session: Session, to: Path | None, force: bool, contract: "DataContract") -> None:
    if to is None:
        return
    if to.exists() and not force:
        raise UsageProblem(f"{to} exists. Name another file, or add --force.")
    to.write_text(_text(contract) + "\n")
    session.say(f"saved to {to}; edit it, then: mlops data contract set NAME {to}")


def _said(contract: "DataContract") -> dict[str, Any]:
    """Without what is left open, so that it is short enough to edit."""
    return contract.model_dump(mode="json", exclude_defaults=True)


def _text(contract: "DataContract") -> str:
    """JSON with a line for each column."""
    said = _said(contract)
    columns = [f"    {json.dumps(column)}" for column in said.pop("columns", [])]
    lines = ['  "columns": [\n' + ",\n".join(columns) + "\n  ]"] if columns else []
    lines += [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in said.items()]
    return "{\n" + ",\n".join(lines) + "\n}"


def _read(file: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        content = json.loads(text)
    except ValueError as error:
        raise UsageProblem(f"{file} holds no JSON: {error}.") from error
    if not isinstance(content, dict):
        raise UsageProblem(
            f"{file} holds no JSON object. Begin with: mlops data contract suggest NAME:latest --to {file}"
        )
    return content
