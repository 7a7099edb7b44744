"""`mlops`: the command line, a thin layer over the client.

Light until a command runs: `mlops --help` imports neither the client nor the server.
"""

import os
import sys
from functools import cache
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from mlops_api.cli import (
    batch,
    contract,
    data,
    doctor,
    endpoints,
    models,
    monitor,
    pipelines,
    predict,
    recipe,
    server,
    stats,
    train,
)
from mlops_api.cli.command import Group
from mlops_api.cli.errors import EXIT_CODES, FAILURE, USAGE
from mlops_api.cli.output import envelope

ROOT = Group("", "Train, register, approve, serve and watch models: on this machine or on AWS.")
data.GROUP.app.add_typer(contract.GROUP.app)
data.GROUP.app.add_typer(recipe.GROUP.app)
for group in (data.GROUP, pipelines.GROUP, train.GROUP, models.GROUP, batch.GROUP, endpoints.GROUP, monitor.GROUP):
    ROOT.app.add_typer(group.app)
for module in (server, predict, stats, doctor):
    module.add_to(ROOT)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"mlops {version('mlops-api')}\n")
        raise typer.Exit


_EPILOG = "\n\n".join(["Exit codes:", *(f"{code}  {meaning}" for code, meaning in EXIT_CODES)])


@ROOT.app.callback(epilog=_EPILOG)
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Train, register, approve, serve and watch models: on this machine or on AWS.

    Start with `mlops demo`, or `mlops up` and then `mlops data upload FILE`. Every command takes --json.
    """


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line, without the leading `mlops`, and return its exit code."""
    try:
        return _invoke(arguments)
    except BrokenPipeError:
        # The reader went away, as `mlops data list | head` does: nothing is left to say, nor anybody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE


def _invoke(arguments: list[str]) -> int:
    command = tree()
    arguments = _common_last(arguments)
    if not predict.asks_for_json(arguments):
        try:
            command.main(arguments, prog_name="mlops")
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else FAILURE
        return 0
    try:
        code = command.main(arguments, prog_name="mlops", standalone_mode=False)
    except TyperException as error:
        problem = {"code": "usage", "message": error.format_message(), "exit_code": USAGE}
        sys.stdout.write(envelope(_named(arguments), error=problem) + "\n")
        return USAGE
    return code if isinstance(code, int) else 0


@cache
def tree() -> Any:
    return typer.main.get_command(ROOT.app)


_FLAGS = frozenset({"--json", "-q", "--quiet", "-v", "--verbose", "--no-color"})
_VALUED = frozenset({"--url", "--token", "--data-dir", "-o", "--output"})


def _common_last(arguments: list[str]) -> list[str]:
    """`mlops --json data list` as `mlops data list --json`: the commands have these options, `mlops` has none."""
    count = 0
    while count < len(arguments) and (word := arguments[count]).partition("=")[0] in _FLAGS | _VALUED:
        count += 2 if word in _VALUED else 1
    common, rest = arguments[:count], arguments[count:]
    end = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:end], *common, *rest[end:]]


def _named(arguments: list[str]) -> str:
    """The command that a command line names, as far as it names one."""
    command, words = tree(), list[str]()
    for word in arguments:
        if word.startswith("-") or not hasattr(command, "commands"):
            break
        words.append(word)
        command = command.commands.get(word)
    return " ".join(words)
