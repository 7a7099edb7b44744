"""From Step Functions' history to steps: as AWS writes it, with the states of candidates and of redrives."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mlops_api.adapters.aws.execution_history import Event, steps_of
from mlops_api.domain.pipelines import STEPS, Step

BEGUN = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


class History:
    """Events, a second apart."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, kind: str, **details: Any) -> None:
        moment = BEGUN + timedelta(seconds=len(self.events))
        self.events.append({"id": len(self.events) + 1, "type": kind, "timestamp": moment, **details})

    def enter(self, name: str, given: Any = None, kind: str = "Task") -> None:
        self.add(f"{kind}StateEntered", stateEnteredEventDetails={"name": name, "input": json.dumps(given or {})})

    def leave(self, name: str, output: Any = None, kind: str = "Task") -> None:
        self.add(f"{kind}StateExited", stateExitedEventDetails={"name": name, "output": json.dumps(output or {})})

    def attempt(self, *, fails: bool = False) -> None:
        self.add("TaskScheduled", taskScheduledEventDetails={"resourceType": "lambda", "resource": "invoke"})
        self.add("TaskStarted", taskStartedEventDetails={"resourceType": "lambda", "resource": "invoke"})
        self.add("TaskFailed" if fails else "TaskSucceeded")

    def step(self, name: str, output: Any = None) -> None:
        self.enter(name)
        self.attempt()
        self.leave(name, output)

    def fail(self, name: str, error: str, cause: str) -> None:
        """As the state machine does it: caught, recorded, and raised by the task at the end."""
        caught = {"step": name, "error": error, "cause": cause, "input": {}}
        self.enter(name)
        self.attempt(fails=True)
        self.leave(name, caught)
        self.enter("RecordFailure", caught)
        self.attempt()
        self.leave("RecordFailure", caught)
        self.enter("Failed", caught)
        self.attempt(fails=True)
        self.add("ExecutionFailed")


def brief(steps: Sequence[Step]) -> list[tuple[str, str, int]]:
    return [(step.name, step.status, step.attempt) for step in steps]


def test_nothing_yet() -> None:
    assert steps_of([], "RUNNING") == []


def test_choices_and_the_states_of_candidates_are_no_steps() -> None:
    history = History()
    history.step("Prepare")
    history.enter("Engine", kind="Choice")
    history.leave("Engine", kind="Choice")
    history.step("Preprocess")
    history.step("CheckQuality", {"train": True})
    history.step("PlanTraining")
    history.enter("Train", {"candidates": [1, 2]}, kind="Map")
    for name in ("PrepareCandidate", "TrainCandidate", "SettleCandidate"):
        for _ in range(2):
            history.enter(name)
            history.attempt()
            history.leave(name)
    history.leave("Train", {"candidates": []}, kind="Map")
    history.enter("Evaluate")
    history.attempt(fails=True)
    history.attempt()
    found = steps_of(history.events, "RUNNING")
    assert brief(found) == [*((name, "SUCCEEDED", 1) for name in STEPS[:5]), ("Evaluate", "RUNNING", 2)]
    assert found[4].input == {"candidates": [1, 2]}
    assert (found[0].entered_at, found[0].exited_at) == ("2026-11-25T12:00:00.000000Z", "2026-11-25T12:00:04.000000Z")


def test_validation_on_glue_is_the_same_step() -> None:
    history = History()
    history.step("Prepare")
    history.fail("PreprocessOnGlue", "States.TaskFailed", '{"JobRunState": "FAILED", "ErrorMessage": "out of memory"}')
    found = steps_of(history.events, "FAILED")
    assert brief(found) == [("Prepare", "SUCCEEDED", 1), ("Preprocess", "FAILED", 1), ("RecordFailure", "SUCCEEDED", 1)]
    assert "out of memory" in str(found[1].cause)


def test_the_cause_is_what_the_function_said() -> None:
    history = History()
    told = json.dumps({"errorMessage": "ragged_row at row 3", "errorType": "DatasetRejected", "stackTrace": ["..."]})
    history.fail("CheckQuality", "DatasetRejected", told)
    [step, _] = steps_of(history.events, "FAILED")
    assert (step.status, step.error, step.cause, step.output) == (
        "FAILED", "DatasetRejected", "ragged_row at row 3", None,
    )  # fmt: skip


def test_a_step_that_was_left_has_the_execution_s_status() -> None:
    history = History()
    history.step("Prepare")
    history.enter("Preprocess")
    history.attempt()
    for status in ("ABORTED", "TIMED_OUT", "FAILED"):
        assert steps_of(history.events, status)[-1].status == status  # type: ignore[arg-type] # of a list
    assert steps_of(history.events, "RUNNING")[-1].status == "RUNNING"


def test_a_redriven_execution_shows_how_it_went_the_last_time() -> None:
    history = History()
    history.step("Prepare")
    history.step("Preprocess")
    history.fail("CheckQuality", "Unavailable", "busy")
    history.add("ExecutionRedriven")
    history.attempt()
    history.leave("Failed")
    history.enter("Resume", kind="Choice")
    history.leave("Resume", kind="Choice")
    history.step("CheckQuality", {"train": False})
    assert brief(steps_of(history.events, "SUCCEEDED")) == [
        ("Prepare", "SUCCEEDED", 1),
        ("Preprocess", "SUCCEEDED", 1),
        ("CheckQuality", "SUCCEEDED", 2),
    ]
