"""kill -9 of the server while pipelines run: each execution ends once, and right.

The control leaves the executions of a killed server alone, runs the same checks and sees them fail.
"""

import gzip
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlops_api.domain.pipelines import ENDED, STEPS, Execution
from tests.support.server import FLIGHTS, Server, processes_of

KILLS = 20
RECIPE = {
    "target": "late",
    "algorithms": ["random_forest", "logistic_regression"],
    "exclude": ["date", "month"],
    "search": {"random_forest": {"n_estimators": [40, 60]}},
}
CANDIDATES = 3


@pytest.fixture(scope="module")
def flights() -> list[str]:
    with gzip.open(FLIGHTS, "rt") as file:
        return file.readlines()


def table(flights: list[str], number: int) -> str:
    """Some flights, others each time; every third table is broken."""
    header, *rows = flights
    some = rows[number::50]
    if number % 3 == 2:
        some[10] = some[10].rstrip("\n") + ",surplus\n"
    return "".join([header, *some])


@dataclass
class Struck:
    """`files` dropped; `running`: kills that met an execution that ran."""

    files: int = 0
    running: int = 0


def kill_again_and_again(server: Server, flights: list[str], kills: int) -> Struck:
    """A file is dropped whenever nothing runs, so that each kill strikes an execution, or a file about to be taken."""
    chance, struck = random.Random(1), Struck()  # noqa: S311 - moments of death, not secrets
    assert server.watched is not None
    with server.client() as client:
        client.datasets.set_recipe("flights", RECIPE)
    for _ in range(kills):
        if not is_busy(server, struck.files):
            (server.watched / "flights.csv").write_text(table(flights, struck.files))
            struck.files += 1
        time.sleep(chance.uniform(0.2, 3.0))
        with server.client() as client:
            struck.running += any(each.status == "RUNNING" for each in client.pipelines.list())
        server.kill()
        server.start()
    taken(server, struck.files)
    return struck


def is_busy(server: Server, files: int) -> bool:
    """Something runs, or a file was not taken yet: the next one would replace it."""
    with server.client() as client:
        known = list(client.pipelines.list())
    return len(known) < files or any(each.status == "RUNNING" for each in known)


def taken(server: Server, count: int) -> None:
    deadline = time.monotonic() + 30
    with server.client() as client:
        while len(list(client.datasets.list(name="flights"))) < count:
            assert time.monotonic() < deadline, "a dropped file was not taken"
            time.sleep(0.1)


@dataclass
class Outcome:
    """What the checks find."""

    executions: list[Execution]
    jobs: Counter[str]
    """Jobs by execution."""
    versions: Counter[str]
    """Model versions by training job."""
    alerts: Counter[str]
    orphans: list[int]

    def assert_right(self, dropped: int) -> None:
        assert [each.execution for each in self.executions] == [f"flights-v{number + 1}" for number in range(dropped)]
        assert [each.execution for each in self.executions if each.status not in ENDED] == []
        for number, each in enumerate(self.executions):
            self._assert_one(each, broken=number % 3 == 2)
        assert set(self.versions.values()) == {1}
        assert self.orphans == []

    def _assert_one(self, each: Execution, *, broken: bool) -> None:
        if broken:
            assert (each.status, each.error, each.candidates) == ("FAILED", "DatasetRejected", [])
            assert "row 11" in (each.cause or "")
        else:
            assert each.status == "SUCCEEDED", each.cause
            assert [step.name for step in each.steps] == list(STEPS)
            assert {candidate.status for candidate in each.candidates} == {"Completed"}
            assert self.jobs[each.execution] == len(each.candidates) == CANDIDATES
            assert each.comparison is not None
        assert self.alerts[f"/pipelines/{each.execution}"] == 1


def outcome(server: Server, seconds: float) -> Outcome:
    deadline = time.monotonic() + seconds
    with server.client() as client, server.http() as http:
        while any(each.status == "RUNNING" for each in client.pipelines.list()) and time.monotonic() < deadline:
            time.sleep(0.2)
        found = Outcome(
            executions=[client.pipelines.get(each.execution) for each in client.pipelines.list()][::-1],
            jobs=Counter(job.execution or "" for job in client.training.jobs()),
            versions=Counter(version.training_job for version in client.models.list(model="flights")),
            alerts=Counter(each["path"] for each in http.get("/monitoring/alerts?limit=200").json()["alerts"]),
            orphans=[],
        )
    server.stop()
    found.orphans = processes_of(server.data_dir)
    return found


def watching(tmp_path: Path, environ: dict[str, str] | None = None) -> Server:
    (tmp_path / "incoming").mkdir()
    return Server(tmp_path / "data", environ, watched=tmp_path / "incoming")


@pytest.mark.slow
def test_twenty_kills(tmp_path: Path, flights: list[str], figure: Callable[[str], None]) -> None:
    with watching(tmp_path) as server:
        struck = kill_again_and_again(server, flights, KILLS)
        found = outcome(server, 150)
    steps = Counter(step.attempt for each in found.executions for step in each.steps)
    figure(
        f"{KILLS} kills -9, {struck.running} while one of {len(found.executions)} pipeline executions ran: "
        f"{sum(each.status not in ENDED for each in found.executions)} left RUNNING, "
        f"{sum(count > 1 for count in found.versions.values())} jobs doubled, {len(found.orphans)} orphan processes; "
        f"attempts of steps {dict(steps)}"
    )
    found.assert_right(struck.files)
    assert struck.running >= KILLS // 4, "on a quick machine few kills would meet anything"


def test_without_adoption_the_same_checks_fail(tmp_path: Path, flights: list[str]) -> None:
    with watching(tmp_path, {"MLOPS_ADOPT_JOBS": "false"}) as server:
        struck = kill_again_and_again(server, flights, 3)
        found = outcome(server, 8)
    with pytest.raises(AssertionError):
        found.assert_right(struck.files)
