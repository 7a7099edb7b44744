"""What ports.ProcessingRunner promises, on every adapter."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_api.domain.errors import NotFound
from mlops_api.ports import JobState, ProcessingSpec
from tests.support.emulators import Emulators
from tests.support.local_runners import ended
from tests.support.local_storage import wait_for
from tests.support.runner_adapters import MACHINES, AnyMachine, ends_of


@pytest.fixture(params=sorted(MACHINES))
def machine(request: pytest.FixtureRequest, tmp_path: Path, emulators: Emulators) -> Iterator[AnyMachine]:
    with MACHINES[request.param](tmp_path, emulators) as machine:
        yield machine


def process(machine: AnyMachine, data: bytes, *, filename: str = "flights.csv", max_runtime: int = 60) -> JobState:
    machine.objects.put("raw/file", data)
    machine.processing.start(ProcessingSpec("p", "raw/file", filename, "0" * 64, "sets/flights/1", max_runtime))
    state: JobState = ended(machine.processing.describe, "p")
    return state


def test_completed_means_that_the_report_is_there(machine: AnyMachine) -> None:
    assert process(machine, b"a,b\n1,2\n").status == "Completed"
    assert json.loads(machine.objects.read("sets/flights/1/dataset.json")) == {"filename": "flights.csv", "bytes": 8}
    wait_for(lambda: ends_of(machine, "Processing Job") == [("p", "Completed")])


def test_every_file_is_stored(machine: AnyMachine) -> None:
    process(machine, b"do accept")
    names = [each.key for each in machine.objects.list("sets/flights/1/").objects]
    assert names == [
        f"sets/flights/1/{name}" for name in ("data.parquet", "dataset.json", "preview.json", "profile.json")
    ]


def test_start_is_idempotent(machine: AnyMachine) -> None:
    first = process(machine, b"a\n1\n")
    assert process(machine, b"do fail:other") == first


def test_a_program_that_fails(machine: AnyMachine) -> None:
    state = process(machine, b"do fail:unreadable")
    assert (state.status, state.failure_reason) == ("Failed", "unreadable")


def test_a_program_that_writes_no_report_has_failed(machine: AnyMachine) -> None:
    state = process(machine, b"do no-report")
    assert state.status == "Failed"
    assert "dataset.json" in (state.failure_reason or "")


def test_a_clients_file_name_leads_nowhere(machine: AnyMachine) -> None:
    assert process(machine, b"a\n1\n", filename="../../../etc/cron d/x\u2215y.csv.gz").status == "Completed"


def test_stop_and_time_limit(machine: AnyMachine) -> None:
    assert process(machine, b"do sleep:30", max_runtime=1).secondary_status == "MaxRuntimeExceeded"
    with pytest.raises(NotFound):
        machine.processing.stop("never")
    with pytest.raises(NotFound):
        machine.processing.describe("never")


def test_a_long_training_does_not_hold_it_up(machine: AnyMachine) -> None:
    for number in range(4):
        machine.train(f"t{number}", "sleep:30")
    assert process(machine, b"a\n1\n").status == "Completed"
