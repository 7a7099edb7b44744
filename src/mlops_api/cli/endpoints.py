"""`mlops endpoints`: what serves behind which name."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops_api.cli import options
from mlops_api.cli.command import Group
from mlops_api.cli.errors import UsageProblem
from mlops_api.cli.output import Column, Outcome, Printer, listing, moment, number
from mlops_api.cli.session import Session

if TYPE_CHECKING:
    from mlops_api.domain.inference import Endpoint, Variant

GROUP = Group("endpoints", "Decide which versions answer.")
Name = Annotated[str, typer.Argument(help="An endpoint; it has its model's name.", show_default=False)]

_COLUMNS: list[Column] = [
    Column("endpoint", lambda item: item.endpoint),
    Column("status", lambda item: item.status),
    Column("serving", lambda item: _variants(item.variants)),
    Column("pending", lambda item: _variants(item.pending)),
    Column("failure", lambda item: item.failure_reason),
    Column("updated", lambda item: item.updated_at, moment),
]


@GROUP.command("list", is_list=True, examples=["endpoints list", "endpoints list --json"])
def list_endpoints(session: Session, limit: options.Limit = 20, everything: options.All = False) -> Outcome:
    """List endpoints."""
    items = session.client.inference.endpoints(page_size=options.page_size(limit, everything))
    empty = "Nothing serves yet. Approve a version and deploy it: mlops models approve NAME:1 --deploy"
    return listing("endpoints", items, _COLUMNS, limit=limit, everything=everything, empty=empty)


@GROUP.command("show", examples=["endpoints show flights"])
def show(session: Session, endpoint: Name) -> Outcome:
    """One endpoint: what answers now, and what is being deployed."""
    found = session.client.inference.get_endpoint(endpoint)
    return Outcome(found, lambda printer: _show(printer, found))


@GROUP.command(
    "put",
    examples=[
        "endpoints put flights --variant flights:3",
        "endpoints put flights --variant flights:3@9 --variant flights:4@1",
    ],
)
def put(
    session: Session,
    endpoint: Name,
    variant: Annotated[
        list[str], typer.Option(help="VERSION, or VERSION@WEIGHT; repeat to split the traffic.", show_default=False)
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Until they serve.")] = False,
) -> Outcome:
    """Make an endpoint serve these approved versions; what serves now answers until they are ready."""
    found = session.client.inference.put_endpoint(endpoint, [parse_variant(text) for text in variant])
    if wait:
        found = session.client.inference.wait(endpoint)
    return Outcome(found, lambda printer: _show(printer, found))


@GROUP.command("delete", examples=["endpoints delete flights"])
def delete(session: Session, endpoint: Name) -> Outcome:
    """Stop serving."""
    session.client.inference.delete_endpoint(endpoint)
    session.say(f"{endpoint}: deleted")
    return Outcome({"deleted": endpoint})


def parse_variant(text: str) -> dict[str, Any]:
    """`flights:3@0.9` as {"variant": "v3", "model_version": "flights:3", "weight": 0.9}. Raises UsageProblem."""
    version, _, weight = text.partition("@")
    _, _, suffix = version.partition(":")
    if not suffix:
        raise UsageProblem(f"--variant {text!r}: write VERSION or VERSION@WEIGHT, such as flights:3@0.9")
    try:
        share = float(weight or 1)
    except ValueError as error:
        raise UsageProblem(f"--variant {text!r}: {weight!r} is not a weight; write a number above 0.") from error
    return {"variant": f"v{suffix}" if suffix.isdigit() else suffix, "model_version": version, "weight": share}


def _variants(variants: list["Variant"]) -> str | None:
    return ", ".join(f"{item.model_version}@{number(item.weight)}" for item in variants) or None


def _show(printer: Printer, found: "Endpoint") -> None:
    printer.pairs({one.heading: value for one in _COLUMNS if (value := one.show(one.get(found))) is not None})
