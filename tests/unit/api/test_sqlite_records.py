"""What SQLite adds to the contract: faults, other versions, other processes, cost."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.domain.errors import Conflict, NotFound, RevisionMismatch, StorageFull, Unavailable
from mlops_api.ports import Check, Delete, Place, Put, Record
from tests.support.killed_writer import acknowledged_until_killed
from tests.support.small_disk import filled, small_disk

KIND = "thing"


def record(key: str, size: int = 10) -> Record:
    return Record(KIND, key, {"v": "x" * size}, {"all": Place(KIND, key)})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.sqlite3"


@contextmanager
def opened(path: Path, *, busy_seconds: float = 5, now: Callable[[], float] = time.time) -> Iterator[SqliteRecords]:
    with closing(SqliteRecords(path, busy_seconds=busy_seconds, now=now)) as store:
        yield store


@contextmanager
def locked_by_another(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


class TestFile:
    def test_records_outlive_the_store(self, path: Path) -> None:
        with opened(path) as store:
            stored = store.put(record("a"))
        with opened(path) as store:
            assert store.get(KIND, "a") == stored

    def test_commits_are_fsynced(self, path: Path) -> None:
        with opened(path) as store, store._connections.transaction() as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    def test_only_the_owner_can_read_the_files(self, path: Path) -> None:
        with opened(path) as store:
            store.put(record("a"))
            assert {found.stat().st_mode & 0o077 for found in path.parent.iterdir()} == {0}

    def test_a_newer_format_is_refused_and_left_alone(self, path: Path) -> None:
        with opened(path) as store:
            store.put(record("a"))
        with closing(sqlite3.connect(path)) as other:
            other.execute("PRAGMA user_version = 7")
        with pytest.raises(Conflict, match="format 7; this program knows format 1"):
            SqliteRecords(path)
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("SELECT key FROM records").fetchall() == [("a",)]

    def test_a_file_that_is_no_database_is_refused(self, path: Path) -> None:
        path.write_bytes(b"not a database " * 1000)
        with pytest.raises(Conflict, match="not a SQLite database"):
            SqliteRecords(path)

    def test_after_close_it_is_unavailable(self, path: Path) -> None:
        store = SqliteRecords(path)
        store.close()
        for call in (lambda: store.get(KIND, "a"), lambda: store.put(record("a")), store.ready):
            with pytest.raises(Unavailable, match="stopping"):
                call()

    def test_not_ready_when_the_file_is_gone(self, path: Path) -> None:
        with opened(path) as store:
            store.ready()
            path.unlink()
            with pytest.raises(Unavailable, match="gone"):
                store.ready()


class TestBusy:
    def test_a_database_locked_by_another_is_unavailable_in_time(self, path: Path) -> None:
        with opened(path, busy_seconds=0.3) as store:
            store.put(record("a"))
            with locked_by_another(path):
                started = time.monotonic()
                with pytest.raises(Unavailable) as caught:
                    store.put(record("b"))
                assert 0.2 < time.monotonic() - started < 1.3
                assert caught.value.headers["Retry-After"] == "1"
                assert store.get(KIND, "a").key == "a"
            store.put(record("b"))

    def test_those_who_wait_in_line_wait_no_longer(self, path: Path) -> None:
        """Each waits for its turn and for the database together: the second is not kept twice as long."""
        with opened(path, busy_seconds=1.0) as store, locked_by_another(path):

            def wait(number: int) -> float:
                time.sleep(0.1 * number)
                started = time.monotonic()
                with pytest.raises(Unavailable):
                    store.put(record(f"k{number}"))
                return time.monotonic() - started

            with ThreadPoolExecutor(2) as pool:
                assert max(pool.map(wait, range(2))) < 1.6

    def test_a_short_lock_is_waited_for(self, path: Path) -> None:
        with opened(path) as store:
            free = threading.Event()

            def hold() -> None:
                with locked_by_another(path):
                    free.set()
                    time.sleep(0.2)

            holder = threading.Thread(target=hold)
            holder.start()
            free.wait()
            store.put(record("a"))
            holder.join()
            assert store.get(KIND, "a").revision == 1

    def test_two_stores_on_one_file_lose_nothing(self, path: Path) -> None:
        with opened(path) as one, opened(path) as two:

            def create(number: int) -> None:
                (one, two)[number % 2].put(record(f"k{number}"))

            with ThreadPoolExecutor(8) as pool:
                list(pool.map(create, range(80)))
            assert one.count("all", KIND).value == two.count("all", KIND).value == 80


class TestFullDisk:
    def test_writes_are_refused_reads_go_on_and_it_recovers(self, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk") as disk, opened(disk / "records.sqlite3") as store:
            acknowledged = [store.put(record(f"k{number}", 5_000)) for number in range(20)]
            with filled(disk):
                refused = 0
                for number in range(200):
                    try:
                        acknowledged.append(store.put(record(f"full{number}", 50_000)))
                    except StorageFull:
                        refused += 1
                assert refused > 100
                with ThreadPoolExecutor(6) as pool:  # more readers than there were connections
                    found = list(pool.map(lambda wanted: store.get(KIND, wanted.key), acknowledged))
                assert found == acknowledged
                assert len(store.query("all", KIND, limit=1000).records) == len(acknowledged)
                store.ready()
            acknowledged += [store.put(record(f"after{number}", 5_000)) for number in range(20)]
            assert [store.get(KIND, wanted.key) for wanted in acknowledged] == acknowledged
            assert store.count("all", KIND).value == len(acknowledged)
            print(f"full disk: {refused} writes refused, {len(acknowledged)} acknowledged, 0 lost, 0 read errors")

    def test_a_disk_full_from_the_start(self, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk") as disk:
            with filled(disk), pytest.raises(StorageFull):
                SqliteRecords(disk / "records.sqlite3")
            with opened(disk / "records.sqlite3") as store:
                store.put(record("a"))


_WRITER = """
import sys
from pathlib import Path
from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.ports import Check, Delete, Place, Put, Record
store = SqliteRecords(Path(sys.argv[1]))
for number in range(10**9):
    pair = [f"{sys.argv[2]}-{number}-{side}" for side in "ab"]
    store.write([Put(Record("thing", key, {"n": number}, {"all": Place("thing", key)})) for key in pair])
    print(*pair, flush=True)
"""


class TestKilled:
    def test_every_acknowledged_write_is_there(self, path: Path) -> None:
        total = 0
        for turn in range(6):
            lines = acknowledged_until_killed(_WRITER, str(path), str(turn), seconds=0.02 + 0.05 * turn)
            keys = [key for line in lines for key in line.split()]
            total += len(keys)
            with opened(path) as store:
                for start in range(0, len(keys), 100):
                    names = [("thing", key) for key in keys[start : start + 100]]
                    assert len(store.get_many(names)) == len(names)
                # At most the write under way was not acknowledged, and it is there whole or not at all.
                assert store.count("all", KIND, cap=10**9).value % 2 == 0
        assert total > 20
        print(f"killed 6 times: {total} acknowledged writes, 0 lost")


class TestExpiry:
    def test_writes_drop_what_expired(self, path: Path) -> None:
        clock = [1000.0]
        with opened(path, now=lambda: clock[0]) as store:
            for number in range(50):
                store.put(replace(record(f"k{number}"), expires_at=2000))
            store.put(replace(record("later"), expires_at=3001))
            clock[0] = 3000
            for number in range(6):
                store.put(Record("other", f"o{number}", {}))
        with closing(sqlite3.connect(path)) as raw:
            assert raw.execute("SELECT key FROM records WHERE kind = ?", (KIND,)).fetchall() == [("later",)]
            assert raw.execute("SELECT key FROM entries").fetchall() == [("later",)]

    def test_a_write_to_a_record_that_expired_meanwhile_finds_it_absent(self, path: Path) -> None:
        clock = [1000.0]
        with opened(path, now=lambda: clock[0]) as store:
            for name in ("a", "b", "c", "d"):
                store.put(replace(record(name), expires_at=2000))
            clock[0] = 2000
            with pytest.raises(RevisionMismatch):
                store.put(replace(record("a"), revision=1))
            with pytest.raises(RevisionMismatch):
                store.delete(KIND, "b", revision=1)
            store.write([Check(KIND, "c", 0), Delete(KIND, "d"), Put(record("a"))])
            assert store.get(KIND, "a").revision == 1
            assert store.count("all", KIND).value == 1

    def test_expiry_is_to_the_second(self, path: Path) -> None:
        clock = [1999.9]
        with opened(path, now=lambda: clock[0]) as store:
            store.put(replace(record("a"), expires_at=2000))
            assert store.get(KIND, "a").expires_at == 2000
            clock[0] = 2000
            with pytest.raises(NotFound):
                store.get(KIND, "a")


class TestCost:
    """Counted in steps of SQLite's virtual machine: unlike time, they are the same on a busy machine."""

    def test_a_create_and_a_page_cost_the_same_whatever_is_stored(self, path: Path) -> None:
        with opened(path) as store:
            small = self._costs(store, 1_000)
            large = self._costs(store, 10_000)
        print({name: f"{small[name]} -> {large[name]} steps" for name in small})
        for name, steps in small.items():
            assert steps > 100, "nothing was counted"
            assert large[name] < 1.2 * steps, name

    def _costs(self, store: SqliteRecords, records: int) -> dict[str, int]:
        start = store.count("all", KIND, cap=10**6).value
        for first in range(start, records, 25):
            store.write([Put(self._record(number)) for number in range(first, min(first + 25, records))])
        with _steps(store) as steps:
            return {
                "create": steps(lambda: store.put(self._record(10**7 + records))),
                "page by time": steps(lambda: store.query("all", KIND, descending=True)),
                "page by metric": steps(lambda: store.query("rank", KIND, after="0.4")),
                "page between": steps(lambda: store.query("rank", KIND, after="0.4", before="0.9", descending=True)),
                "second page": steps(lambda: store.query("all", KIND, token=store.query("all", KIND).next_token)),
                "count": steps(lambda: store.count("all", KIND, cap=500)),
            }

    def _record(self, number: int) -> Record:
        metric = number * 7919 % 100_003 / 100_003
        places = {
            "all": Place(KIND, f"{number:09}"),
            "group": Place(f"g{number % 10}", f"{number:09}"),
            "status": Place("Approved", f"{number:09}"),
            "rank": Place(KIND, f"{metric:.9f}"),
        }
        return Record(KIND, f"k{number}", {"metrics": {"auc": metric}, "text": "x" * 600}, places)


@contextmanager
def _steps(store: SqliteRecords) -> Iterator[Callable[[Callable[[], object]], int]]:
    count = [0]

    def step() -> int:
        count[0] += 1
        return 0

    def steps(work: Callable[[], object]) -> int:
        before = count[0]
        work()
        return count[0] - before

    connections = [store._connections._writer, *store._connections._idle]
    for connection in connections:
        connection.set_progress_handler(step, 1)
    yield steps
    for connection in connections:
        connection.set_progress_handler(None, 1)
