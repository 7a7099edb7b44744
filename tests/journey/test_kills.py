"""kill -9 of the server while jobs train: nothing acknowledged is lost, no job is doubled or left unfinished.

The control switches adoption off, runs the same checks and sees them fail: it shows that they can.
"""

import gzip
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlops_api.client import MLOps
from tests.support.server import FLIGHTS, Server, processes_of

KILLS = 20
TERMINAL = {"Completed", "Failed", "Stopped"}


@dataclass
class Acknowledged:
    """What the server said it had done."""

    jobs: list[str] = field(default_factory=list)
    datasets: list[str] = field(default_factory=list)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Every thirtieth flight: large enough that a job is still training when the server dies."""
    path = tmp_path / "some-flights.csv"
    with gzip.open(FLIGHTS, "rt") as file:
        header, *rows = file.readlines()
    path.write_text("".join([header, *rows[::30]]))
    return path


def start_job(client: MLOps, seed: int) -> str:
    return client.training.start(
        dataset="flights:1",
        target="late",
        algorithm="random_forest",
        model="flights",
        exclude=["date", "month"],
        hyperparameters={"n_estimators": 150},
        seed=seed,
    ).job


def kill_again_and_again(server: Server, table: Path, kills: int) -> Acknowledged:
    done = Acknowledged()
    chance = random.Random(0)  # noqa: S311 - moments of death, not secrets
    with server.client() as client:
        client.datasets.upload(table, name="flights")
    for number in range(kills):
        with server.client() as client:
            done.jobs.append(start_job(client, number))
            done.datasets.append(client.datasets.upload(b"a,b\n1,2\n3,4\n", name=f"small{number}", wait=False).version)
        time.sleep(chance.uniform(0, 0.8))
        server.kill()
        server.start()
    return done


def lost(client: MLOps, done: Acknowledged) -> list[str]:
    known = {job.job for job in client.training.jobs()} | {dataset.version for dataset in client.datasets.list()}
    return [name for name in [*done.jobs, *done.datasets] if name not in known]


def wait_all(client: MLOps, seconds: float) -> dict[str, str]:
    """Statuses by job, once all are terminal or the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        statuses = {job.job: job.status for job in client.training.jobs()}
        if set(statuses.values()) <= TERMINAL or time.monotonic() > deadline:
            return statuses
        time.sleep(0.3)


@dataclass
class Outcome:
    """What the checks find; every list is of offenders."""

    lost: list[str]
    doubled: list[str]
    unfinished: list[str]
    orphans: list[int]
    not_completed: list[str]
    without_version: list[str]
    not_ready: list[str]
    attempts: Counter[int]
    numbers: list[int]
    seconds: float

    def assert_right(self) -> None:
        assert self.lost == self.doubled == self.unfinished == []
        assert self.orphans == []
        assert self.not_completed == self.without_version == self.not_ready == []
        assert self.numbers == list(range(1, len(self.numbers) + 1))


def outcome(server: Server, done: Acknowledged, seconds: float) -> Outcome:
    """Wait at most `seconds` for the jobs, end the server, and look at everything it had acknowledged."""
    began = time.monotonic()
    with server.client() as client:
        statuses = wait_all(client, seconds)
        ended_after = time.monotonic() - began
        missing = lost(client, done)
        versions = list(client.models.list(model="flights"))
        not_ready = [version for version in done.datasets if not becomes_ready(client, version, seconds / 3)]
        attempts = Counter(job.attempt for job in client.training.jobs())
    server.stop()
    trained = Counter(item.training_job for item in versions)
    return Outcome(
        lost=missing,
        doubled=[job for job, count in trained.items() if count > 1],
        unfinished=[job for job in done.jobs if statuses.get(job) not in TERMINAL],
        orphans=processes_of(server.data_dir),
        not_completed=[job for job in done.jobs if statuses.get(job) != "Completed"],
        without_version=[job for job in done.jobs if job not in trained],
        not_ready=not_ready,
        attempts=attempts,
        numbers=sorted(item.number for item in versions),
        seconds=ended_after,
    )


def becomes_ready(client: MLOps, version: str, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while client.datasets.get(version).status != "Ready":
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def test_twenty_kills(tmp_path: Path, table: Path, figure: Callable[[str], None]) -> None:
    with Server(tmp_path / "data") as server:
        done = kill_again_and_again(server, table, KILLS)
        found = outcome(server, done, 200)
    figure(
        f"{KILLS} kills -9: {len(found.lost)} acknowledged writes lost, {len(found.doubled)} jobs doubled, "
        f"{len(found.unfinished)} jobs unfinished, {len(found.orphans)} orphan processes; all ended "
        f"{found.seconds:.1f} s after the last kill; attempts {dict(found.attempts)}"
    )
    found.assert_right()


def test_without_adoption_the_same_checks_fail(tmp_path: Path, table: Path, figure: Callable[[str], None]) -> None:
    with Server(tmp_path / "data", {"MLOPS_ADOPT_JOBS": "false"}) as server:
        done = kill_again_and_again(server, table, 4)
        found = outcome(server, done, 6)
    figure(f"control, adoption off, 4 kills: {len(found.unfinished)} jobs unfinished")
    with pytest.raises(AssertionError):
        found.assert_right()
    assert found.unfinished
    assert found.without_version


def test_a_second_server_names_the_first(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as first:
        second = Server(tmp_path / "data")
        url = first.info()["url"]
        with pytest.raises(AssertionError, match=f"in use by a server at {url}"):
            second.start_beside()
        with first.client() as client:
            assert client.health()["status"] == "ok"


def test_a_restart_goes_on_serving(tmp_path: Path, table: Path) -> None:
    with Server(tmp_path / "data") as server:
        with server.client() as client:
            client.datasets.upload(table, name="flights")
            version = client.training.wait(start_job(client, 0), timeout=120).model_version
            assert version is not None
            client.models.approve(version, deploy=True)
            client.inference.wait("flights", timeout=60)
            row = dict(zip(*_first_row(client), strict=True))
            before = client.inference.predict("flights", [row])
        for end in (server.kill, server.stop):
            end()
            server.start()
            with server.client() as client:
                after = client.inference.predict("flights", [row])
            assert after.predictions == before.predictions


def _first_row(client: MLOps) -> tuple[list[str], list[object]]:
    preview = client.datasets.preview("flights:1")
    kept = [place for place, name in enumerate(preview.columns) if name not in ("date", "month", "late")]
    return [preview.columns[place] for place in kept], [preview.rows[0][place] for place in kept]
