"""Jobs on the SageMaker test server: what only SageMaker does, and what AWS's answers become."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_api.adapters.aws.sagemaker_training import SageMakerTraining
from mlops_api.domain.errors import Conflict, Invalid, Unavailable
from mlops_api.ports import ProcessingSpec, TrainingSpec
from tests.support.aws_runners import AwsMachine, sagemaker
from tests.support.emulators import Cloud, create_bucket
from tests.support.local_runners import ended
from tests.support.local_storage import wait_for


@pytest.fixture
def machine(moto: Cloud, tmp_path: Path) -> Iterator[AwsMachine]:
    with sagemaker(moto, tmp_path) as machine:
        yield machine


def test_an_interrupted_spot_job_goes_on_from_its_checkpoints(machine: AwsMachine) -> None:
    machine.objects.put("data/rows.csv", b"1\n")
    do = "checkpoint:x sleep:0.8 model"
    machine.training.start(TrainingSpec("j", {"do": do}, "data", "models", 60, spot=True))
    wait_for(lambda: bool(machine.objects.list("models/j/checkpoints/").objects))
    machine.server.faults.interrupt("j")
    state = ended(machine.training.describe, "j")
    assert (state.status, state.attempt) == ("Completed", 2)
    assert list(machine.training.logs("j").lines) == ["checkpoint x", "checkpoint xx"]


def test_a_name_that_another_platform_took_is_no_job_of_ours(machine: AwsMachine, moto: Cloud) -> None:
    machine.train("j", "model")
    other = SageMakerTraining(machine.clients, replace(machine.config, bucket=create_bucket(moto.clients.s3)))
    with pytest.raises(Conflict, match="not of this platform"):
        other.start(TrainingSpec("j", {"do": "model"}, "data", "models", 60))
    machine.objects.put("raw/file", b"a\n1\n")
    spec = ProcessingSpec("p", "raw/file", "f.csv", "0" * 64, "sets/1", 60)
    machine.processing.start(spec)
    with pytest.raises(Conflict, match="not of this platform"):
        machine.processing.start(replace(spec, output_prefix="sets/2"))


def test_a_job_that_runs_is_left_alone_when_its_input_is_gone(machine: AwsMachine) -> None:
    machine.train("j", "sleep:0.3 model")
    machine.objects.delete("data/rows.csv")
    machine.training.start(TrainingSpec("j", {"do": "model"}, "data", "models", 60))
    assert len(machine.server.requests_of("CreateTrainingJob")) == 1


def test_an_instance_type_there_is_not_is_invalid(machine: AwsMachine) -> None:
    machine.objects.put("data/rows.csv", b"1\n")
    with pytest.raises(Invalid, match="SageMaker refused it"):
        machine.training.start(TrainingSpec("j", {"do": "model"}, "data", "models", 60, instance_type="ml.none"))


def test_throttles_are_absorbed_and_then_the_caller_may_try_again(machine: AwsMachine) -> None:
    machine.train("j", "model")
    machine.server.faults.throttle(2, "DescribeTrainingJob")
    assert machine.training.describe("j").status in ("InProgress", "Completed")
    machine.server.faults.throttle(3, "DescribeTrainingJob")
    with pytest.raises(Unavailable, match="throttling") as refused:
        machine.training.describe("j")
    assert int(refused.value.headers["Retry-After"]) >= 1


def test_a_job_that_finds_no_instances_has_failed(machine: AwsMachine) -> None:
    machine.server.faults.no_capacity("j")
    machine.train("j", "model")
    state = ended(machine.training.describe, "j")
    assert state.status == "Failed"
    assert "capacity" in (state.failure_reason or "")


def test_lines_of_one_millisecond_are_paged_without_gap_or_repeat(machine: AwsMachine) -> None:
    machine.train("j", "model")
    ended(machine.training.describe, "j")
    stream = machine.server.logs.stream("/aws/sagemaker/TrainingJobs", "j/algo-1-1")
    written = [f"line {number}" for number in range(500)]
    for line in written:
        stream.append(line)
    assert len({each.timestamp for each in stream.events}) < 250
    lines: list[str] = []
    after = 0
    while (chunk := machine.training.logs("j", after=after, limit=7)).lines:
        assert len(chunk.lines) <= 7
        assert chunk.next_after < 2**53
        lines.extend(chunk.lines)
        after = chunk.next_after
    assert lines == written
    assert machine.training.logs("j", after=after).next_after == after


def test_logs_of_a_job_whose_name_begins_the_same_are_not_mixed_in(machine: AwsMachine) -> None:
    for job in ("j", "j-1"):
        machine.train(job, f"print:of-{job} model")
        ended(machine.training.describe, job)
    assert list(machine.training.logs("j").lines) == ["of-j"]


def test_a_repeated_start_writes_no_second_configuration(machine: AwsMachine) -> None:
    machine.objects.put("raw/file", b"a\n1\n")
    spec = ProcessingSpec("p", "raw/file", "f.csv", "0" * 64, "sets/1", 60)
    machine.processing.start(spec)
    before = machine.objects.info("jobs/p/config/preprocess.json")
    machine.processing.start(replace(spec, filename="other.csv"))
    assert machine.objects.info("jobs/p/config/preprocess.json") == before
    assert len(machine.server.requests_of("CreateProcessingJob")) == 1
