"""`mlops models`: versions, approval and aliases."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mlops_api.cli import options
from mlops_api.cli.command import Group
from mlops_api.cli.errors import UsageProblem
from mlops_api.cli.output import Column, Outcome, Printer, cell, listing, moment, size
from mlops_api.cli.progress import transferring
from mlops_api.cli.session import Session

if TYPE_CHECKING:
    from mlops_api.domain.models import Comparison, Lineage, ModelVersion
    from mlops_contracts.evaluation import Evaluation

GROUP = Group("models", "Look at model versions, approve and serve them.")
Version = Annotated[str, typer.Argument(help="Such as flights:3, or flights:champion.", show_default=False)]
Model = Annotated[str, typer.Argument(help="Such as flights.", show_default=False)]
Status = Literal["PendingManualApproval", "Approved", "Rejected"]

_COLUMNS: list[Column] = [
    Column("version", lambda item: item.version),
    Column("status", lambda item: item.approval_status),
    Column("aliases", lambda item: item.aliases, lambda names: ", ".join(names) or None),
    Column("algorithm", lambda item: item.algorithm),
    Column("objective", lambda item: item.objective),
    Column("value", lambda item: item.metrics.get(item.objective)),
    Column("dataset", lambda item: item.dataset),
    Column("created", lambda item: item.created_at, moment),
    Column("by", lambda item: item.created_by),
]


@GROUP.command(
    "list",
    is_list=True,
    examples=["models list", "models list --model flights --sort metric", "models list --all -o csv"],
)
def list_versions(
    session: Session,
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only this approval status.")] = None,
    sort: Annotated[Literal["created_at", "metric"], typer.Option(help="metric: needs --model.")] = "created_at",
    order: Annotated[Literal["asc", "desc"], typer.Option(help="Direction.")] = "desc",
    limit: options.Limit = 20,
    everything: options.All = False,
) -> Outcome:
    """List model versions, newest first."""
    items = session.client.models.list(
        model=model, approval_status=status, sort=sort, order=order, page_size=options.page_size(limit, everything)
    )
    empty = options.nothing("No model version", "Train one: mlops train start --help", model=model, status=status)
    return listing("models", items, _COLUMNS, limit=limit, everything=everything, empty=empty)


@GROUP.command("show", examples=["models show flights:3", "models show flights:champion --json"])
def show(session: Session, version: Version) -> Outcome:
    """Metrics, signature and history of a version."""
    found = session.client.models.get(version)
    return Outcome(found, lambda printer: _show(printer, found))


@GROUP.command("evaluation", examples=["models evaluation flights:3"])
def evaluation(session: Session, version: Version) -> Outcome:
    """How good it is on rows it has not seen, next to a dummy model; what to distrust."""
    found = session.client.models.evaluation(version)
    return Outcome(found, lambda printer: _show_evaluation(printer, found))


@GROUP.command("card", examples=["models card flights:3"])
def card(session: Session, version: Version) -> Outcome:
    """The model card, in Markdown."""
    found = session.client.models.card(version)
    return Outcome(found, lambda printer: printer.line(found.markdown.rstrip()))


@GROUP.command("lineage", examples=["models lineage flights:3"])
def lineage(session: Session, version: Version) -> Outcome:
    """What it was made from, and what uses it."""
    found = session.client.models.lineage(version)
    return Outcome(found, lambda printer: _show_lineage(printer, found))


@GROUP.command("diff", examples=["models diff flights:champion flights:4"])
def diff(
    session: Session, version: Version, other: Annotated[str, typer.Argument(help="Another.", show_default=False)]
) -> Outcome:
    """What differs: metrics, parameters, signature."""
    found = session.client.models.compare(version, other)
    return Outcome(found, lambda printer: _show_comparison(printer, found))


@GROUP.command("approve", examples=["models approve flights:3 -m 'better on every slice' --deploy --wait"])
def approve(
    session: Session,
    version: Version,
    comment: options.Comment = "",
    deploy: Annotated[bool, typer.Option("--deploy", help="Make it champion and serve it.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="With --deploy: until it serves.")] = False,
) -> Outcome:
    """Approve a version. Exit code 4 when its status does not allow it."""
    if wait and not deploy:
        raise UsageProblem("--wait waits for the deployment: add --deploy.")
    found = session.client.models.approve(version, comment=comment, deploy=deploy)
    return _decided(session, found, wait=wait)


@GROUP.command("reject", examples=["models reject flights:3 -m 'leaks the target'"])
def reject(session: Session, version: Version, comment: options.Comment = "") -> Outcome:
    """Reject a version. Exit code 4 when its status does not allow it."""
    return _decided(session, session.client.models.reject(version, comment=comment))


@GROUP.command(
    "alias", examples=["models alias flights challenger flights:4", "models alias flights challenger --delete"]
)
def alias(
    session: Session,
    model: Model,
    name: Annotated[str, typer.Argument(metavar="ALIAS", help="Such as challenger.", show_default=False)],
    version: Annotated[str | None, typer.Argument(help="The version it shall name.", show_default=False)] = None,
    comment: options.Comment = "",
    delete: Annotated[bool, typer.Option("--delete", help="Remove the alias.")] = False,
) -> Outcome:
    """Point an alias at a version, or remove it."""
    if delete == (version is not None):
        raise UsageProblem("Give the version the alias shall name, or --delete.")
    if version is None:
        session.client.models.delete_alias(model, name)
        session.say(f"{model}:{name}: deleted")
        return Outcome({"deleted": f"{model}:{name}"})
    return _decided(session, session.client.models.set_alias(model, name, version, comment=comment))


@GROUP.command("rollback", examples=["models rollback flights -m 'errors since noon' --wait"])
def rollback(
    session: Session,
    model: Model,
    comment: options.Comment = "",
    wait: Annotated[bool, typer.Option("--wait", help="Until it serves.")] = False,
) -> Outcome:
    """Make the approved version before the champion again."""
    return _decided(session, session.client.models.rollback(model, comment=comment), wait=wait)


@GROUP.command("download", examples=["models download flights:3", "models download flights:3 --to model.tar.gz"])
def download(session: Session, version: Version, to: options.To = None, force: options.Force = False) -> Outcome:
    """Download the model bundle."""
    with transferring(session, f"Downloading {version}") as progress:
        path = session.client.models.download(version, to, overwrite=force, progress=progress)
    return Outcome({"version": version, "path": path}, lambda printer: printer.line(str(path)))


def _decided(session: Session, found: "ModelVersion", *, wait: bool = False) -> Outcome:
    if wait:
        endpoint = session.client.inference.wait(found.model)
        session.say(f"{endpoint.endpoint}: {endpoint.status}")
        found = session.client.models.get(found.version)
    return Outcome(found, lambda printer: _show_short(printer, found))


def _show_short(printer: Printer, found: "ModelVersion") -> None:
    printer.pairs(_standing(found))


def _standing(found: "ModelVersion") -> dict[str, Any]:
    shown = {
        "version": found.version,
        "status": found.approval_status,
        "aliases": ", ".join(found.aliases) or None,
        "endpoint": found.deployment,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _show(printer: Printer, found: "ModelVersion") -> None:
    printer.pairs(
        {
            **_standing(found),
            "algorithm": f"{found.algorithm}, {found.problem_type}, target {found.target}",
            "dataset": found.dataset,
            "job": found.training_job,
            "size": size(found.size_bytes),
            "created": f"{moment(found.created_at)} by {found.created_by}",
        }
    )
    printer.line()
    printer.table(["metric", "value"], sorted(found.metrics.items()))
    printer.line()
    printer.table(
        ["input", "type", "required", "example", "importance"],
        [
            [f.name, f.type, "yes" if f.required else "no", f.example, found.importance.get(f.name)]
            for f in found.signature
        ],
    )
    if found.decisions:
        printer.line()
        printer.table(
            ["when", "who", "what", "comment"],
            [[moment(d.at), d.by, d.action, d.comment or None] for d in found.decisions],
        )


def _show_evaluation(printer: Printer, found: "Evaluation") -> None:
    rows = f"{found.validation_rows} rows held out ({found.split} split), {found.training_rows} trained on"
    printer.pairs({"problem": found.problem_type, "objective": found.objective, "rows": rows})
    printer.line()
    champion = found.champion
    figures = {"model": found.metrics, "dummy": found.baseline}
    if champion is not None and champion.reason is None:
        figures[champion.version] = champion.metrics
    names = sorted({*found.metrics, *found.baseline})
    printer.table(["metric", *figures], [[name, *(each.get(name) for each in figures.values())] for name in names])
    if champion is not None and champion.reason is not None:
        printer.line(f"not compared with {champion.version}: {cell(champion.reason)}")
    if found.importance:
        printer.line()
        printer.table(["feature", "importance", "sd"], [[i.feature, i.mean, i.std] for i in found.importance[:10]])
    for warning in found.warnings:
        printer.line(f"warning {warning.code}: {cell(warning.message)}")


def _show_lineage(printer: Printer, found: "Lineage") -> None:
    printer.table(["kind", "id", "status"], [[node.kind, node.id, node.status] for node in found.nodes])
    printer.line()
    printer.table(["from", "to"], [[edge.source, edge.target] for edge in found.edges])


def _show_comparison(printer: Printer, found: "Comparison") -> None:
    if not found.same_dataset:
        printer.line("Measured on different rows: the metrics are not comparable.")
    sections: list[tuple[list[str], list[list[Any]]]] = [
        (
            ["metric", found.left, found.right, "change", "better"],
            [[m.name, m.left, m.right, m.change, m.better] for m in found.metrics],
        ),
        (["parameter", found.left, found.right], [[p.name, p.left, p.right] for p in found.parameters]),
        (
            ["signature", "change", "breaking", "detail"],
            [[s.feature, s.change, "BREAKING" if s.breaking else "no", s.detail] for s in found.schema_changes],
        ),
    ]
    for headings, rows in sections:
        if rows:
            printer.table(headings, rows)
            printer.line()
