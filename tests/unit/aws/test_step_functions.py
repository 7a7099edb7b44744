"""What only Step Functions does: names in use, pages of history, quotas, redrives."""

import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mlops_api.adapters.aws import step_functions
from mlops_api.adapters.aws.step_functions import StepFunctionsPipelines
from mlops_api.domain.errors import Conflict, NotFound, Unavailable
from mlops_api.domain.pipelines import ENDED, STEPS
from mlops_api.ports import PipelineState
from tests.support.aws import counting, throttled
from tests.support.emulators import Emulators
from tests.support.pipeline_adapters import Carried
from tests.support.pipeline_adapters import step_functions as scripted
from tests.support.state_machine import definition, with_shims

_REDRIVES = "$exists($states.context.Execution.RedriveCount) ? $states.context.Execution.RedriveCount : 0"


@pytest.fixture
def carried(tmp_path: Any, emulators: Emulators) -> Any:
    with scripted(tmp_path, emulators) as carried:
        yield carried


@pytest.fixture
def client(emulators: Emulators) -> Any:
    return emulators.ministack.clients.stepfunctions


@pytest.fixture
def name() -> str:
    return f"flights-{secrets.token_hex(4)}-v1"


def ended(carried: Carried, name: str) -> PipelineState:
    deadline = time.monotonic() + 40
    while (state := carried.runner.describe(name)).status not in ENDED:
        assert time.monotonic() < deadline, state
        time.sleep(0.05)
    return state


def test_a_hundred_starts_at_once_are_one_execution(carried: Carried, client: Any, name: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: carried.runner.start(name, {"number": number}), range(100)))
    assert ended(carried, name).status == "SUCCEEDED"
    assert carried.script.calls(name).count("prepare") == 1
    machine = carried.runner._machine  # type: ignore[attr-defined] # of this adapter
    pages = client.get_paginator("list_executions").paginate(stateMachineArn=machine)
    assert [each["name"] for page in pages for each in page["executions"]].count(name) == 1


def test_history_is_read_to_its_end(carried: Carried, client: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_functions, "_EVENTS_A_PAGE", 7)
    carried.runner.start(name, {})
    ended(carried, name)
    with counting(client) as calls:
        assert [step.name for step in carried.runner.describe(name).steps] == list(STEPS)
    assert calls["GetExecutionHistory"] > 3


@pytest.mark.parametrize("code", ["ThrottlingException", "ExecutionLimitExceeded"])
@pytest.mark.usefixtures("pauses")
def test_no_room_now_is_unavailable(carried: Carried, client: Any, name: str, code: str) -> None:
    with throttled(client, "StartExecution", 3, code):
        with pytest.raises(Unavailable, match=name):
            carried.runner.start(name, {})


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ExecutionNotRedrivable", Conflict),
        ("ExecutionDoesNotExist", NotFound),
        ("ExecutionLimitExceeded", Unavailable),
    ],
)
def test_what_cannot_be_redriven(carried: Carried, client: Any, name: str, code: str, error: type[Exception]) -> None:
    with throttled(client, "RedriveExecution", 1, code):
        with pytest.raises(error, match=name):
            carried.runner.retry(name)


def test_an_execution_that_waits_to_be_redriven_runs(carried: Carried, client: Any, name: str) -> None:
    """PENDING_REDRIVE is none of the platform's statuses."""
    assert step_functions._status({"status": "PENDING_REDRIVE"}) == "RUNNING"


def test_large_tables_are_validated_on_glue(carried: Carried, name: str) -> None:
    carried.script.write(name, prepare=[{"answer": {"job": "p", "engine": "glue", "request": {}}}])
    carried.runner.start(name, {})
    state = ended(carried, name)
    assert (state.status, [step.name for step in state.steps]) == ("SUCCEEDED", list(STEPS))
    assert state.steps[1].output == {"status": "Completed", "jobs": ["p"]}


def test_what_has_its_verdict_is_not_validated_again(carried: Carried, name: str) -> None:
    carried.script.write(name, prepare=[{"answer": {"job": "p", "engine": "none", "request": {}}}])
    carried.runner.start(name, {})
    state = ended(carried, name)
    assert (state.status, [step.name for step in state.steps]) == ("SUCCEEDED", list(STEPS))
    assert state.steps[1].output == {"status": "Completed", "jobs": ["p"]}


def test_a_failure_on_glue_is_that_of_the_step(carried: Carried, name: str) -> None:
    broken = {"task": "run", "execution": name}
    carried.script.write(
        name,
        prepare=[{"answer": {"job": "p", "engine": "glue", "request": broken}}],
        run=[{"raise": "OutOfMemory", "cause": "executor lost"}],
    )
    carried.runner.start(name, {})
    state = ended(carried, name)
    assert (state.status, state.error, state.cause) == ("FAILED", "OutOfMemory", "executor lost")
    assert [(step.name, step.status) for step in state.steps[1:]] == [
        ("Preprocess", "FAILED"),
        ("RecordFailure", "SUCCEEDED"),
    ]


@pytest.mark.parametrize("step", ["CheckQuality", "Train", "Register"])
def test_the_task_at_the_end_lets_a_redriven_execution_go_on(
    carried: Carried, emulators: Emulators, client: Any, name: str, step: str
) -> None:
    """The emulator has no RedriveExecution. What that does is to run the last task again with its input, counting
    redrives; so a machine that begins there, with the count of 1, does what comes behind it."""
    task = {"CheckQuality": "check_quality", "Train": "plan_training", "Register": "register"}[step]
    broken = {"answer": {"candidates": 7}} if step == "Train" else {"raise": "ZeroDivisionError"}
    carried.script.write(name, **{task: [broken]})
    carried.runner.start(name, {})
    assert ended(carried, name).status == "FAILED"
    left = last_input(client, carried, name)
    assert left["step"] == step
    again = f"{name}-again"
    if step == "Train":
        left["input"] = {"candidates": [{"job": "a"}]}
    state = ended(redriven(carried, emulators, client, again, left), again)
    assert state.status == "SUCCEEDED", state
    assert [found.name for found in state.steps] == list(STEPS[STEPS.index(step) :])


def last_input(client: Any, carried: Carried, name: str) -> dict[str, Any]:
    """Of the state Failed."""
    history = client.get_execution_history(executionArn=carried.runner._arn(name), maxResults=1000)  # type: ignore[attr-defined] # of this adapter
    entered = [each["stateEnteredEventDetails"] for each in history["events"] if "stateEnteredEventDetails" in each]
    [last] = [each for each in entered if each["name"] == "Failed"]
    found: dict[str, Any] = json.loads(last["input"])
    return found


def redriven(carried: Carried, emulators: Emulators, client: Any, name: str, given: dict[str, Any]) -> Carried:
    workflow, _ = emulators.scripted_workflow
    shims = dict.fromkeys(("createTrainingJob", "createProcessingJob", "startJobRun"), workflow.worker)
    machine = with_shims(definition(workflow.worker), shims) | {"StartAt": "Failed"}
    text = json.dumps(machine).replace(_REDRIVES, "1")
    role = client.describe_state_machine(stateMachineArn=workflow.arn)["roleArn"]
    arn = client.create_state_machine(name=name, definition=text, roleArn=role)["stateMachineArn"]
    runner = StepFunctionsPipelines(emulators.ministack.clients, arn)
    runner.start(name, given)
    return Carried(runner, carried.script)
