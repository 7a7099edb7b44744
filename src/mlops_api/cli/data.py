"""`mlops data`: datasets."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mlops_api.cli import options
from mlops_api.cli.command import Group
from mlops_api.cli.difference import show_difference
from mlops_api.cli.output import Column, Outcome, Printer, cell, listing, moment, size
from mlops_api.cli.progress import transferring
from mlops_api.cli.session import Session

if TYPE_CHECKING:
    from mlops_api.domain.datasets import DatasetVersion
    from mlops_contracts.dataset import ColumnProfile

GROUP = Group("data", "Upload tables and look at them.")
Version = Annotated[str, typer.Argument(help="Such as flights:2, or flights:latest.", show_default=False)]
Status = Literal["AwaitingUpload", "Validating", "Ready", "Rejected"]

_COLUMNS: list[Column] = [
    Column("version", lambda item: item.version),
    Column("status", lambda item: item.status),
    Column("rows", lambda item: item.rows),
    Column("columns", lambda item: item.column_count),
    Column("size", lambda item: item.size_bytes, size),
    Column("warnings", lambda item: item.warning_count),
    Column("created", lambda item: item.created_at, moment),
    Column("by", lambda item: item.created_by),
]


@GROUP.command("upload", examples=["data upload flights.csv.gz --name flights", "data upload big.csv --resume big:1"])
def upload(
    session: Session,
    file: Annotated[Path, typer.Argument(help="CSV (also .gz) or Parquet.", show_default=False)],
    name: Annotated[str | None, typer.Option(help="The dataset; default: the file's name.")] = None,
    resume: Annotated[str | None, typer.Option(help="Go on with an upload that broke off.")] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the validation.")] = False,
) -> Outcome:
    """Upload a table as a new version, and validate it. Exit code 4 when it is refused."""
    version = _sent(session, file, name, resume)
    session.say(f"{version.version}: uploaded")
    if not no_wait:
        version = _validated(session, version.version)
    return Outcome(version, lambda printer: _show(printer, version))


def _sent(session: Session, file: Path, name: str | None, resume: str | None) -> "DatasetVersion":
    try:
        with transferring(session, f"Uploading {file.name}") as progress:
            return session.client.datasets.upload(file, name=name, resume=resume, wait=False, progress=progress)
    except KeyboardInterrupt as stop:
        if not hasattr(stop, "__notes__"):
            stop.add_note("Nothing has been sent yet: run the same command again.")
        raise


def _validated(session: Session, version: str) -> "DatasetVersion":
    try:
        return session.client.datasets.wait(version)
    except KeyboardInterrupt as stop:
        stop.add_note(f"{version} is uploaded, and its validation goes on. See how it went: mlops data show {version}")
        raise


@GROUP.command(
    "list", is_list=True, examples=["data list", "data list --name flights --json", "data list --all -o csv"]
)
def list_versions(
    session: Session,
    name: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only this status.")] = None,
    limit: options.Limit = 20,
    everything: options.All = False,
) -> Outcome:
    """List dataset versions, newest first."""
    items = session.client.datasets.list(name=name, status=status, page_size=options.page_size(limit, everything))
    hint = "Upload one: mlops data upload FILE --name NAME"
    empty = options.nothing("No dataset", hint, name=name, status=status)
    return listing("datasets", items, _COLUMNS, limit=limit, everything=everything, empty=empty)


@GROUP.command("show", examples=["data show flights:2", "data show flights:latest --json"])
def show(session: Session, version: Version) -> Outcome:
    """Columns, types, violations and warnings of a version."""
    found = session.client.datasets.get(version)
    return Outcome(found, lambda printer: _show(printer, found))


@GROUP.command("profile", examples=["data profile flights:2"])
def profile(session: Session, version: Version) -> Outcome:
    """What is in each column."""
    found = session.client.datasets.profile(version)
    headings = ["column", "type", "missing", "distinct", "min", "median", "max", "most frequent"]

    def human(printer: Printer) -> None:
        printer.line(f"{found.rows} rows")
        printer.table(headings, [_profile_row(column, found.rows) for column in found.columns])

    return Outcome(found, human)


@GROUP.command("preview", examples=["data preview flights:2", "data preview flights:2 --rows 100"])
def preview(
    session: Session,
    version: Version,
    rows: Annotated[int, typer.Option(min=1, max=100, help="How many rows to print; --json has them all.")] = 10,
) -> Outcome:
    """The first rows, at most 100."""
    found = session.client.datasets.preview(version)
    return Outcome(found, lambda printer: printer.table(found.columns, map(_previewed, found.rows[:rows])))


@GROUP.command("diff", examples=["data diff flights:2", "data diff flights:3 flights:1 --json"])
def diff(
    session: Session,
    version: Version,
    other: Annotated[
        str | None, typer.Argument(help="An earlier one; default: the one before.", show_default=False)
    ] = None,
) -> Outcome:
    """What has changed: columns, types, missing cells, new categories, drift."""
    found = session.client.datasets.compare(version, other)
    return Outcome(found, lambda printer: show_difference(printer, found))


@GROUP.command("download", examples=["data download flights:2", "data download flights:2 --to flights.csv"])
def download(session: Session, version: Version, to: options.To = None, force: options.Force = False) -> Outcome:
    """Download the file as it was uploaded."""
    with transferring(session, f"Downloading {version}") as progress:
        path = session.client.datasets.download(version, to, overwrite=force, progress=progress)
    return Outcome({"version": version, "path": path}, lambda printer: printer.line(str(path)))


@GROUP.command("delete", examples=["data delete flights:2"])
def delete(session: Session, version: Version) -> Outcome:
    """Delete a version that no job was made from."""
    session.client.datasets.delete(version)
    session.say(f"{version}: deleted")
    return Outcome({"deleted": version})


def _show(printer: Printer, found: "DatasetVersion") -> None:
    printer.pairs(
        {
            "version": found.version,
            "status": found.status,
            "rows": found.rows,
            "size": size(found.size_bytes),
            "sha256": found.sha256,
            "contract": found.contract,
            "compared with": found.compared_with,
            "created": f"{moment(found.created_at)} by {found.created_by}",
        }
    )
    if found.columns:
        printer.line()
        rows = [[column.name, column.type, column.missing, column.distinct] for column in found.columns]
        printer.table(["column", "type", "missing", "distinct"], rows)
    for kind, findings in (("violation", found.quality.violations), ("warning", found.quality.warnings)):
        if findings:
            printer.line()
            printer.table([kind, "column", "row", "message"], [[f.code, f.column, f.row, f.message] for f in findings])


_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)T00:00:00(\.0+)?(Z|\+00:00)?")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.0+)?")


def _previewed(row: Sequence[object]) -> list[object]:
    return [_short(value) for value in row]


def _short(value: object) -> object:
    """Booleans as a table writes them; a datetime without its zeros: `2013-01-01`, `2013-01-01 05:15:00`."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return value
    day = _MIDNIGHT.fullmatch(value)
    return day[1] if day else _TIME.sub(r"\1 \2", value) if _TIME.match(value) else value


def _profile_row(column: "ColumnProfile", rows: int) -> list[object]:
    missing = f"{100 * column.missing / max(rows, 1):.1f} %"
    numbers = column.numeric
    if numbers is None:
        spread: list[object] = [_short(column.earliest), None, _short(column.latest)]
    else:
        spread = [numbers.min, numbers.quantiles.get("0.5"), numbers.max]
    top = ", ".join(f"{value} ({100 * count / max(rows, 1):.1f} %)" for value, count in _most_frequent(column))
    return [column.name, column.type, missing, column.distinct, *spread, top or None]


def _most_frequent(column: "ColumnProfile") -> list[tuple[str, int]]:
    """Three values with their counts; of numbers the fullest range of the histogram, or values where it has those."""
    if column.top_values or column.numeric is None:
        return [(value.value, value.count) for value in column.top_values[:3]]
    fullest = sorted(column.numeric.histogram, key=lambda bucket: -bucket.count)[:3]
    if all(bucket.lower == bucket.upper for bucket in fullest):
        return [(cell(bucket.lower), bucket.count) for bucket in fullest]
    return [(f"{cell(bucket.lower)} to {cell(bucket.upper)}", bucket.count) for bucket in fullest[:1]]
