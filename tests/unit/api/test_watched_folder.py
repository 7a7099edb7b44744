"""A watched folder: every content is taken once, whatever dies, and what is refused is said beside it."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from mlops_api.adapters.local.sqlite_metrics import SqliteMetrics
from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.adapters.local.watched_folder import WatchedFolder
from mlops_api.domain.errors import Conflict, Unavailable
from mlops_api.ports import Record, Write
from mlops_contracts.dataset import Finding
from tests.support.platform import ANN, TestClock, World, a_preview, a_profile, a_report, world, world_of

T = TypeVar("T")
CONTENT = b"a,b\n1,2\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "incoming"
    made.mkdir()
    return made


@pytest.fixture
def watched(here: World, folder: Path) -> WatchedFolder:
    return WatchedFolder(folder, lambda: here.platform.intake)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path / "platform") as made:
        yield made


def look(watched: WatchedFolder, times: int = 2) -> None:
    for _ in range(times):
        watched.look()


def versions(here: World) -> list[str]:
    page = here.platform.datasets.page(name=None, status=None, limit=100, token=None)
    return sorted(each.version for each in page.datasets)


def accept(here: World, job: str) -> None:
    here.processing.complete(job, a_report(), a_profile(), a_preview())
    here.tell("processing", job)


# ---- what is taken, and when


def test_a_dropped_file_becomes_a_version_and_an_execution(here: World, folder: Path, watched: WatchedFolder) -> None:
    (folder / "flights.csv.gz").write_bytes(CONTENT)
    look(watched)
    found = here.platform.datasets.get("flights:1")
    assert (found.status, found.filename, found.created_by) == ("Validating", "flights.csv.gz", "platform")
    assert here.objects.read("datasets/flights/1/raw") == CONTENT
    assert here.execution().status == "RUNNING"
    assert (folder / "flights.csv.gz").read_bytes() == CONTENT


def test_it_is_taken_once_it_stopped_growing(here: World, folder: Path, watched: WatchedFolder) -> None:
    for size in range(1, 5):
        (folder / "flights.csv").write_bytes(CONTENT * size)
        watched.look()
    assert versions(here) == []
    watched.look()
    assert here.objects.read("datasets/flights/1/raw") == CONTENT * 4


def test_it_is_not_taken_while_it_is_open_for_writing(here: World, folder: Path, watched: WatchedFolder) -> None:
    with (folder / "flights.csv").open("wb") as file:
        file.write(CONTENT)
        file.flush()
        look(watched, 5)
        assert versions(here) == []
    look(watched, 1)
    assert versions(here) == ["flights:1"]


def test_it_is_taken_while_others_read_it(here: World, folder: Path, watched: WatchedFolder) -> None:
    (folder / "flights.csv").write_bytes(CONTENT)
    with (folder / "flights.csv").open("rb"):
        look(watched)
    assert versions(here) == ["flights:1"]


def test_a_file_moved_into_place_is_taken(here: World, folder: Path, watched: WatchedFolder) -> None:
    (folder / ".flights.part").write_bytes(CONTENT)
    look(watched)
    (folder / ".flights.part").rename(folder / "flights.csv")
    look(watched)
    assert versions(here) == ["flights:1"]


def test_new_content_is_the_next_version_in_the_order_of_writing(here: World, folder: Path, watched) -> None:
    for number, name in enumerate(("b.csv", "a.csv", "a.parquet")):
        (folder / name).write_bytes(b"x\n%d\n" % number)
        os.utime(folder / name, (1000 + number, 1000 + number))
    look(watched)
    assert here.platform.datasets.get("a:1").filename == "a.csv"
    assert here.platform.datasets.get("a:2").filename == "a.parquet"
    (folder / "a.csv").write_bytes(b"x\n9\n")
    look(watched)
    assert versions(here) == ["a:1", "a:2", "a:3", "b:1"]


def test_the_same_content_is_not_taken_twice(here: World, folder: Path, watched: WatchedFolder) -> None:
    (folder / "flights.csv").write_bytes(CONTENT)
    look(watched, 5)
    (folder / "flights.csv").unlink()
    look(watched)
    (folder / "flights.csv").write_bytes(CONTENT)
    (folder / "flights.2.csv").write_bytes(CONTENT)
    look(watched, 5)
    assert versions(here) == ["flights:1"]
    assert here.processing.starts == {"flights-v1": 1}


def test_a_version_that_somebody_deleted_is_not_taken_again(here: World, folder: Path, watched) -> None:
    (folder / "flights.csv").write_bytes(CONTENT)
    look(watched)
    accept(here, "flights-v1")
    here.platform.datasets.delete(ANN, "flights:1")
    look(WatchedFolder(folder, lambda: here.platform.intake), 3)
    look(watched)
    assert versions(here) == []


def test_other_things_in_the_folder_are_left_alone(here: World, folder: Path, tmp_path: Path, watched) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "flights.csv").write_bytes(CONTENT)
    (folder / "dir.csv").mkdir()
    (folder / ".hidden.csv").write_bytes(CONTENT)
    (folder / "notes.md").write_bytes(CONTENT)
    (tmp_path / "secret.csv").write_bytes(CONTENT)
    (folder / "link.csv").symlink_to(tmp_path / "secret.csv")
    os.mkfifo(folder / "pipe.csv")
    before = sorted(path.name for path in folder.iterdir())
    look(watched, 3)
    assert versions(here) == []
    assert sorted(path.name for path in folder.iterdir()) == before


# ---- what is refused


def test_a_refused_file_is_explained_beside_it(here: World, folder: Path, watched: WatchedFolder) -> None:
    (folder / "flights.csv").write_bytes(CONTENT)
    (folder / "wines.csv").write_bytes(CONTENT)
    look(watched)
    finding = Finding(code="ragged_row", message="it has 3 cells, not 2.", column="b", row=7, line=8)
    here.processing.complete("flights-v1", a_report((), finding))
    here.tell("processing", "flights-v1")
    accept(here, "wines-v1")
    look(watched)
    report = (folder / "flights.csv.refused.txt").read_text()
    assert "flights:1: 1 violation\n  ragged_row at column b, row 7, line 8: it has 3 cells, not 2." in report
    assert not (folder / "wines.csv.refused.txt").exists()
    (folder / "flights.csv").write_bytes(b"a,b\n1,3\n")
    look(watched)
    accept(here, "flights-v2")
    look(watched)
    assert not (folder / "flights.csv.refused.txt").exists()


def test_a_report_that_a_crash_cut_off_is_written_after_it(here: World, folder: Path, watched: WatchedFolder) -> None:
    (folder / "flights.csv").write_bytes(CONTENT)
    look(watched)
    here.processing.complete("flights-v1", a_report((), Finding(code="ragged_row", message="no", row=7)))
    here.tell("processing", "flights-v1")
    look(WatchedFolder(folder, lambda: here.platform.intake), 3)
    assert "ragged_row at row 7" in (folder / "flights.csv.refused.txt").read_text()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [("empty.csv", b"", "empty"), ("---.csv", CONTENT, "letters, digits"), ("big.csv", b"x" * 200, "at most 100")],
)
def test_what_cannot_become_a_version_is_said_at_once(tmp_path, folder: Path, name, content, reason) -> None:
    (folder / name).write_bytes(content)
    (folder / "good.csv").write_bytes(CONTENT)
    with world(tmp_path / "small", max_upload_bytes=100) as here:
        look(WatchedFolder(folder, lambda: here.platform.intake), 3)
        assert versions(here) == ["good:1"]
    assert reason in (folder / f"{name}.refused.txt").read_text()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read_is_said_and_holds_up_no_other(here: World, folder: Path, watched) -> None:
    (folder / "locked.csv").write_bytes(CONTENT)
    (folder / "locked.csv").chmod(0)
    (folder / "open.csv").write_bytes(CONTENT)
    look(watched)
    assert versions(here) == ["open:1"]
    assert "cannot be read" in (folder / "locked.csv.refused.txt").read_text()


def test_a_store_that_is_busy_is_asked_again(here: World, folder: Path, watched, monkeypatch) -> None:
    (folder / "flights.csv").write_bytes(CONTENT)

    def busy(*_: object, **__: object) -> None:
        raise Unavailable("busy")

    with monkeypatch.context() as patch:
        patch.setattr(here.objects, "put", busy)
        look(watched, 3)
    assert here.platform.datasets.get("flights:1").status == "AwaitingUpload"
    look(watched, 1)
    assert here.platform.datasets.get("flights:1").status == "Validating"
    assert versions(here) == ["flights:1"]


def test_only_a_folder_can_be_watched(tmp_path: Path) -> None:
    with pytest.raises(Conflict, match="mkdir"):
        WatchedFolder.check(tmp_path / "nowhere")


# ---- death at any point


class Died(BaseException):
    """Nothing in the program may catch it, as nothing catches SIGKILL."""


class MortalRecords(SqliteRecords):
    """Dies before, or just after, the write of a number."""

    writes = 0
    dies_at: tuple[int, str] = (0, "")

    def put(self, record: Record) -> Record:
        return self._mortal(lambda: super(MortalRecords, self).put(record))

    def write(self, writes: Sequence[Write]) -> None:
        self._mortal(lambda: super(MortalRecords, self).write(writes))

    def _mortal(self, act: Callable[[], T]) -> T:
        self.writes += 1
        number = self.writes
        if self.dies_at == (number, "before"):
            raise Died
        answer = act()
        if self.dies_at == (number, "after"):
            raise Died
        return answer


def test_killed_at_any_write_the_file_is_taken_once(tmp_path: Path, folder: Path) -> None:
    (folder / "flights.csv").write_bytes(CONTENT)
    count = taken_with(tmp_path / "whole", folder, (0, ""))
    assert count >= 4
    for number in range(1, count + 1):
        for when in ("before", "after"):
            killed_once(tmp_path / f"{number}-{when}", folder, (number, when))


def taken_with(place: Path, folder: Path, dies_at: tuple[int, str]) -> int:
    place.mkdir()
    clock = TestClock()
    metrics = SqliteMetrics(place / "metrics.sqlite3", keep=timedelta(days=1), clock=clock)
    with closing(MortalRecords(place / "records.sqlite3")) as records, closing(metrics):
        records.dies_at = dies_at
        here = world_of(place, records, clock, metrics)
        look(WatchedFolder(folder, lambda: here.platform.intake))
        return records.writes


def killed_once(place: Path, folder: Path, dies_at: tuple[int, str]) -> None:
    with pytest.raises(Died):
        taken_with(place, folder, dies_at)
    with world(place) as here:
        here.pipelines.resume()
        look(WatchedFolder(folder, lambda: here.platform.intake), 3)
        here.platform.reconcile()
        assert versions(here) == ["flights:1"], dies_at
        assert here.platform.datasets.get("flights:1").status == "Validating", dies_at
        assert here.objects.read("datasets/flights/1/raw") == CONTENT
        assert here.processing.starts == {"flights-v1": 1}
