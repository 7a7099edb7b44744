"""Every command, none forgotten: --json gives one envelope, people get text, errors keep to the same rules."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlops_api.cli.main import tree
from tests.support.canned_api import CannedApi

COMMANDS = {
    "data upload": ["data", "upload", "flights.csv"],
    "data list": ["data", "list"],
    "data show": ["data", "show", "flights:1"],
    "data profile": ["data", "profile", "flights:1"],
    "data preview": ["data", "preview", "flights:1"],
    "data diff": ["data", "diff", "flights:2"],
    "data download": ["data", "download", "flights:1", "--force"],
    "data delete": ["data", "delete", "flights:1"],
    "data contract show": ["data", "contract", "show", "flights"],
    "data contract suggest": ["data", "contract", "suggest", "flights:1"],
    "data contract set": ["data", "contract", "set", "flights", "contract.json"],
    "data contract delete": ["data", "contract", "delete", "flights"],
    "data recipe show": ["data", "recipe", "show", "flights"],
    "data recipe set": ["data", "recipe", "set", "flights", "--target", "late", "--search", "xgboost.max_depth=[4, 6]"],
    "data recipe delete": ["data", "recipe", "delete", "flights"],
    "pipelines list": ["pipelines", "list"],
    "pipelines show": ["pipelines", "show", "flights-v1"],
    "pipelines start": ["pipelines", "start", "flights:1", "--wait"],
    "pipelines watch": ["pipelines", "watch", "flights-v1"],
    "pipelines stop": ["pipelines", "stop", "flights-v1"],
    "pipelines retry": ["pipelines", "retry", "flights-v1"],
    "train start": ["train", "start", "--dataset", "flights:1", "--target", "late", "--algorithm", "xgboost", "--wait"],
    "train list": ["train", "list"],
    "train show": ["train", "show", "job-1"],
    "train logs": ["train", "logs", "-f", "job-1"],
    "train metrics": ["train", "metrics", "job-1"],
    "train stop": ["train", "stop", "job-1"],
    "train algorithms": ["train", "algorithms"],
    "train compare": ["train", "compare", "job-1", "job-2"],
    "models list": ["models", "list"],
    "models show": ["models", "show", "flights:1"],
    "models evaluation": ["models", "evaluation", "flights:1"],
    "models card": ["models", "card", "flights:1"],
    "models lineage": ["models", "lineage", "flights:1"],
    "models diff": ["models", "diff", "flights:1", "flights:2"],
    "models approve": ["models", "approve", "flights:1", "--deploy", "--wait"],
    "models reject": ["models", "reject", "flights:1", "-m", "leaks"],
    "models alias": ["models", "alias", "flights", "challenger", "flights:1"],
    "models rollback": ["models", "rollback", "flights"],
    "models download": ["models", "download", "flights:1"],
    "predict": ["predict", "flights", "--rows", '{"carrier": "UA"}'],
    "batch start": ["batch", "start", "flights", "--input", "flights:1", "--wait"],
    "batch list": ["batch", "list"],
    "batch show": ["batch", "show", "job-1"],
    "batch results": ["batch", "results", "job-1"],
    "batch stop": ["batch", "stop", "job-1"],
    "endpoints list": ["endpoints", "list"],
    "endpoints show": ["endpoints", "show", "flights"],
    "endpoints put": ["endpoints", "put", "flights", "--variant", "flights:1", "--wait"],
    "endpoints delete": ["endpoints", "delete", "flights"],
    "monitor alarms": ["monitor", "alarms"],
    "monitor alerts": ["monitor", "alerts", "--delivery", "Failed"],
    "monitor series": ["monitor", "series", "DatasetRows", "--of", "dataset=flights"],
    "stats": ["stats"],
    "doctor": ["doctor"],
}
"""A command line that succeeds, for each."""

STARTS_A_SERVER = {"up", "demo"}
"""These have a test of their own, with a real server."""


def paths(command: Any, prefix: str = "") -> set[str]:
    children = getattr(command, "commands", None)
    if children is None:
        return {prefix.strip()}
    return {path for name, child in children.items() for path in paths(child, f"{prefix} {name}")}


def find(path: str) -> Any:
    command = tree()
    for name in path.split():
        command = command.commands[name]
    return command


@pytest.fixture(autouse=True)
def table(api: CannedApi, tmp_path: Path) -> None:
    (tmp_path / "flights.csv").write_text("a,b\n1,2\n")
    (tmp_path / "contract.json").write_text('{"min_rows": 1}')


def test_no_command_is_forgotten() -> None:
    assert paths(tree()) == COMMANDS.keys() | STARTS_A_SERVER


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_json_is_one_envelope_and_nothing_else(path, mlops) -> None:
    code, out, err = mlops(*COMMANDS[path], "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer.keys() == {"schema_version", "command", "data"}
    assert (answer["schema_version"], answer["command"]) == (1, path)
    assert answer["data"]


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_people_get_text_without_escape_codes_off_a_terminal(path, mlops) -> None:
    code, out, err = mlops(*COMMANDS[path])
    assert code == 0
    assert out + err
    assert "\x1b" not in out + err
    assert not out.lstrip().startswith("{")


@pytest.mark.parametrize("path", sorted(COMMANDS.keys() - {"doctor"}))
def test_a_failure_is_an_envelope_too(path, mlops, api: CannedApi) -> None:
    api.on("GET", ".*", (404, {"detail": "gone", "request_id": "r-1"}))
    for method in ("POST", "PUT", "DELETE"):
        api.on(method, ".*", (404, {"detail": "gone", "request_id": "r-1"}))
    code, out, err = mlops(*COMMANDS[path], "--json")
    assert (code, err) == (3, "")
    answer = json.loads(out)
    assert answer.keys() == {"schema_version", "command", "error"}
    assert answer["command"] == path
    assert answer["error"]["message"] == "gone"
    assert answer["error"]["exit_code"] == 3
    assert answer["error"]["request_id"] == "r-1"


@pytest.mark.parametrize("path", sorted(COMMANDS.keys() | STARTS_A_SERVER))
def test_help_has_examples_and_the_common_options(path, mlops) -> None:
    code, out, _ = mlops(*path.split(), "--help")
    assert code == 0
    assert "Examples:" in out
    assert f"mlops {path}" in out
    for option in ("--json", "--data-dir", "--quiet", "--verbose", "--no-color"):
        assert option in out
    for option in ("--url", "--token"):
        assert (option in out) == (path not in STARTS_A_SERVER)


@pytest.mark.parametrize("path", sorted(COMMANDS.keys() | STARTS_A_SERVER))
def test_examples_in_the_help_are_valid_command_lines(path) -> None:
    """Each parses to the end: its options exist and nothing required is missing."""
    import shlex

    command = find(path)
    examples = [line for line in command.epilog.split("\n\n") if line.startswith("mlops ")]
    assert examples
    for example in examples:
        words = shlex.split(example.replace(r"\[", "["))[1:]
        own = words[len(path.split()) :]
        assert words[: len(path.split())] == path.split()
        with command.make_context(path, own):
            pass
