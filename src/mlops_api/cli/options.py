"""Options that several commands have, and how their values are read."""

import json
from typing import Annotated, Any

import typer

from mlops_api.cli.errors import UsageProblem

Limit = Annotated[int, typer.Option("--limit", min=1, help="How many to show.")]
All = Annotated[bool, typer.Option("--all", help="Show them all.")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="Kept in the version's history.")]
Wait = Annotated[bool, typer.Option("--wait", help="Until it has ended; exit code 1 when it did not end well.")]
To = Annotated[str | None, typer.Option("--to", help="File or folder; default: the current folder.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")]


def page_size(limit: int, everything: bool) -> int:
    """Ask for no more than is shown, and one to see whether there are more."""
    return 200 if everything else min(limit + 1, 200)


def nothing(none: str, hint: str, **filters: str | None) -> str:
    """`No dataset with status Ready.`; with no filter `No dataset yet.` and what to do about it."""
    given = " and ".join(f"{name} {value}" for name, value in filters.items() if value is not None)
    return f"{none} with {given}." if given else f"{none} yet. {hint}"


def parameters(pairs: list[str]) -> dict[str, Any]:
    """`max_depth=6` to {"max_depth": 6}: values are JSON, and what is no JSON is text. Raises UsageProblem."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not (name and separator):
            raise UsageProblem(f"--param {pair!r}: write name=value, such as --param max_depth=6")
        found[name] = json_or_text(text)
    return found


def json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
