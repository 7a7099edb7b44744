"""What ports.PipelineRunner promises, on every adapter. What the steps do is written in scripts."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_api.domain.errors import Conflict, NotFound
from mlops_api.domain.pipelines import ENDED, STEPS
from mlops_api.domain.times import parse_rfc3339, utc_now
from mlops_api.ports import PipelineState
from tests.support.emulators import Emulators
from tests.support.local_storage import wait_for
from tests.support.pipeline_adapters import PIPELINE_RUNNERS, Carried

EMULATOR_GAPS = {
    ("step_functions", "test_a_retry_goes_on_at_the_step_that_failed"): "ministack has no RedriveExecution",
    ("step_functions", "test_a_retry_goes_on_at_the_step_that_was_left"): "ministack has no RedriveExecution",
    ("step_functions", "test_only_what_ended_badly_can_be_retried"): "ministack has no RedriveExecution",
}
CALLED = ["prepare", "check_quality", "plan_training", "evaluate", "register", "notify"]
"""What both adapters call of the way to success."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("carried", [_param(name, metafunc) for name in sorted(PIPELINE_RUNNERS)], indirect=True)


def _param(adapter: str, metafunc: pytest.Metafunc) -> object:
    gap = EMULATOR_GAPS.get((adapter, metafunc.function.__name__))
    return pytest.param(adapter, marks=[pytest.mark.xfail(reason=gap, strict=True)] if gap else [])


@pytest.fixture
def carried(request: pytest.FixtureRequest, tmp_path: Path, emulators: Emulators) -> Iterator[Carried]:
    with PIPELINE_RUNNERS[request.param](tmp_path, emulators) as carried:
        yield carried


@pytest.fixture
def name() -> str:
    return f"flights-{secrets.token_hex(4)}-v1"


def start(carried: Carried, name: str) -> None:
    carried.runner.start(name, {"execution": name, "dataset": "flights:1"})


def ended(carried: Carried, name: str) -> PipelineState:
    deadline = time.monotonic() + 40
    while (state := carried.runner.describe(name)).status not in ENDED:
        assert time.monotonic() < deadline, state
        time.sleep(0.02)
    return state


def run(carried: Carried, name: str, **script: list[dict[str, object]]) -> PipelineState:
    carried.script.write(name, **script)
    start(carried, name)
    return ended(carried, name)


def statuses(state: PipelineState) -> dict[str, str]:
    return {step.name: step.status for step in state.steps}


def reached(carried: Carried, name: str, step: str) -> None:
    wait_for(lambda: [each.name for each in carried.runner.describe(name).steps][-1:] == [step], 20)


# ---- the way to success


def test_every_step_once_and_in_order(carried: Carried, name: str) -> None:
    begun = utc_now()
    state = run(carried, name)
    assert (state.status, state.error, state.cause) == ("SUCCEEDED", None, None)
    assert [step.name for step in state.steps] == list(STEPS)
    assert {(step.status, step.attempt, step.error) for step in state.steps} == {("SUCCEEDED", 1, None)}
    assert carried.script.calls(name) == CALLED
    moments = [moment for step in state.steps for moment in (step.entered_at, step.exited_at)]
    assert moments == sorted(str(moment) for moment in moments)
    assert abs((parse_rfc3339(state.started_at) - begun).total_seconds()) < 5
    assert state.ended_at is not None
    assert state.ended_at >= str(moments[-1])


def test_steps_have_what_went_in_and_what_came_out(carried: Carried, name: str) -> None:
    steps = {step.name: step for step in run(carried, name).steps}
    assert steps["Prepare"].input == {"execution": name, "dataset": "flights:1"}
    assert steps["Preprocess"].output == {"status": "Completed", "jobs": ["p"]}
    assert steps["CheckQuality"].output == {"rows": 3, "train": True}
    assert steps["Train"].output == {"status": "Completed", "jobs": [], "candidates": [{"job": "a"}, {"job": "b"}]}
    assert steps["Evaluate"].output == {"model_version": "flights:1"}


def test_without_a_recipe_it_ends_behind_the_verdict(carried: Carried, name: str) -> None:
    state = run(carried, name, check_quality=[{"answer": {"rows": 3, "train": False}}])
    assert (state.status, [step.name for step in state.steps]) == ("SUCCEEDED", list(STEPS[:3]))
    assert carried.script.calls(name) == CALLED[:2]


def test_an_end_is_told(carried: Carried, name: str) -> None:
    run(carried, name)
    wait_for(lambda: "SUCCEEDED" in carried.script.events(name))


# ---- names


def test_start_is_idempotent_by_name(carried: Carried, name: str) -> None:
    carried.script.write(name, evaluate=[{"wait_for": f"{name}.go"}])
    start(carried, name)
    reached(carried, name, "Evaluate")
    start(carried, name)
    carried.script.release(f"{name}.go")
    first = ended(carried, name)
    carried.runner.start(name, {"execution": name, "dataset": "flights:2"})
    assert carried.runner.describe(name) == first
    assert carried.script.calls(name) == CALLED


def test_what_was_never_started_is_not_found(carried: Carried, name: str) -> None:
    for ask in (carried.runner.describe, lambda unknown: carried.runner.stop(unknown, "because")):
        with pytest.raises(NotFound):
            ask(name)


# ---- failures


def test_a_failure_is_recorded_and_ends_it(carried: Carried, name: str) -> None:
    state = run(carried, name, check_quality=[{"raise": "DatasetRejected", "cause": "ragged_row at row 7: é"}])
    assert (state.status, state.error, state.cause) == ("FAILED", "DatasetRejected", "ragged_row at row 7: é")
    assert statuses(state) == {
        "Prepare": "SUCCEEDED",
        "Preprocess": "SUCCEEDED",
        "CheckQuality": "FAILED",
        "RecordFailure": "SUCCEEDED",
    }
    failed = state.steps[2]
    assert (failed.error, failed.cause, failed.output) == ("DatasetRejected", "ragged_row at row 7: é", None)
    assert carried.script.calls(name) == ["prepare", "check_quality", "record_failure"]
    wait_for(lambda: "FAILED" in carried.script.events(name))


def test_an_error_of_any_name_ends_it(carried: Carried, name: str) -> None:
    state = run(carried, name, register=[{"raise": "ZeroDivisionError", "cause": "division by zero"}])
    assert (state.status, state.error, state.cause) == ("FAILED", "ZeroDivisionError", "division by zero")
    assert statuses(state)["Register"] == "FAILED"
    assert "Notify" not in statuses(state)


def test_it_ends_too_when_the_failure_cannot_be_recorded(carried: Carried, name: str) -> None:
    broken = [{"raise": "ZeroDivisionError"}]
    state = run(carried, name, evaluate=[{"raise": "NoCandidate", "cause": "all failed"}], record_failure=broken)
    assert (state.status, state.error, state.cause) == ("FAILED", "NoCandidate", "all failed")


@pytest.mark.parametrize("error", ["Unavailable", "StillRunning"])
def test_what_passes_is_tried_again(carried: Carried, name: str, error: str) -> None:
    state = run(carried, name, check_quality=[{"raise": error}, {"raise": error}])
    assert state.status == "SUCCEEDED"
    assert [(step.name, step.attempt) for step in state.steps if step.attempt > 1] == [("CheckQuality", 3)]
    assert carried.script.calls(name).count("check_quality") == 3
    assert carried.script.calls(name).count("prepare") == 1


# ---- stopping


def test_stop(carried: Carried, name: str) -> None:
    carried.script.write(name, evaluate=[{"wait_for": f"{name}.go"}])
    start(carried, name)
    reached(carried, name, "Evaluate")
    carried.runner.stop(name, "Stopped by ann.")
    carried.script.release(f"{name}.go")
    state = ended(carried, name)
    assert (state.status, state.cause) == ("ABORTED", "Stopped by ann.")
    assert state.ended_at is not None
    time.sleep(0.5)  # in which nothing more may happen
    assert [step.name for step in carried.runner.describe(name).steps] == list(STEPS[:6])
    assert carried.script.calls(name) == CALLED[:4]
    carried.runner.stop(name, "again")
    assert carried.runner.describe(name).cause == "Stopped by ann."
    wait_for(lambda: "ABORTED" in carried.script.events(name))


def test_stopping_what_has_ended_is_no_error(carried: Carried, name: str) -> None:
    run(carried, name)
    carried.runner.stop(name, "too late")
    assert carried.runner.describe(name).status == "SUCCEEDED"


# ---- retrying


def test_a_retry_goes_on_at_the_step_that_failed(carried: Carried, name: str) -> None:
    assert run(carried, name, evaluate=[{"raise": "ZeroDivisionError"}]).status == "FAILED"
    carried.runner.retry(name)
    state = ended(carried, name)
    assert (state.status, state.error) == ("SUCCEEDED", None)
    assert statuses(state) == dict.fromkeys(STEPS, "SUCCEEDED")
    assert {step.name: step.attempt for step in state.steps}["Evaluate"] == 2
    assert [task for task in carried.script.calls(name) if task != "record_failure"] == [
        "prepare", "check_quality", "plan_training", "evaluate", "evaluate", "register", "notify",
    ]  # fmt: skip


def test_a_retry_goes_on_at_the_step_that_was_left(carried: Carried, name: str) -> None:
    carried.script.write(name, register=[{"wait_for": f"{name}.go"}])
    start(carried, name)
    reached(carried, name, "Register")
    carried.runner.stop(name, "Stopped by ann.")
    carried.script.release(f"{name}.go")
    ended(carried, name)
    carried.runner.retry(name)
    assert ended(carried, name).status == "SUCCEEDED"
    assert carried.script.calls(name).count("evaluate") == 1


def test_only_what_ended_badly_can_be_retried(carried: Carried, name: str) -> None:
    with pytest.raises(NotFound):
        carried.runner.retry(name)
    run(carried, name)
    with pytest.raises(Conflict):
        carried.runner.retry(name)
