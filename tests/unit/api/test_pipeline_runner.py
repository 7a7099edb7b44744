"""What only the local PipelineRunner does: it waits without a thread, and whatever kills it, it goes on at the step."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlops_api.adapters.local.pipeline import AtOnce, LocalPipelineRunner
from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.adapters.local.watcher import Watcher
from mlops_api.domain.errors import Unavailable
from mlops_api.domain.pipelines import ENDED, STEPS
from mlops_api.domain.times import utc_now
from mlops_api.ports import PipelineState, Record
from tests.support.local_storage import wait_for
from tests.support.pipeline_script import GOOD, Script
from tests.support.platform import TestClock

NAME = "flights-v1"
INPUT = {"execution": NAME, "dataset": "flights:1"}
WAITING = {"status": "InProgress", "jobs": ["t1"]}


class Machine:
    def __init__(self, records: SqliteRecords, workers: Watcher) -> None:
        self.script = Script()
        self.events: list[Mapping[str, Any]] = []
        self.runner = LocalPipelineRunner(records, workers, utc_now, seconds=3600)
        self.runner.attach(self.script, self.events.append)

    def start(self, name: str = NAME) -> None:
        self.runner.start(name, INPUT | {"execution": name})

    def run(self, name: str = NAME) -> PipelineState:
        self.start(name)
        return self.ended(name)

    def ended(self, name: str = NAME) -> PipelineState:
        wait_for(lambda: self.runner.describe(name).status in ENDED)
        return self.runner.describe(name)

    def reached(self, step: str, name: str = NAME) -> None:
        wait_for(lambda: [each.name for each in self.runner.describe(name).steps][-1:] == [step])

    def job_ended(self, job: str) -> None:
        self.runner.on_event({"detail": {"TrainingJobName": job}})


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with closing(SqliteRecords(tmp_path / "records.sqlite3")) as records, closing(Watcher("pipelines")) as workers:
        yield Machine(records, workers)


# ---- waiting


def test_it_waits_for_jobs_and_goes_on_when_they_end(machine: Machine) -> None:
    machine.script.on("train", {"status": "InProgress", "jobs": ["t1", "t2"]})
    machine.start()
    machine.reached("Train")
    machine.script.on("train", {"status": "InProgress", "jobs": ["t2"]}, GOOD["train"])
    machine.job_ended("t1")
    wait_for(lambda: machine.script.counts()["train"] >= 2)
    machine.job_ended("t2")
    assert machine.ended().status == "SUCCEEDED"


def test_a_job_that_ends_while_it_is_looked_at_is_not_missed(machine: Machine) -> None:
    def ends_meanwhile(event: Mapping[str, Any]) -> dict[str, Any]:
        machine.job_ended("t1")  # before anybody is known to wait for it
        return WAITING

    machine.script.on("train", ends_meanwhile, GOOD["train"])
    assert machine.run().status == "SUCCEEDED"


def test_events_of_other_jobs_wake_nobody(machine: Machine) -> None:
    machine.script.on("train", WAITING)
    machine.start()
    wait_for(lambda: machine.script.counts()["train"] == 1)
    for number in range(50):
        machine.job_ended(f"other-{number}")
    machine.script.on("train", GOOD["train"])
    machine.run("flights-v2")
    assert machine.script.counts()["train"] == 1


def test_those_that_wait_hold_up_no_other_and_take_no_thread(machine: Machine) -> None:
    machine.script.on("train", lambda event: WAITING if "stuck" in event["execution"] else GOOD["train"])
    before = threading.active_count()
    stuck = [f"stuck-v{number}" for number in range(1, 21)]
    for name in stuck:
        machine.start(name)
    assert machine.run().status == "SUCCEEDED"
    for name in stuck:
        machine.reached("Train", name)
    assert threading.active_count() <= before + 4
    assert {machine.runner.describe(name).status for name in stuck} == {"RUNNING"}


def test_many_starts_at_once_are_one_execution(machine: Machine) -> None:
    threads = [threading.Thread(target=machine.start) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert machine.ended().status == "SUCCEEDED"
    assert set(machine.script.counts().values()) == {1}


# ---- errors


def test_unavailable_is_tried_again_with_growing_pauses(machine: Machine) -> None:
    machine.script.on("plan_training", Unavailable("busy"), Unavailable("busy"), GOOD["plan_training"])
    state = machine.run()
    step = next(step for step in state.steps if step.name == "PlanTraining")
    assert (state.status, step.attempt) == ("SUCCEEDED", 3)
    assert machine.script.counts()["record_failure"] == 0


def test_a_task_that_breaks_fails_it_by_the_errors_name(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.script.on("evaluate", ZeroDivisionError("division by zero"))
    state = machine.run()
    assert (state.status, state.error, state.cause) == ("FAILED", "ZeroDivisionError", "division by zero")
    assert "Traceback" in caplog.text


def test_one_whose_failure_cannot_be_recorded_ends_all_the_same(machine: Machine) -> None:
    machine.script.on("evaluate", ValueError("first"))
    machine.script.on("record_failure", ValueError("second"))
    state = machine.run()
    assert (state.status, state.error, state.cause) == ("FAILED", "ValueError", "first")


def test_the_next_one_is_processed_after_one_that_failed(machine: Machine) -> None:
    machine.script.on("check_quality", ValueError("no"), GOOD["check_quality"])
    assert machine.run().status == "FAILED"
    assert machine.run("flights-v2").status == "SUCCEEDED"


def test_after_its_time_it_is_timed_out(tmp_path: Path) -> None:
    clock = TestClock()
    with closing(SqliteRecords(tmp_path / "records.sqlite3")) as records:
        runner = LocalPipelineRunner(records, AtOnce(), clock, seconds=3600)
        script, events = Script(), list[Mapping[str, Any]]()
        script.on("train", WAITING)
        runner.attach(script, events.append)
        runner.start(NAME, INPUT)
        clock.pass_time(minutes=59)
        runner.resume()
        assert runner.describe(NAME).status == "RUNNING"
        clock.pass_time(minutes=2)
        runner.resume()
        state = runner.describe(NAME)
    assert (state.status, state.steps[-1].status, state.error) == ("TIMED_OUT", "TIMED_OUT", "States.Timeout")
    assert [event["detail"]["status"] for event in events] == ["TIMED_OUT"]


# ---- death at any point


class Died(BaseException):
    """Nothing in the program may catch it, as nothing catches SIGKILL."""


class MortalRecords(SqliteRecords):
    """Dies before, or just after, the write of a number."""

    writes = 0
    dies_at: tuple[int, str] = (0, "")

    def put(self, record: Record) -> Record:
        self.writes += 1
        if self.dies_at == (self.writes, "before"):
            raise Died
        stored = super().put(record)
        if self.dies_at == (self.writes, "after"):
            raise Died
        return stored


def writes_of(script: Script, records: MortalRecords) -> PipelineState:
    runner = LocalPipelineRunner(records, AtOnce(), utc_now, seconds=3600)
    runner.attach(script, lambda _: None)
    runner.start(NAME, INPUT)
    return runner.describe(NAME)


def failing() -> Script:
    script = Script()
    script.on("evaluate", ValueError("no"))
    return script


@pytest.mark.parametrize("scripted", [Script, failing])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_write_it_ends_once_and_right(tmp_path: Path, when: str, scripted: Any) -> None:
    with closing(MortalRecords(tmp_path / "whole.sqlite3")) as records:
        expected = writes_of(scripted(), records)
        count = records.writes
    assert count > 2 * len(STEPS) - 4
    for number in range(1, count + 1):
        killed_once(tmp_path / f"{number}.sqlite3", (number, when), scripted(), expected)


def killed_once(path: Path, dies_at: tuple[int, str], script: Script, expected: PipelineState) -> None:
    with closing(MortalRecords(path)) as records:
        records.dies_at = dies_at
        with pytest.raises(Died):
            writes_of(script, records)
    with closing(SqliteRecords(path)) as records:
        again = LocalPipelineRunner(records, AtOnce(), utc_now, seconds=3600)
        events: list[Mapping[str, Any]] = []
        again.attach(script, events.append)
        if dies_at == (1, "before"):
            again.start(NAME, INPUT)  # as reconcile does, for what is recorded by the service
        again.resume()
        state = again.describe(NAME)
    assert state.status == expected.status, dies_at
    assert [(step.name, step.status) for step in state.steps] == [(step.name, step.status) for step in expected.steps]
    assert max(script.counts().values()) <= 2, "a step may run again, but no more than once for one death"


@pytest.mark.parametrize("task", ["prepare", "preprocess", "check_quality", "plan_training", "train", "register"])
def test_killed_inside_a_task_that_task_runs_again(tmp_path: Path, task: str) -> None:
    script = Script()
    script.on(task, Died(), GOOD[task])
    with closing(SqliteRecords(tmp_path / "records.sqlite3")) as records:
        first = LocalPipelineRunner(records, AtOnce(), utc_now, seconds=3600)
        first.attach(script, lambda _: None)
        with pytest.raises(Died):
            first.start(NAME, INPUT)
        again = LocalPipelineRunner(records, AtOnce(), utc_now, seconds=3600)
        again.attach(script, lambda _: None)
        again.resume()
        assert again.describe(NAME).status == "SUCCEEDED"
    assert script.counts() == dict.fromkeys(script.counts(), 1) | {task: 2}
