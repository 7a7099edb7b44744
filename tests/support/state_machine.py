"""infra/pipeline.asl.json for tests: with its substitutions made, and as the emulator can execute it."""

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "infra/pipeline.asl.json"
WORKER = "arn:aws:lambda:eu-central-1:123456789012:function:mlops-worker"
SYNC = "arn:aws:states:::"
Definition = dict[str, Any]


def definition(worker: str = WORKER) -> Definition:
    """As CloudFormation's DefinitionSubstitutions make it."""
    found: Definition = json.loads(SOURCE.read_text().replace("${WorkerFunctionArn}", worker))
    return found


def with_shims(machine: Definition, shims: Mapping[str, str]) -> Definition:
    """The Resource of each `.sync` state replaced by a Lambda function that does the same; see sync_shim.

    `shims`: the functions' addresses by operation, such as createTrainingJob.
    """
    changed = copy.deepcopy(machine)
    for _, state in states(changed):
        if is_sync(state):
            state["Resource"] = shims[operation(state)]
    return changed


def states(machine: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every state with its name, those inside a Map too."""
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def is_sync(state: Mapping[str, Any]) -> bool:
    return str(state.get("Resource", "")).endswith(".sync")


def operation(state: Mapping[str, Any]) -> str:
    return str(state["Resource"]).removesuffix(".sync").rsplit(":", 1)[1]
