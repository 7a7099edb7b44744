"""What ports.TransformRunner promises, on every adapter."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_api.domain.errors import NotFound
from mlops_api.ports import TransformSpec, TransformState
from tests.support.emulators import Emulators
from tests.support.local_runners import ended, journal, tar_of
from tests.support.local_storage import wait_for
from tests.support.runner_adapters import MACHINES, AnyMachine, ends_of


@pytest.fixture(params=sorted(MACHINES))
def machine(request: pytest.FixtureRequest, tmp_path: Path, emulators: Emulators) -> Iterator[AnyMachine]:
    with MACHINES[request.param](tmp_path, emulators) as machine:
        machine.put_model("m/model.tar.gz", name="one")
        yield machine


def start(machine: AnyMachine, rows: str, *, model: str = "m/model.tar.gz") -> None:
    machine.objects.put("sets/1/data.csv", rows.encode())
    machine.transform.start(TransformSpec("b", model, "sets/1", "batch", "csv", 60))


def transform(machine: AnyMachine, rows: str, **options: str) -> TransformState:
    start(machine, rows, **options)
    found: TransformState = ended(machine.transform.describe, "b")
    return found


def test_the_results_are_one_object_with_a_row_per_row(machine: AnyMachine) -> None:
    found = transform(machine, "a\nb\nc\n")
    assert (found.state.status, found.state.progress) == ("Completed", 1.0)
    assert (found.rows, found.done_rows, found.failed_rows) == (3, 3, 0)
    assert machine.objects.read("batch/b/results.csv") == b"1,a\n2,b\n3,c\n"
    kinds = ("Transform Job", "Processing Job")
    wait_for(lambda: [end for kind in kinds for end in ends_of(machine, kind)] == [("b", "Completed")])


def test_progress_while_it_runs(machine: AnyMachine) -> None:
    start(machine, "a\ndo sleep:0.6\nc\nd\n")
    wait_for(lambda: machine.transform.describe("b").done_rows == 2)
    found = machine.transform.describe("b")
    assert (found.state.status, found.rows, found.state.progress) == ("InProgress", 4, 0.5)
    ended(machine.transform.describe, "b")


# SageMaker gives batch scoring one attempt.
@pytest.mark.parametrize("machine", ["local"], indirect=True)
def test_a_retry_goes_on_where_the_last_attempt_was(machine: AnyMachine) -> None:
    found = transform(machine, "a\nb\ndo once:signal:9\nd\n")
    assert (found.state.status, found.state.attempt) == ("Completed", 2)
    assert machine.objects.read("batch/b/results.csv").count(b"\n") == 4
    notes = [word for word in journal(machine, "b", "transform") if word.startswith("row-")]
    assert notes == ["row-1", "row-2", "row-3", "row-4"]


def test_start_is_idempotent(machine: AnyMachine) -> None:
    transform(machine, "a\n")
    transform(machine, "b\nc\n")
    assert machine.objects.read("batch/b/results.csv") == b"1,a\n"


def test_a_model_that_leads_out_of_its_folder_is_refused(machine: AnyMachine) -> None:
    machine.objects.put("m/evil.tar.gz", tar_of({"../../../escaped": b"x"}))
    found = transform(machine, "a\n", model="m/evil.tar.gz")
    assert found.state.status == "Failed"
    assert "cannot be unpacked" in (found.state.failure_reason or "")
    # os.walk passes over folders that the runner moves away meanwhile.
    assert "escaped" not in {name for _, _, names in os.walk(machine.root) for name in names}


def test_stop(machine: AnyMachine) -> None:
    start(machine, "a\ndo sleep:30\n")
    wait_for(lambda: machine.transform.describe("b").done_rows == 2)
    machine.transform.stop("b")
    assert ended(machine.transform.describe, "b").state.status == "Stopped"


def test_jobs_that_were_never_started(machine: AnyMachine) -> None:
    for act in (machine.transform.describe, machine.transform.stop):
        with pytest.raises(NotFound):
            act("never")
