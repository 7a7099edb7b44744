"""A command is a function of a Session that returns an Outcome; the options every command has are added here."""

import inspect
import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mlops_api.cli.errors import as_data, as_text, exit_code, is_expected
from mlops_api.cli.output import Format, Outcome, envelope
from mlops_api.cli.refusals import explained
from mlops_api.cli.session import Session

Handler = Callable[..., Outcome]
_PANEL = "Common options"


def _common(
    *,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print one JSON envelope, errors too.", rich_help_panel=_PANEL)
    ] = False,
    url: Annotated[str | None, typer.Option(help="The server (default: MLOPS_URL).", rich_help_panel=_PANEL)] = None,
    token: Annotated[str | None, typer.Option(help="Its token (default: MLOPS_TOKEN).", rich_help_panel=_PANEL)] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="A server's data folder (default: MLOPS_DATA_DIR, then ./mlops-data).", rich_help_panel=_PANEL
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only data and errors.", rich_help_panel=_PANEL)] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Tell each request, on stderr.", rich_help_panel=_PANEL)
    ] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="As NO_COLOR=1.", rich_help_panel=_PANEL)] = False,
) -> None:
    """Only its signature is used."""


def _for_lists(
    *, output: Annotated[Format, typer.Option("--output", "-o", help="How to print the list.")] = "table"
) -> None:
    """As _common, for commands that list."""


_COMMON = list(inspect.signature(_common, eval_str=True).parameters.values())
_WITHOUT_ADDRESS = [item for item in _COMMON if item.name not in ("url", "token")]
_FOR_LISTS = list(inspect.signature(_for_lists, eval_str=True).parameters.values())


class Group:
    """`mlops NAME`, with its commands; the nameless group is `mlops` itself. `data contract` is part of `data`."""

    def __init__(self, name: str, summary: str) -> None:
        self.name = name
        self.app = typer.Typer(name=name.rpartition(" ")[2] or None, help=summary, no_args_is_help=True)

    def command(
        self, name: str, *, examples: Sequence[str], is_list: bool = False, starts_server: bool = False, **options: Any
    ) -> Callable[[Handler], Handler]:
        """`examples` are command lines without the leading `mlops`; `starts_server`: no address of another is asked."""
        added = [*(_FOR_LISTS if is_list else []), *(_WITHOUT_ADDRESS if starts_server else _COMMON)]
        path = f"{self.name} {name}".strip()
        epilog = "\n\n".join(["Examples:", *(f"mlops {example}".replace("[", r"\[") for example in examples)])

        def register(function: Handler) -> Handler:
            self.app.command(name, epilog=epilog, **options)(_with_common(path, function, added))
            return function

        return register


def _with_common(path: str, function: Handler, added: list[inspect.Parameter]) -> Callable[..., None]:
    _, *own = inspect.signature(function, eval_str=True).parameters.values()
    parameters = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in (*own, *added)]

    def run(**values: Any) -> None:
        common = {item.name: values.pop(item.name) for item in added}
        code = execute(path, function, _session(common), values)
        if code:
            raise typer.Exit(code)

    run.__doc__ = function.__doc__
    run.__annotations__ = {item.name: item.annotation for item in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it, mypy knows none
    return run


def _session(common: dict[str, Any]) -> Session:
    json_output, output = common.pop("json_output"), common.pop("output", "table")
    return Session(format="json" if json_output else output, **common)


def execute(path: str, function: Handler, session: Session, values: dict[str, Any]) -> int:
    """Run a command, print what came of it, return its exit code."""
    if session.verbose:
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(name)s: %(message)s")
    try:
        outcome = function(session, **values)
        _print(path, session, outcome)
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - every failure has an exit code and, with --json, an envelope
        return _report(path, session, explained(session, error))
    finally:
        session.close()
    return outcome.exit_code


def _print(path: str, session: Session, outcome: Outcome) -> None:
    if outcome.printed:
        return
    if session.json:
        sys.stdout.write(envelope(path, data=outcome.data) + "\n")
    elif session.format == "csv" and outcome.csv is not None:
        sys.stdout.write(outcome.csv())
    else:
        outcome.human(session.printer)
    sys.stdout.flush()


def _report(path: str, session: Session, error: BaseException) -> int:
    if not is_expected(error):
        traceback.print_exception(error)
    if session.json:
        sys.stdout.write(envelope(path, error=as_data(error)) + "\n")
    else:
        sys.stderr.write(f"mlops {path}: {as_text(error)}\n")
    return exit_code(error)
