"""The job engine: endings, queue, retries, and its own death at any instant."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_api.adapters.local import procs
from mlops_api.adapters.local.job_folder import JobFolder
from mlops_api.adapters.local.launch import Started
from mlops_api.domain.errors import BadRequest, NotFound
from mlops_api.domain.times import rfc3339, utc_now
from mlops_api.domain.training import TERMINAL
from mlops_api.ports import TrainingSpec
from tests.support.local_runners import Machine, ended, journal, running
from tests.support.local_storage import wait_for

ROOT = Path(__file__).parents[3]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with running(tmp_path / "data") as machine:
        yield machine


def train(machine: Machine, job: str, do: str, **options: Any) -> Any:
    machine.train(job, do, **options)
    return ended(machine.training.describe, job)


def begun(machine: Machine, job: str) -> None:
    wait_for(lambda: "begin" in journal(machine, job))


def shepherd_of(machine: Machine, job: str, attempt: int = 1) -> int:
    run = machine.root / f"jobs/training/active/{job}/attempt-{attempt}"
    wait_for(lambda: Started.read(run) is not None)
    started = Started.read(run)
    assert started is not None
    return started.shepherd.pid


def test_a_completed_job_is_told_and_its_model_stored(machine: Machine) -> None:
    state = train(machine, "j", "metric:validation:auc=0.75 model print:bye")
    assert (state.status, state.secondary_status, state.failure_reason) == ("Completed", "Completed", None)
    assert (state.metrics, state.progress, state.attempt) == ({"validation:auc": 0.75}, 1.0, 1)
    assert state.started_at < state.ended_at
    assert machine.objects.info("models/j/output/model.tar.gz").size > 0
    wait_for(lambda: bool(machine.events))
    (detail,) = machine.events_of("SageMaker Training Job State Change")
    assert (detail["TrainingJobName"], detail["TrainingJobStatus"]) == ("j", "Completed")
    assert int(detail["TrainingEndTime"]) >= int(detail["TrainingStartTime"])


def test_start_is_idempotent_by_name_also_after_the_end(machine: Machine) -> None:
    for _ in range(3):
        machine.train("j", "model")
    ended(machine.training.describe, "j")
    wait_for(lambda: len(machine.events) == 1)
    machine.train("j", "fail:twice")
    assert machine.training.describe("j").status == "Completed"
    assert journal(machine, "j") == ["begin", "end"]


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ("fail:no-such-column", "no-such-column"),
        ("raise:broken", "The program ended with status 1; the last line of its log: ValueError: broken"),
        ("print:last-words exit:4", "The program ended with status 4; the last line of its log: last-words"),
        ("exit:5", "The program ended with status 5 and said nothing."),
        ("print:fine", "The program ended without an error but left an empty model folder; see its log."),
    ],
)
def test_a_failed_job_says_why_and_is_not_repeated(machine: Machine, do: str, reason: str) -> None:
    state = train(machine, "j", do)
    assert (state.status, state.failure_reason, state.attempt) == ("Failed", reason, 1)


def test_a_killed_program_is_run_again_with_its_checkpoints(machine: Machine) -> None:
    state = train(machine, "j", "checkpoint:x once:signal:9 model")
    assert (state.status, state.attempt) == ("Completed", 2)
    lines = machine.training.logs("j").lines
    assert [line for line in lines if line.startswith("checkpoint")] == ["checkpoint x", "checkpoint xx"]
    assert "killed by signal 9" in next(line for line in lines if line.startswith("---"))


def test_a_poison_job_fails_alone_and_the_queue_moves_on(tmp_path: Path) -> None:
    with running(tmp_path / "data", slots={"training": 1}) as machine:
        machine.train("crash", "signal:9")
        machine.train("poison", "kill-parent")
        machine.train("after", "model")
        assert ended(machine.training.describe, "after").status == "Completed"
        crash, poison = (machine.training.describe(job) for job in ("crash", "poison"))
    assert (crash.status, crash.attempt) == ("Failed", 2)
    assert "killed by signal 9" in crash.failure_reason
    assert "memory" in crash.failure_reason
    assert (poison.status, poison.attempt) == ("Failed", 2)
    assert "supervisor" in poison.failure_reason


def test_a_job_that_cannot_be_prepared_fails_alone(machine: Machine) -> None:
    machine.train("good", "model")
    machine.training.start(TrainingSpec("bad", {"do": "model"}, "no-such-prefix", "models", 60))
    state = ended(machine.training.describe, "bad")
    assert state.status == "Failed"
    assert "no-such-prefix" in state.failure_reason
    assert ended(machine.training.describe, "good").status == "Completed"


def test_stop_ends_a_program_that_ignores_sigterm(machine: Machine) -> None:
    machine.train("j", "ignore-term print:ready sleep:30")
    wait_for(lambda: list(machine.training.logs("j").lines) == ["ready"])
    asked = time.monotonic()
    machine.training.stop("j")
    assert machine.training.describe("j").status == "Stopping"
    state = ended(machine.training.describe, "j")
    assert (state.status, state.secondary_status) == ("Stopped", "Stopped")
    assert machine.grace <= time.monotonic() - asked < machine.grace + 5
    machine.training.stop("j")


def test_a_queued_job_is_stopped_without_running(tmp_path: Path) -> None:
    with running(tmp_path / "data", slots={"training": 1}) as machine:
        machine.train("first", "sleep:0.5 model")
        machine.train("second", "model")
        assert machine.training.describe("second").secondary_status == "Pending"
        machine.training.stop("second")
        assert ended(machine.training.describe, "second").status == "Stopped"
        assert machine.training.describe("first").status == "InProgress"
        assert journal(machine, "second") == []


def test_max_runtime(machine: Machine) -> None:
    state = train(machine, "j", "sleep:30", max_runtime=1)
    assert (state.status, state.secondary_status) == ("Stopped", "MaxRuntimeExceeded")
    assert "max_runtime" in state.failure_reason


def test_all_attempts_together_have_max_runtime(machine: Machine) -> None:
    state = train(machine, "j", "sleep:1.2 signal:9", max_runtime=2)
    assert (state.status, state.secondary_status, state.attempt) == ("Stopped", "MaxRuntimeExceeded", 2)


def test_time_for_which_the_machine_was_off_is_no_run_time(tmp_path: Path) -> None:
    first = Machine(tmp_path / "data").start()
    first.train("j", "once:sleep:30 model", max_runtime=20)
    begun(first, "j")
    first.close(stop_jobs=False)
    os.kill(shepherd_of(first, "j"), signal.SIGKILL)
    folder = JobFolder(first.root / "jobs/training/active/j")
    started = folder.started(1)
    assert started is not None
    hours_ago = utc_now() - timedelta(hours=3)
    replace(started, started_at=rfc3339(hours_ago)).write(folder.run(1))
    written = (hours_ago + timedelta(seconds=2)).timestamp()
    os.utime(folder.log, (written, written))
    with running(tmp_path / "data") as machine:
        state = ended(machine.training.describe, "j")
    assert (state.status, state.attempt) == ("Completed", 2)


def test_jobs_are_begun_in_order(tmp_path: Path) -> None:
    with running(tmp_path / "data", slots={"training": 1}) as machine:
        names = [f"j{number}" for number in range(6)]
        for name in names:
            machine.train(name, "model")
        starts = [ended(machine.training.describe, name).started_at for name in names]
    assert starts == sorted(starts)


def test_a_shepherd_that_is_killed_costs_one_attempt(machine: Machine) -> None:
    machine.train("j", "once:sleep:30 model")
    begun(machine, "j")
    os.kill(shepherd_of(machine, "j"), signal.SIGKILL)
    state = ended(machine.training.describe, "j")
    assert (state.status, state.attempt) == ("Completed", 2)
    assert journal(machine, "j") == ["begin", "begin", "end"]


def test_logs_are_whole_lines_from_a_cursor(machine: Machine) -> None:
    train(machine, "j", "print:one print:two print:three model")
    first = machine.training.logs("j", limit=2)
    assert list(first.lines) == ["one", "two"]
    rest = machine.training.logs("j", after=first.next_after)
    assert list(rest.lines) == ["three"]
    assert list(machine.training.logs("j", after=rest.next_after).lines) == []


def test_names_are_checked_before_the_disk_is_touched(machine: Machine) -> None:
    for name in ("../up", "a/b", "", "x" * 64, "a\n"):
        with pytest.raises(BadRequest):
            machine.training.describe(name)
    with pytest.raises(NotFound):
        machine.training.describe("absent")
    with pytest.raises(NotFound):
        machine.training.stop("absent")


def test_an_event_that_was_not_taken_is_told_at_the_next_start(tmp_path: Path) -> None:
    broken = Machine(tmp_path / "data", deaf=True).start()
    broken.train("j", "model")
    ended(broken.training.describe, "j")
    broken.close(stop_jobs=False)
    with running(tmp_path / "data") as machine:
        wait_for(lambda: len(machine.events) == 1)
    with running(tmp_path / "data") as machine:
        assert machine.training.describe("j").status == "Completed"
        assert machine.events == []


def test_jobs_run_on_while_the_api_is_away(tmp_path: Path) -> None:
    first = Machine(tmp_path / "data").start()
    first.train("j", "sleep:0.5 model")
    begun(first, "j")
    first.close(stop_jobs=False)
    with running(tmp_path / "data") as machine:
        assert machine.training.describe("j").status == "InProgress"
        state = ended(machine.training.describe, "j")
        assert (state.status, state.attempt) == ("Completed", 1)
        assert journal(machine, "j") == ["begin", "end"]


def test_a_stop_asked_for_just_before_the_end_of_the_api_holds(tmp_path: Path) -> None:
    first = Machine(tmp_path / "data").start()
    first.train("j", "sleep:30")
    begun(first, "j")
    first.training.stop("j")
    first.close(stop_jobs=False)
    with running(tmp_path / "data") as machine:
        assert ended(machine.training.describe, "j").status == "Stopped"


def test_close_with_stop_leaves_no_process(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "data").start()
    for number in range(3):
        machine.train(f"j{number}", "child sleep:30")
    begun(machine, "j0")
    assert machine.processes()
    machine.close(stop_jobs=True)
    wait_for(lambda: not machine.processes())


# --------------------------------------------------------------------------- kill -9 of the API


class Api:
    """The API as a process of its own, to be killed."""

    def __init__(self, root: Path, prefix: str, count: int) -> None:
        arguments = [sys.executable, "-m", "tests.support.killed_api", str(root), prefix, str(count)]
        self._process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self._line() == "ready"

    def kill(self) -> list[str]:
        """kill -9; the jobs it had acknowledged."""
        self._process.kill()
        output, _ = self._process.communicate()
        return output.split()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def kill_loop(root: Path, kills: int) -> set[str]:
    """The jobs acknowledged by an API that was killed at random moments, again and again."""
    dice = random.Random(7)  # noqa: S311 - moments, not secrets
    acknowledged: set[str] = set()
    for number in range(kills):
        api = Api(root, f"k{number}", 4)
        time.sleep(dice.random() * 0.4)
        acknowledged.update(api.kill())
    return acknowledged


@pytest.mark.parametrize("kills", [10, pytest.param(40, marks=pytest.mark.slow)])
def test_killed_at_random_moments_every_job_ends_exactly_once(tmp_path: Path, kills: int) -> None:
    root = tmp_path / "data"
    acknowledged = kill_loop(root, kills)
    with running(root) as machine:
        accepted = {path.name for place in ("active", "done") for path in (root / "jobs/training" / place).iterdir()}
        states = {job: ended(machine.training.describe, job) for job in accepted}
        runs = {job: journal(machine, job) for job in accepted}
        wait_for(lambda: not list((root / "jobs/training/active").iterdir()))
    assert acknowledged <= accepted
    assert acknowledged
    assert {(state.status, state.failure_reason) for state in states.values()} == {("Completed", None)}
    assert {tuple(words) for words in runs.values()} == {("begin", "end")}
    assert not machine.processes()
    print(f"{kills} kills, {len(accepted)} jobs: 0 lost, 0 run twice, 0 left")


def test_the_control_without_adoption_leaves_jobs_unfinished(tmp_path: Path) -> None:
    api = Api(tmp_path / "data", "k", 6)
    wait_for(lambda: (tmp_path / "data/jobs/training/active/k-5/spec.json").exists())
    api.kill()
    with running(tmp_path / "data", adopt=False) as machine:
        time.sleep(1.5)
        states = [machine.training.describe(f"k-{number}") for number in range(6)]
    assert any(state.status not in TERMINAL for state in states)


def test_killed_while_settling_the_outputs_are_stored_once(tmp_path: Path) -> None:
    """Each prefix of the steps after a program's end is made good: collect, settle, tell, clean, acknowledge."""
    first = Machine(tmp_path / "data").start()
    first.train("j", "model print:x")
    ended(first.training.describe, "j")
    wait_for(lambda: bool(first.events))
    first.close(stop_jobs=False)
    done, active = (tmp_path / "data/jobs/training" / place / "j" for place in ("done", "active"))
    done.rename(active)  # as if killed between telling and acknowledging
    with running(tmp_path / "data") as machine:
        wait_for(lambda: done.exists())
        assert [event["id"] for event in machine.events] == [event["id"] for event in first.events]
        assert machine.objects.info("models/j/output/model.tar.gz").size > 0


def test_nothing_is_left_behind_in_proc(tmp_path: Path) -> None:
    with running(tmp_path / "data") as machine:
        train(machine, "j", "child model")
        forks = machine.forks.pid
        assert forks is not None
    wait_for(lambda: not list(procs.working_below(tmp_path)))
    with pytest.raises(ProcessLookupError):
        procs.ProcessId.of(forks)
