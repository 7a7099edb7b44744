"""What ports.TrainingRunner promises, on every adapter."""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_api.domain.errors import Invalid, NotFound
from mlops_api.ports import TrainingSpec
from tests.support.emulators import Emulators
from tests.support.local_runners import ended
from tests.support.local_storage import wait_for
from tests.support.runner_adapters import MACHINES, AnyMachine

CHANGE = "SageMaker Training Job State Change"


@pytest.fixture(params=sorted(MACHINES))
def machine(request: pytest.FixtureRequest, tmp_path: Path, emulators: Emulators) -> Iterator[AnyMachine]:
    with MACHINES[request.param](tmp_path, emulators) as machine:
        yield machine


def statuses(machine: AnyMachine, job: str) -> list[str]:
    return [each["TrainingJobStatus"] for each in machine.events_of(CHANGE) if each["TrainingJobName"] == job]


def test_the_model_is_one_object_and_the_end_an_event(machine: AnyMachine) -> None:
    machine.train("j", "model")
    state = ended(machine.training.describe, "j")
    assert (state.status, state.failure_reason, state.progress) == ("Completed", None, 1.0)
    assert state.started_at is not None
    assert state.ended_at is not None
    wait_for(lambda: "Completed" in statuses(machine, "j"))
    data = machine.objects.read("models/j/output/model.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert sorted(tar.getnames()) == ["a.bin", "manifest.json", "model-card.md"]


# SageMaker packs models itself.
@pytest.mark.parametrize("machine", ["local"], indirect=True)
def test_equal_models_are_equal_bytes(machine: AnyMachine) -> None:
    for job in ("a", "b"):
        machine.train(job, "model")
        ended(machine.training.describe, job)
    first, second = (machine.objects.read(f"models/{job}/output/model.tar.gz") for job in ("a", "b"))
    assert first == second
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert tar.getnames() == ["manifest.json", "model-card.md", "a.bin"]


def test_start_is_idempotent_whatever_the_state(machine: AnyMachine) -> None:
    machine.train("j", "sleep:0.3 model")
    machine.train("j", "fail:other")
    assert ended(machine.training.describe, "j").status == "Completed"
    machine.train("j", "fail:other")
    assert machine.training.describe("j").status == "Completed"


def test_a_failure_has_its_reason(machine: AnyMachine) -> None:
    machine.train("j", "fail:target-is-not-a-column")
    state = ended(machine.training.describe, "j")
    assert (state.status, state.failure_reason) == ("Failed", "target-is-not-a-column")
    wait_for(lambda: "Failed" in statuses(machine, "j"))
    detail = next(each for each in machine.events_of(CHANGE) if each["TrainingJobStatus"] == "Failed")
    assert "target-is-not-a-column" in detail["FailureReason"]
    assert detail["TrainingEndTime"].isdigit()


def test_stop(machine: AnyMachine) -> None:
    machine.train("j", "print:begun sleep:30")
    wait_for(lambda: "begun" in machine.training.logs("j").lines)
    machine.training.stop("j")
    assert ended(machine.training.describe, "j").status == "Stopped"
    wait_for(lambda: "Stopped" in statuses(machine, "j"))
    machine.training.stop("j")


def test_a_job_over_its_time_is_stopped(machine: AnyMachine) -> None:
    machine.train("j", "sleep:30", max_runtime=1)
    state = ended(machine.training.describe, "j")
    assert (state.status, state.secondary_status) == ("Stopped", "MaxRuntimeExceeded")


def test_metrics_while_it_runs_and_after(machine: AnyMachine) -> None:
    machine.train("j", "metric:progress=0.25 metric:validation:auc=0.5 metric:validation:auc=0.75 sleep:0.5 model")
    wait_for(lambda: machine.training.describe("j").metrics.get("validation:auc") == 0.75)
    assert machine.training.describe("j").progress == 0.25
    ended(machine.training.describe, "j")
    values = [each.value for each in machine.training.metrics("j") if each.name == "validation:auc"]
    assert values == [0.5, 0.75]
    assert machine.training.describe("j").metrics["validation:auc"] == 0.75


def test_logs_page_without_gap_or_repeat(machine: AnyMachine) -> None:
    machine.train("j", " ".join(f"print:{number}" for number in range(25)) + " model")
    ended(machine.training.describe, "j")
    lines: list[str] = []
    after = 0
    while (chunk := machine.training.logs("j", after=after, limit=10)).lines:
        lines.extend(chunk.lines)
        after = chunk.next_after
    assert lines == [str(number) for number in range(25)]


def test_a_log_may_hold_anything(machine: AnyMachine) -> None:
    machine.train("j", "bytes model")
    ended(machine.training.describe, "j")
    strange, long, last = machine.training.logs("j").lines
    assert strange == "caf\N{REPLACEMENT CHARACTER}"
    assert long == "x" * 8192
    assert last == "no newline"


def test_jobs_that_were_never_started(machine: AnyMachine) -> None:
    for act in (machine.training.describe, machine.training.stop, machine.training.logs, machine.training.metrics):
        with pytest.raises(NotFound):
            act("never")


def test_the_data_channel_holds_the_objects_below_the_prefix_only(machine: AnyMachine) -> None:
    for key in ("sets/a/1/data.csv", "sets/a/1/more/part.csv", "sets/a/10/data.csv"):
        machine.objects.put(key, key.encode())
    machine.training.start(TrainingSpec("j", {"do": "files model"}, "sets/a/1", "models", 60))
    ended(machine.training.describe, "j")
    assert list(machine.training.logs("j").lines) == ["data.csv", "more/part.csv"]


def test_the_champion_is_the_one_file_of_its_channel(machine: AnyMachine) -> None:
    for key in ("sets/a/1/data.csv", "models/old/output/model.tar.gz"):
        machine.objects.put(key, key.encode())
    spec = TrainingSpec("j", {"do": "files:champion model"}, "sets/a/1", "models", 60)
    machine.training.start(replace(spec, champion_key="models/old/output/model.tar.gz"))
    ended(machine.training.describe, "j")
    assert list(machine.training.logs("j").lines) == ["model.tar.gz models/old/output/model.tar.gz"]
    machine.training.start(replace(spec, job="k"))
    assert ended(machine.training.describe, "k").status == "Completed"
    assert list(machine.training.logs("k").lines) == []


def test_several_machines_leave_one_model(machine: AnyMachine) -> None:
    """On this machine they are one, whatever is asked for."""
    machine.objects.put("data/rows.csv", b"1\n")
    machine.training.start(TrainingSpec("j", {"do": "hosts files model"}, "data", "models", 60, instance_count=2))
    assert ended(machine.training.describe, "j").status == "Completed"
    hosts = sorted(line for line in machine.training.logs("j").lines if line.startswith("algo-"))
    assert hosts in (["algo-1 of algo-1"], ["algo-1 of algo-1,algo-2", "algo-2 of algo-1,algo-2"])
    assert list(machine.training.logs("j").lines).count("rows.csv") == len(hosts)
    with tarfile.open(fileobj=io.BytesIO(machine.objects.read("models/j/output/model.tar.gz"))) as tar:
        assert sorted(tar.getnames()) == ["a.bin", "manifest.json", "model-card.md"]


def test_a_champion_that_is_gone_fails_the_job(machine: AnyMachine) -> None:
    machine.objects.put("sets/a/1/data.csv", b"1")
    spec = TrainingSpec("j", {"do": "model"}, "sets/a/1", "models", 60, champion_key="nothing/here.tar.gz")
    assert "nothing/here" in refusal(machine, spec)


def test_input_that_is_gone_fails_the_job(machine: AnyMachine) -> None:
    assert "nothing/here" in refusal(machine, TrainingSpec("j", {"do": "model"}, "nothing/here", "models", 60))


def refusal(machine: AnyMachine, spec: TrainingSpec) -> str:
    """Why a job that cannot work does not: told at once, or by its end."""
    try:
        machine.training.start(spec)
    except Invalid as error:
        return error.detail
    state = ended(machine.training.describe, spec.job)
    assert state.status == "Failed"
    return str(state.failure_reason)
