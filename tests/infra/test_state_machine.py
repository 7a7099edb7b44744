"""infra/pipeline.asl.json: valid, bounded, and the workflow that the other mode walks too."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_type_hints

import pytest
from jsonata.jsonata import Jsonata
from statelint.linter import Linter

from mlops_api.adapters.local.pipeline_states import STATES, following
from mlops_api.domain import errors
from mlops_api.domain.pipelines import ON_FAILURE, STEPS
from mlops_api.ports import JobRequest
from mlops_api.services.tasks import Tasks
from tests.support.platform import World
from tests.support.state_machine import SOURCE, definition, is_sync, operation, states

MACHINE = definition()
ALL = dict(states(MACHINE))
TASKS = {name: state for name, state in ALL.items() if state["Type"] == "Task"}
INVOKE = "arn:aws:states:::lambda:invoke"
WITHOUT_CATCH = {
    "Failed": "its error is the execution's own",
    "SettleCandidate": "a candidate that cannot be looked at fails Train, which is caught",
}
LAMBDA_RETRIED = {
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
}


def payload(state: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = state["Arguments"]["Payload"]
    return found


def retried(state: Mapping[str, Any]) -> set[str]:
    return {error for retrier in state["Retry"] for error in retrier["ErrorEquals"]}


def expressions(value: Any) -> Iterator[str]:
    """Every JSONata expression of a document."""
    if isinstance(value, str) and value.startswith("{%"):
        yield value.removeprefix("{%").removesuffix("%}")
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from expressions(each)


# ---- valid


def test_the_language_allows_it() -> None:
    assert Linter.validate(json.dumps(MACHINE)) == []


def test_the_linter_sees_what_is_wrong() -> None:
    """And so does the test above."""
    broken = definition()
    broken["States"]["Register"]["Next"] = "Nowhere"
    broken["States"]["Train"].pop("ItemProcessor")
    assert len(Linter.validate(json.dumps(broken))) >= 2


def test_every_expression_can_be_parsed() -> None:
    found = list(expressions(MACHINE))
    assert len(found) > 50
    for expression in found:
        Jsonata(expression)


def test_nothing_but_the_worker_is_substituted() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", SOURCE.read_text())) == {"WorkerFunctionArn"}
    assert "${" not in json.dumps(MACHINE)


# ---- bounded


@pytest.mark.parametrize("name", TASKS)
def test_every_task_ends_is_tried_again_and_is_caught(name: str) -> None:
    state = TASKS[name]
    assert 0 < state["TimeoutSeconds"] <= MACHINE["TimeoutSeconds"]
    for retrier in state["Retry"]:
        assert retrier["BackoffRate"] > 1
        assert 0 < retrier["MaxAttempts"] <= 300
        assert retrier["MaxDelaySeconds"] <= 1800
        assert retrier["JitterStrategy"] == ("NONE" if retrier["ErrorEquals"] == ["StillRunning"] else "FULL")
    if name not in WITHOUT_CATCH:
        assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]


@pytest.mark.parametrize("name", [name for name, state in TASKS.items() if state["Resource"] == INVOKE])
def test_faults_of_lambda_and_what_passes_is_tried_again(name: str) -> None:
    found = retried(TASKS[name])
    assert found >= LAMBDA_RETRIED
    known = LAMBDA_RETRIED | {"Lambda.ClientExecutionTimeoutException", "Lambda.Unknown", "Sandbox.Timedout"}
    ours = found - known - {"States.Timeout"}
    assert all(issubclass(getattr(errors, error), errors.PlatformError) for error in ours)
    assert "Conflict" not in ours


def test_what_waits_for_a_job_that_was_there_waits_for_days() -> None:
    """The longest training job may run five days."""
    waiting = {name for name, state in TASKS.items() if "StillRunning" in retried(state)}
    assert waiting == {"CheckQuality", "SettleCandidate", "Evaluate"}
    for name in waiting:
        [retrier] = [each for each in TASKS[name]["Retry"] if each["ErrorEquals"] == ["StillRunning"]]
        pauses = [
            min(retrier["MaxDelaySeconds"], retrier["IntervalSeconds"] * retrier["BackoffRate"] ** number)
            for number in range(retrier["MaxAttempts"])
        ]
        assert sum(pauses) > 5 * 24 * 3600


def test_jobs_are_waited_for_by_step_functions_itself() -> None:
    """`.sync` is for Standard workflows only; docs/aws.md says that it is one."""
    found = {name: state["Resource"].removeprefix("arn:aws:states:::") for name, state in TASKS.items()}
    assert {name: resource for name, resource in found.items() if resource != "lambda:invoke"} == {
        "Preprocess": "sagemaker:createProcessingJob.sync",
        "PreprocessOnGlue": "glue:startJobRun.sync",
        "TrainCandidate": "sagemaker:createTrainingJob.sync",
    }


@pytest.mark.parametrize("name", [name for name, state in TASKS.items() if is_sync(state)])
def test_the_request_of_a_job_is_the_worker_s_alone(name: str) -> None:
    """Nothing of it is said a second time here."""
    assert TASKS[name]["Arguments"] == "{% $states.input.request %}"
    service = "Glue" if operation(TASKS[name]) == "startJobRun" else "SageMaker"
    assert {"ThrottlingException", f"{service}.ThrottlingException"} <= retried(TASKS[name])
    assert not any("ResourceInUse" in error for error in retried(TASKS[name])), "it would be met again"


# ---- the workflow


def walk(start: str | None, *, train: bool) -> list[str]:
    """The states of the way to success, choices left out."""
    way, name = [], start
    while name is not None:
        state = MACHINE["States"][name]
        if state["Type"] in ("Task", "Map"):
            way.append(name)
        name = _next(name, state, train)
    return way


def _next(name: str, state: Mapping[str, Any], train: bool) -> str | None:
    if state["Type"] != "Choice":
        following: str | None = state.get("Next")
        return following
    chosen = state["Choices"][0]["Next"] if name == "Recipe" and train else state["Default"]  # else the usual way
    return str(chosen)


@pytest.mark.parametrize("train", [True, False])
def test_both_modes_walk_the_same_way(train: bool) -> None:
    local = [following(None, None)]
    while local[-1] is not None:
        local.append(following(local[-1], {"train": train}))
    assert walk(MACHINE["StartAt"], train=train) == local[:-1]
    assert MACHINE["States"]["Succeeded"] == {"Type": "Succeed"}


def test_every_step_calls_the_task_that_the_local_runner_calls() -> None:
    """Where the state machine begins a job itself, the worker's part is done before and after."""
    called = {name: payload(state)["task"] for name, state in TASKS.items() if state["Resource"] == INVOKE}
    local = {name: state.task for name, state in STATES.items()}
    assert {name: called[name] for name in local.keys() & called.keys()} == {
        name: task for name, task in local.items() if name in called
    }
    assert local.keys() - called.keys() == {"Preprocess", "Train"}
    assert called.keys() - local.keys() == {"PrepareCandidate", "SettleCandidate", "Failed"}


def test_every_failure_is_recorded() -> None:
    for name in (*STEPS, "PreprocessOnGlue"):
        [caught] = MACHINE["States"][name]["Catch"]
        if name == "Preprocess":  # CheckQuality finds out what came of the job
            assert caught["Next"] == "CheckQuality"
            continue
        assert caught["Next"] == ON_FAILURE
        assert caught["Output"]["step"] == name
        assert caught["Output"].keys() == {"step", "error", "cause", "input"}
    assert MACHINE["States"][ON_FAILURE]["Next"] == "Failed"
    assert [each["Next"] for each in MACHINE["States"][ON_FAILURE]["Catch"]] == ["Failed"]


def test_a_redriven_execution_goes_on_at_the_step_that_failed() -> None:
    resume = MACHINE["States"]["Resume"]
    places = {re.findall(r"'(\w+)'", choice["Condition"])[0]: choice["Next"] for choice in resume["Choices"]}
    assert places == {name: name for name in (*STEPS[2:], "PreprocessOnGlue")}
    assert resume["Default"] == "Prepare"
    assert {choice["Output"] for choice in resume["Choices"]} == {"{% $states.input.input %}"}
    assert MACHINE["States"]["Failed"]["Next"] == "Resume"


def test_each_engine_has_its_state() -> None:
    choice = MACHINE["States"]["Engine"]
    ways = {re.findall(r"'(\w+)'", each["Condition"])[0]: each["Next"] for each in choice["Choices"]}
    assert ways | {"sagemaker": choice["Default"]} == {
        "sagemaker": "Preprocess",
        "glue": "PreprocessOnGlue",
        "none": "AlreadyValidated",
    }
    assert ways.keys() | {"sagemaker"} == set(get_args(get_type_hints(JobRequest)["engine"]))
    assert {MACHINE["States"][state]["Next"] for state in ways.values()} == {"CheckQuality"}


def test_a_candidate_never_fails_the_others() -> None:
    inner = MACHINE["States"]["Train"]["ItemProcessor"]
    assert inner["ProcessorConfig"] == {"Mode": "INLINE"}
    way = ["PrepareCandidate", "TrainCandidate", "SettleCandidate"]
    assert list(inner["States"]) == way
    for name in way[:2]:  # whatever comes of it is written as this candidate's end
        assert inner["States"][name]["Catch"][-1]["Next"] == "SettleCandidate"


def test_the_worker_knows_every_task(here: World) -> None:
    known = Tasks(here.platform)._tasks
    for state in TASKS.values():
        if state["Resource"] == INVOKE:
            given = payload(state)
            shape, _ = known[given["task"]]
            assert given.keys() - {"task"} <= shape.model_fields.keys()
            required = {name for name, field in shape.model_fields.items() if field.is_required()}
            assert required <= given.keys()
            assert given["execution"] == "{% $states.context.Execution.Name %}"
