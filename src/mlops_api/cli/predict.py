"""`mlops predict`: score a few rows."""

import json
import sys
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from mlops_api.cli.command import Group
from mlops_api.cli.errors import UsageProblem
from mlops_api.cli.output import Outcome, Printer
from mlops_api.cli.session import Session

if TYPE_CHECKING:
    from mlops_api.domain.inference import Predictions


class _RowsAfterJson(TyperCommand):
    """`--json` alone chooses the output, as everywhere; followed by an object or a list it gives the rows."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, _rows_named(args))


def _rows_named(args: list[str]) -> list[str]:
    return [
        "--rows" if arg == "--json" and after.lstrip()[:1] in ("{", "[") else arg
        for arg, after in zip_longest(args, args[1:], fillvalue="")
    ]


def asks_for_json(args: list[str]) -> bool:
    """Whether a command line has the `--json` that chooses the output."""
    return "--json" in _rows_named(args)


def add_to(group: Group) -> None:
    group.command(
        "predict",
        cls=_RowsAfterJson,
        examples=[
            """predict flights --json '{"carrier": "UA", "distance": 1400}'""",
            "predict flights:3 --file rows.csv --json",
            "predict flights --stdin",
        ],
    )(predict)


def predict(
    session: Session,
    model: Annotated[str, typer.Argument(help="A model (its champion), alias or version.", show_default=False)],
    rows: Annotated[str | None, typer.Option("--rows", help="JSON: an object or a list. Also: --json '{...}'.")] = None,
    file: Annotated[Path | None, typer.Option(help="CSV with a header, JSON or JSON lines.")] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="The same, from standard input.")] = False,
) -> Outcome:
    """Score rows with the version that serves. Exit code 4 when a row is refused; it names row and column."""
    if sum([rows is not None, file is not None, stdin]) != 1:
        raise UsageProblem("Give the rows one way: --rows JSON, --file FILE or --stdin.")
    found = _score(session, model, _content(rows, file))
    return Outcome(found, lambda printer: _show(printer, found))


def _content(rows: str | None, file: Path | None) -> bytes:
    if rows is not None:
        return rows.encode()
    return _read(file) if file is not None else sys.stdin.buffer.read()


def _read(file: Path) -> bytes:
    from mlops_api.client.errors import Validation

    try:
        return file.read_bytes()
    except OSError as error:
        raise Validation(f"Cannot read {file}: {error.strerror or error}.") from error


def _score(session: Session, model: str, content: bytes) -> "Predictions":
    text = content.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] in (b"{", b"["):
        return session.client.inference.predict(model, _parsed(text))
    if not text:
        raise UsageProblem("There are no rows: the input is empty.")
    return session.client.inference.predict_csv(model, content)


def _parsed(text: bytes) -> Any:
    """An object, a list of objects, or one object a line."""
    try:
        return json.loads(text)
    except ValueError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        try:
            return [json.loads(line) for line in lines]
        except ValueError:
            raise UsageProblem(f"The rows are not JSON: {error}") from error


def _show(printer: Printer, found: "Predictions") -> None:
    printer.line(f"model version: {found.model_version}")
    names = list(dict.fromkeys(name for one in found.predictions for name in getattr(one, "probabilities", {})))
    headings = ["row", "label", *(f"P({name})" for name in names)] if names else ["row", "value"]
    printer.table(headings, [_row(number, one, names) for number, one in enumerate(found.predictions)])


def _row(number: int, one: Any, names: list[str]) -> list[Any]:
    if not names:
        return [number, one.value]
    return [number, one.label, *(one.probabilities.get(name) for name in names)]
