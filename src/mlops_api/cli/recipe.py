"""`mlops data recipe`: how every new version of a dataset is trained."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlops_api.cli import options
from mlops_api.cli.command import Group
from mlops_api.cli.errors import UsageProblem
from mlops_api.cli.output import Outcome, Printer, moment
from mlops_api.cli.session import Session

if TYPE_CHECKING:
    from mlops_api.domain.pipelines import DatasetRecipe

GROUP = Group("data recipe", "How every new version of a dataset is trained, by itself.")
Name = Annotated[str, typer.Argument(help="The dataset, such as flights.", show_default=False)]
Revision = Annotated[
    int | None,
    typer.Option("--if-revision", min=0, help="Only if that is what was read (0: there was none)."),
]


@GROUP.command("show", examples=["data recipe show flights", "data recipe show flights --json"])
def show(session: Session, name: Name) -> Outcome:
    """The recipe of a dataset."""
    found = session.client.datasets.recipe(name)
    return Outcome(found, lambda printer: _show(printer, found))


@GROUP.command(
    "set",
    examples=[
        "data recipe set flights --target late --exclude date --exclude month",
        "data recipe set flights --target late --algorithm xgboost --search xgboost.max_depth=[4,6,8]",
        "data recipe set flights --target late --metric auc --margin 0.005 --auto-approve --deploy",
        "data recipe set flights --file recipe.json",
    ],
)
def set_recipe(
    session: Session,
    name: Name,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    algorithm: Annotated[list[str] | None, typer.Option(help="Repeat for more; default: all that suit.")] = None,
    model: Annotated[str | None, typer.Option(help="The model; default: the dataset's name.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="A column to leave out; repeat for more.")] = None,
    time_column: Annotated[str | None, typer.Option(help="Validate on the newest rows by this column.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="algorithm.name=value; repeat for more.")] = None,
    search: Annotated[list[str] | None, typer.Option(help="algorithm.name=[values]; each with each.")] = None,
    metric: Annotated[str | None, typer.Option(help="That candidates are judged by; default: the objective.")] = None,
    margin: Annotated[float, typer.Option(help="By how much the champion has to be beaten.")] = 0.0,
    auto_approve: Annotated[bool, typer.Option("--auto-approve", help="Approve the best that passes.")] = False,
    deploy: Annotated[bool, typer.Option("--deploy", help="With --auto-approve: deploy it too.")] = False,
    file: Annotated[str | None, typer.Option(help="All of it as JSON, as `show --json` has it; - for stdin.")] = None,
    if_revision: Revision = None,
) -> Outcome:
    """Set the recipe of a dataset. From then on each upload leads to candidates and their comparison."""
    if (file is None) == (target is None):
        raise UsageProblem("Give either --target, with what else there is to say, or --file.")
    gate = {"metric": metric, "margin": margin, "auto_approve": auto_approve, "deploy": deploy}
    said = {
        "target": target,
        "algorithms": algorithm or None,
        "model": model,
        "exclude": exclude or [],
        "time_column": time_column,
        "hyperparameters": _by_algorithm(param or [], "--param"),
        "search": _by_algorithm(search or [], "--search"),
        "gate": gate,
    }
    recipe = _read(file) if file is not None else said
    found = session.client.datasets.set_recipe(name, recipe, revision=if_revision)
    session.say(f"{name}: each new version is trained by this recipe. mlops pipelines list shows how it goes")
    return Outcome(found, lambda printer: _show(printer, found))


@GROUP.command("delete", examples=["data recipe delete flights"])
def delete(session: Session, name: Name, if_revision: Revision = None) -> Outcome:
    """New versions are validated only."""
    session.client.datasets.delete_recipe(name, revision=if_revision)
    session.say(f"{name}: new versions are validated only")
    return Outcome({"deleted": name})


def _by_algorithm(pairs: list[str], option: str) -> dict[str, dict[str, Any]]:
    """`xgboost.max_depth=6` to {"xgboost": {"max_depth": 6}}; values are JSON, and what is no JSON is text."""
    found: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        algorithm, dot, parameter = name.partition(".")
        if not (separator and dot and parameter):
            raise UsageProblem(f"{option} {pair!r}: write algorithm.name=value, such as xgboost.max_depth=6")
        found.setdefault(algorithm, {})[parameter] = options.json_or_text(text)
    return found


def _read(file: str) -> dict[str, Any]:
    """A recipe, or the answer of `show --json` that holds one."""
    try:
        content = json.loads(sys.stdin.read() if file == "-" else Path(file).read_text())
    except ValueError as error:
        raise UsageProblem(f"{file} holds no JSON: {error}.") from error
    if not isinstance(content, dict):
        raise UsageProblem(f'{file} holds no JSON object. Write one such as {{"target": "late"}}.')
    answer = content.get("data", content)
    recipe = answer.get("recipe", answer) if isinstance(answer, dict) else answer
    if not isinstance(recipe, dict):
        raise UsageProblem(f"{file} holds no recipe.")
    return recipe


def _show(printer: Printer, found: "DatasetRecipe") -> None:
    recipe = found.recipe
    gate = recipe.gate
    outcome = " and deploys" if gate.deploy else ""
    shown = {
        "dataset": found.dataset,
        "revision": found.revision,
        "target": recipe.target,
        "algorithms": recipe.algorithms or "all that suit the target",
        "model": recipe.model or found.dataset,
        "exclude": recipe.exclude or None,
        "time column": recipe.time_column,
        "hyperparameters": json.dumps(recipe.hyperparameters) if recipe.hyperparameters else None,
        "search": json.dumps(recipe.search) if recipe.search else None,
        "gate": f"{gate.metric or 'the objective'}, better by {gate.margin:g}",
        "approval": f"approves{outcome} what passes" if gate.auto_approve else "a person's",
        "set": f"{moment(found.updated_at)} by {found.updated_by}",
    }
    printer.pairs({name: value for name, value in shown.items() if value is not None})
