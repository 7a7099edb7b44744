"""The steps of an execution, from Step Functions' history of it.

    TaskStateEntered {name, input} -> TaskScheduled, TaskFailed, ... -> TaskStateExited {name, output} -> the next

The states of a step have its name, but for Preprocess, which has three: two engines, and nothing left to do. A step
whose error was caught is exited like any other; which one failed, and why, is what RecordFailure was given. A redriven
execution enters a step once more: it is shown as it went the last time, and its attempts go on counting.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from mlops_api.domain.pipelines import ENDED, ON_FAILURE, STEPS, ExecutionStatus, Step, plain_cause
from mlops_api.domain.times import rfc3339

Event = Mapping[str, Any]

_OF_STATE: Final[Mapping[str, str]] = {
    **{name: name for name in (*STEPS, ON_FAILURE)},
    "PreprocessOnGlue": "Preprocess",
    "AlreadyValidated": "Preprocess",
}
_HAS_ITEMS: Final = "Train"
"""Its candidates' tasks are in the history too, so that attempts cannot be counted by tasks."""


def steps_of(events: Iterable[Event], status: ExecutionStatus) -> Sequence[Step]:
    """In the order in which they were entered. `status`: the execution's."""
    steps: dict[str, Step] = {}
    current: str | None = None
    scheduled = 0
    for event in events:
        if (entered := event.get("stateEnteredEventDetails")) and entered["name"] in _OF_STATE:
            current, scheduled = _OF_STATE[entered["name"]], 0
            _enter(steps, current, event["timestamp"], _document(entered.get("input")))
        elif (exited := event.get("stateExitedEventDetails")) and _OF_STATE.get(exited["name"]) == current:
            if current is not None:
                steps[current] = _exited(steps[current], event["timestamp"], _document(exited.get("output")))
            current = None
        elif event["type"] == "TaskScheduled" and current not in (None, _HAS_ITEMS):
            scheduled += 1
            if scheduled > 1 and current is not None:
                steps[current] = _changed(steps[current], attempt=steps[current].attempt + 1)
    if current is not None and status in ENDED:
        steps[current] = _changed(steps[current], status=status)
    return list(steps.values())


def _enter(steps: dict[str, Step], name: str, at: datetime, given: dict[str, Any]) -> None:
    earlier = steps.pop(name, None)
    if name == ON_FAILURE:
        _blame(steps, given)
    else:
        steps.pop(ON_FAILURE, None)  # of the failure that a redrive has left behind
    attempt = earlier.attempt + 1 if earlier else 1
    steps[name] = Step(name=name, status="RUNNING", entered_at=rfc3339(at), input=given, attempt=attempt)


def _exited(step: Step, at: datetime, output: dict[str, Any]) -> Step:
    return _changed(step, status="SUCCEEDED", exited_at=rfc3339(at), output=output)


def _blame(steps: dict[str, Step], given: Mapping[str, Any]) -> None:
    """The step that RecordFailure was told of has failed."""
    name = _OF_STATE.get(given["step"])
    if name in steps:
        found = {"error": given["error"], "cause": plain_cause(given["cause"]), "output": None}
        steps[name] = _changed(steps[name], status="FAILED", **found)


def _changed(step: Step, **changes: Any) -> Step:
    return step.model_copy(update=changes)


def _document(text: str | None) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {"value": found}
