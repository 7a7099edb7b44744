"""The fork server and its shepherds, with a program that really runs."""

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_api.adapters.local import procs
from mlops_api.adapters.local.fork_client import ForkServer, clean_environment
from mlops_api.adapters.local.launch import EXIT, Ended, Launch, Started
from mlops_api.domain.errors import Unavailable
from tests.support.local_runners import FAKE
from tests.support.local_storage import wait_for


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """One for all tests that do it no harm."""
    with fork_server(tmp_path_factory.mktemp("forks")) as forks:
        yield forks


@pytest.fixture
def own_forks(tmp_path: Path) -> Iterator[ForkServer]:
    with fork_server(tmp_path) as forks:
        yield forks


@contextlib.contextmanager
def fork_server(folder: Path) -> Iterator[ForkServer]:
    with contextlib.closing(ForkServer(folder / "fork.log", program=FAKE, preload=FAKE)) as forks:
        forks.start()
        yield forks


class Run:
    """One run folder whose program does the steps of `do`."""

    def __init__(self, folder: Path, do: str, **limits: object) -> None:
        self.folder = folder
        config = folder / "ml/input/config"
        config.mkdir(parents=True)
        (config / "hyperparameters.json").write_text(json.dumps({"do": do}))
        paths = {name: str(folder / name) for name in ("log", "lock", "stop")}
        values = {"argv": ("train",), "ml_root": str(folder / "ml"), "grace": 0.3, **paths, **limits}
        Launch(**values).write(folder)  # type: ignore[arg-type] # a mapping of mixed values

    def launch(self, forks: ForkServer) -> int:
        return forks.launch(self.folder)

    def wait(self, pidfd: int, seconds: float = 10) -> Ended | None:
        assert wait_pidfd(pidfd, seconds), "the shepherd did not end"
        return Ended.read(self.folder)

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def journal(self) -> list[str]:
        path = self.folder / "journal"
        return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []

    def program_pid(self) -> int:
        wait_for(lambda: bool(self.journal()))
        return int((self.folder / "journal").read_text().split()[1])


def wait_pidfd(pidfd: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    try:
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(pidfd)


def test_a_program_that_ends_well(forks: ForkServer, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "print:hello")
    ended = run.wait(run.launch(forks))
    assert ended is not None
    assert (ended.reason, ended.code, ended.signal) == ("finished", 0, None)
    assert run.log == "hello\n"


@pytest.mark.parametrize(
    ("do", "code", "signum"),
    [("exit:3", 3, None), ("raise:oh", 1, None), ("signal:9", None, 9), ("signal:11", None, 11)],
)
def test_how_a_program_ends(forks: ForkServer, tmp_path: Path, do: str, code: int | None, signum: int | None) -> None:
    run = Run(tmp_path / "run", do)
    ended = run.wait(run.launch(forks))
    assert ended is not None
    assert (ended.reason, ended.code, ended.signal) == ("finished", code, signum)


def test_the_environment_is_the_jobs_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_TOKEN", "canary-7f3a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-7f3a")
    with fork_server(tmp_path) as forks:
        run = Run(tmp_path / "run", "env", environ={"TRAINING_JOB_NAME": "job-1"}, threads=3)
        run.wait(run.launch(forks))
    assert "canary" not in run.log
    for expected in ('"TRAINING_JOB_NAME": "job-1"', '"MLOPS_THREADS": "3"', '"OMP_NUM_THREADS": "3"'):
        assert expected in run.log


def test_no_descriptor_of_the_api_or_the_fork_server_is_inherited(tmp_path: Path) -> None:
    with (tmp_path / "records.sqlite3").open("w") as opened:
        os.set_inheritable(opened.fileno(), True)
        with fork_server(tmp_path) as forks:
            run = Run(tmp_path / "run", "env")
            run.wait(run.launch(forks))
    descriptors = run.log[run.log.index("fds ") :]
    assert str(run.folder / "lock") in descriptors
    assert "sqlite3" not in descriptors
    assert "socket" not in descriptors


def test_max_runtime_and_stop_hold_without_an_api(own_forks: ForkServer, tmp_path: Path) -> None:
    slow = Run(tmp_path / "slow", "sleep:30", max_runtime=0.3)
    stubborn = Run(tmp_path / "stubborn", "ignore-term print:ready sleep:30")
    pidfds = [slow.launch(own_forks), stubborn.launch(own_forks)]
    stubborn.program_pid()
    wait_for(lambda: "ready" in stubborn.log)
    own_forks.close()
    (tmp_path / "stubborn/stop").touch()
    ended = slow.wait(pidfds[0])
    assert ended is not None
    assert ended.reason == "max_runtime"
    stopped = stubborn.wait(pidfds[1])
    assert stopped is not None
    assert (stopped.reason, stopped.signal) == ("stopped", signal.SIGKILL)


def test_a_run_is_never_run_twice(forks: ForkServer, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "sleep:0.2")
    pidfds = [run.launch(forks) for _ in range(3)]
    for pidfd in pidfds:
        run.wait(pidfd)
    run.wait(run.launch(forks))
    assert run.journal() == ["begin", "end"]


def test_a_fenced_run_is_not_run_by_a_late_shepherd(forks: ForkServer, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "print:late")
    Ended("lost", "2026-01-01T00:00:00Z").write(run.folder)
    run.wait(run.launch(forks))
    assert run.journal() == []


def test_the_program_dies_with_its_shepherd_and_frees_the_lock(forks: ForkServer, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "sleep:30")
    pidfd = run.launch(forks)
    program = run.program_pid()
    assert procs.lock_is_held(run.folder / "lock")
    started = Started.read(run.folder)
    assert started is not None
    os.kill(started.shepherd.pid, signal.SIGKILL)
    assert run.wait(pidfd) is None
    wait_for(lambda: not _alive(program))
    wait_for(lambda: not procs.lock_is_held(run.folder / "lock"))


def test_a_run_whose_shepherd_died_is_not_begun_again(forks: ForkServer, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "once:kill-parent")
    assert run.wait(run.launch(forks)) is None
    assert run.wait(run.launch(forks)) is None
    assert run.journal() == ["begin"]


def test_what_a_program_leaves_behind_ends_with_it(forks: ForkServer, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "child print:done")
    run.wait(run.launch(forks))
    wait_for(lambda: not list(procs.working_below(run.folder)))


def test_sigterm_without_a_stop_file_leaves_the_run_to_be_repeated(forks: ForkServer, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "sleep:30")
    pidfd = run.launch(forks)
    run.program_pid()
    started = Started.read(run.folder)
    assert started is not None
    os.kill(started.shepherd.pid, signal.SIGTERM)
    assert run.wait(pidfd) is None
    assert not (run.folder / EXIT).exists()


def test_a_dead_fork_server_is_replaced(own_forks: ForkServer, tmp_path: Path) -> None:
    first = own_forks.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    run = Run(tmp_path / "run", "print:again")
    ended = run.wait(run.launch(own_forks))
    assert ended is not None
    assert ended.code == 0
    assert own_forks.pid != first


def test_it_ends_with_its_api_and_its_children_live_on(own_forks: ForkServer, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", "sleep:0.4 print:survived")
    pidfd = run.launch(own_forks)
    pid = own_forks.pid
    assert pid is not None
    own_forks.close()
    assert not _alive(pid)
    ended = run.wait(pidfd)
    assert ended is not None
    assert ended.code == 0
    assert "survived" in run.log
    with pytest.raises(Unavailable):
        own_forks.launch(run.folder)


def test_a_server_ends_itself_when_its_owner_stays_away(forks: ForkServer, tmp_path: Path) -> None:
    owner = procs.try_lock(tmp_path / "owner")
    assert owner is not None
    run = Run(tmp_path / "run", "sleep:30", owner_lock=str(tmp_path / "owner"), owner_absent=0.4)
    pidfd = run.launch(forks)
    run.program_pid()
    time.sleep(1.2)
    assert Ended.read(run.folder) is None
    os.close(owner)
    ended = run.wait(pidfd)
    assert ended is not None
    assert ended.reason == "owner_gone"


def test_the_clean_environment_keeps_no_setting() -> None:
    kept = clean_environment({"PATH": "/bin", "MLOPS_TOKEN": "x", "AWS_PROFILE": "x", "LC_ALL": "C", "DATABASE": "x"})
    assert set(kept) & {"MLOPS_TOKEN", "AWS_PROFILE", "DATABASE"} == set()
    assert kept["PATH"] == "/bin"
    assert kept["LC_ALL"] == "C"


def test_a_lock_shared_by_a_fork_is_held_until_both_are_gone(tmp_path: Path) -> None:
    held = procs.try_lock(tmp_path / "lock")
    assert held is not None
    assert procs.try_lock(tmp_path / "lock") is None
    assert procs.lock_is_held(tmp_path / "lock")
    os.close(held)
    assert not procs.lock_is_held(tmp_path / "lock")


def test_a_pid_used_again_is_another_process() -> None:
    own = procs.ProcessId.of(os.getpid())
    assert own.alive()
    assert not procs.ProcessId(own.pid, own.start_time + 1, own.boot_id).alive()
    assert not procs.ProcessId(own.pid, own.start_time, "another-boot").alive()
    assert procs.ProcessId(own.pid, own.start_time + 1, own.boot_id).open() is None


def _alive(pid: int) -> bool:
    try:
        return procs.ProcessId.of(pid).alive()
    except ProcessLookupError:
        return False
