"""The workflow as the local runner walks it: the states of infra/pipeline.asl.json, by the same names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops_api.domain.pipelines import ON_FAILURE, STEPS

JOB_ENDED = "Completed"
"""What a state that waits for jobs says in `status` once all have ended."""


@dataclass(frozen=True)
class State:
    """`task`: of services.tasks. `waits`: its output may say that jobs are under way; it is called again later."""

    name: str
    task: str
    waits: bool = False


STATES: Mapping[str, State] = {
    state.name: state
    for state in (
        State("Prepare", "prepare"),
        State("Preprocess", "preprocess", waits=True),
        State("CheckQuality", "check_quality"),
        State("PlanTraining", "plan_training"),
        State("Train", "train", waits=True),
        State("Evaluate", "evaluate"),
        State("Register", "register"),
        State("Notify", "notify"),
        State(ON_FAILURE, "record_failure"),
    )
}


def following(name: str | None, output: Mapping[str, Any] | None) -> str | None:
    """The state after `name` (None: the first one); None: the execution has ended well."""
    if name is None:
        return STEPS[0]
    if name == "CheckQuality" and not (output or {}).get("train"):
        return None
    place = STEPS.index(name) + 1
    return STEPS[place] if place < len(STEPS) else None
