"""The promises of ports.RecordStore, on every adapter."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from mlops_api.domain.errors import AlreadyExists, BadRequest, Invalid, NotFound, PlatformError, RevisionMismatch
from mlops_api.ports import Add, Check, Count, Delete, Index, Overwrite, Place, Put, Record, RecordStore

KIND = "thing"


def record(key: str, data: dict[str, Any] | None = None, **changes: Any) -> Record:
    return replace(Record(KIND, key, data or {"key": key}), **changes)


def at(key: str, sort: str, partition: str = KIND, index: Index = "all") -> Record:
    return record(key, indexes={index: Place(partition, sort)})


def keys(store: RecordStore, index: Index = "all", partition: str = KIND, **options: Any) -> list[str]:
    return [found.key for found in store.query(index, partition, **options).records]


def pages(store: RecordStore, index: Index, partition: str, **options: Any) -> Iterator[Sequence[Record]]:
    token: str | None = None
    while True:
        page = store.query(index, partition, token=token, **options)
        yield page.records
        token = page.next_token
        if token is None:
            return


def all_keys(store: RecordStore, index: Index = "all", partition: str = KIND, **options: Any) -> list[str]:
    return [found.key for page in pages(store, index, partition, **options) for found in page]


def at_once(work: Callable[[int], Any], workers: int = 8) -> list[Any]:
    """Run `work(0..workers-1)` in threads that start together."""
    start = threading.Barrier(workers)

    def run(number: int) -> Any:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(run, range(workers)))


class TestOneRecord:
    def test_what_was_put_is_read_back(self, records: RecordStore) -> None:
        data = {"text": "ä€𝄞\n\x00", "int": -(2**63), "float": 0.1, "none": None, "nested": {"list": [1, True, {}]}}
        wanted = record(
            "a", data, indexes={"all": Place(KIND, "1"), "group": Place("g", "2")}, expires_at=4_000_000_000
        )
        stored = records.put(wanted)
        assert stored.revision == 1
        assert records.get(KIND, "a") == stored == replace(wanted, revision=1)

    def test_a_missing_record_is_not_found(self, records: RecordStore) -> None:
        records.put(record("a"))
        for kind, key in ((KIND, "b"), ("other", "a"), (KIND, "A")):
            with pytest.raises(NotFound):
                records.get(kind, key)

    def test_a_missing_record_is_named(self, records: RecordStore) -> None:
        with pytest.raises(NotFound, match="flights:7"):
            records.get(KIND, "flights:7")

    def test_create_refuses_what_exists(self, records: RecordStore) -> None:
        records.put(record("a", {"v": 1}))
        with pytest.raises(AlreadyExists, match="a"):
            records.put(record("a", {"v": 2}))
        assert records.get(KIND, "a").data == {"v": 1}

    def test_an_update_counts_the_revision_up(self, records: RecordStore) -> None:
        first = records.put(record("a", {"v": 1}))
        second = records.put(replace(first, data={"v": 2}))
        assert (second.revision, records.get(KIND, "a").data) == (2, {"v": 2})

    def test_an_update_of_an_older_revision_is_refused(self, records: RecordStore) -> None:
        first = records.put(record("a", {"v": 1}))
        records.put(replace(first, data={"v": 2}))
        with pytest.raises(RevisionMismatch):
            records.put(replace(first, data={"v": 3}))
        assert records.get(KIND, "a").data == {"v": 2}

    def test_an_update_of_a_record_that_is_gone_is_refused(self, records: RecordStore) -> None:
        first = records.put(record("a"))
        records.delete(KIND, "a")
        with pytest.raises(RevisionMismatch):
            records.put(first)
        with pytest.raises(NotFound):
            records.get(KIND, "a")

    def test_an_update_of_a_record_that_never_was_is_refused(self, records: RecordStore) -> None:
        with pytest.raises(RevisionMismatch):
            records.put(record("a", revision=3))

    def test_delete(self, records: RecordStore) -> None:
        stored = records.put(at("a", "1"))
        with pytest.raises(RevisionMismatch):
            records.delete(KIND, "a", revision=stored.revision + 1)
        records.delete(KIND, "a", revision=stored.revision)
        with pytest.raises(NotFound):
            records.get(KIND, "a")
        assert keys(records) == []
        records.delete(KIND, "a")
        with pytest.raises(RevisionMismatch):
            records.delete(KIND, "a", revision=1)

    def test_a_deleted_record_can_be_created_again(self, records: RecordStore) -> None:
        records.put(replace(records.put(record("a")), data={"v": 2}))
        records.delete(KIND, "a")
        assert records.put(record("a", {"v": 3})).revision == 1

    def test_get_many_returns_those_that_exist(self, records: RecordStore) -> None:
        for key in ("a", "b", "c"):
            records.put(record(key))
        wanted = [(KIND, "a"), (KIND, "c"), (KIND, "missing"), (KIND, "a")]
        assert records.get_many(wanted) == {name: records.get(*name) for name in wanted[:2]}
        assert records.get_many([]) == {}
        assert len(records.get_many([(KIND, f"k{n}") for n in range(99)] + [(KIND, "b")])) == 1
        with pytest.raises(BadRequest, match="100"):
            records.get_many([(KIND, f"k{n}") for n in range(101)])

    def test_get_many_reads_several_kinds_at_once(self, records: RecordStore) -> None:
        for kind in ("one", "other"):
            records.put(record("a", {"of": kind}, kind=kind))
        records.put(record("b", kind="other"))
        found = records.get_many([("one", "a"), ("other", "a"), ("one", "b")])
        assert {name: item.data for name, item in found.items()} == {
            ("one", "a"): {"of": "one"},
            ("other", "a"): {"of": "other"},
        }

    def test_ready(self, records: RecordStore) -> None:
        records.ready()


class TestRefusals:
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_numbers_must_be_finite(self, records: RecordStore, value: float) -> None:
        for data in ({"v": value}, {"v": [1.0, {"deep": value}], "n": None}):
            with pytest.raises(Invalid, match=r"thing a .*NaN"):
                records.put(record("a", data))
        with pytest.raises(NotFound):
            records.get(KIND, "a")

    @pytest.mark.parametrize("data", [{"v": object()}, {"v": 2**70}, {1: "v"}, {"v": "\ud800"}, {"v": {1, 2}}])
    def test_data_must_be_json(self, records: RecordStore, data: Any) -> None:
        with pytest.raises(Invalid, match="not JSON"):
            records.put(record("a", data))

    def test_size_is_capped(self, records: RecordStore) -> None:
        records.put(record("fits", {"v": "x" * (350_000 - len('{"v":""}'))}))
        with pytest.raises(Invalid, match="350000"):
            records.put(record("large", {"v": "x" * (350_001 - len('{"v":""}'))}))
        with pytest.raises(Invalid):
            records.put(record("wide", {"v": "€" * 150_000}))

    @pytest.mark.parametrize("key", ["", "k" * 513, "€" * 200, "\ud800"])
    def test_names_are_bounded(self, records: RecordStore, key: str) -> None:
        with pytest.raises(BadRequest):
            records.put(record(key, {}))
        with pytest.raises(BadRequest):
            records.put(record("a", indexes={"all": Place(key, "1")}))

    @pytest.mark.parametrize(("sort", "key"), [("s" * 512, "k" * 484), ("s" * 12, "\0" * 492)])
    def test_what_orders_an_index_is_bounded_together(self, records: RecordStore, sort: str, key: str) -> None:
        with pytest.raises(BadRequest, match="1001"):
            records.put(at(key, sort))
        records.put(at(key, sort[1:]))
        assert keys(records) == [key]

    def test_a_write_is_bounded_as_a_whole(self, records: RecordStore) -> None:
        def writes(count: int) -> list[Put]:
            return [Put(replace(at(f"{count}-{n}", "1"), data={"v": "x" * 349_000})) for n in range(count)]

        with pytest.raises(Invalid, match="3500000"):
            records.write(writes(11))
        records.write(writes(10))
        assert len(keys(records, limit=100)) == 10

    def test_a_name_no_record_can_have_is_not_found(self, records: RecordStore) -> None:
        for key in ("", "k" * 3000, "\ud800"):
            with pytest.raises((NotFound, BadRequest)):
                records.get(KIND, key)


class TestUnicode:
    NAMES = ("ä", "a\u0308", "€/;'\"%_*?[x]", "日本語", "𝄞", "nul\x00inside", " ", "A", "a", "line\nbreak", "k" * 512)

    def test_every_name_is_a_name_of_its_own(self, records: RecordStore) -> None:
        for name in self.NAMES:
            records.put(record(name, {"name": name}, indexes={"group": Place(name, name[:480])}))
        for name in self.NAMES:
            assert records.get(KIND, name).data == {"name": name}
            assert keys(records, "group", name) == [name]

    def test_pages_are_in_byte_order_of_sort(self, records: RecordStore) -> None:
        sorts = ["", "A", "Z", "a", "a\x00", "ab", "z", "ä", "€", "\ufffd", "𝄞", "10", "9", "-"]
        for number, sort in enumerate(sorts):
            records.put(at(f"k{number}", sort))
        wanted = sorted(sorts, key=str.encode)
        assert wanted.index("\ufffd") < wanted.index("𝄞"), "UTF-16 order would differ"
        for limit in (1, 3, 100):
            found = [r.indexes["all"].sort for page in pages(records, "all", KIND, limit=limit) for r in page]
            assert found == wanted


class TestWrite:
    def test_writes_all(self, records: RecordStore) -> None:
        old = records.put(at("old", "1"))
        gone = records.put(at("gone", "2"))
        records.write(
            [
                Put(record("new", indexes={"all": Place(KIND, "3")})),
                Put(replace(old, data={"v": 2})),
                Delete(KIND, "gone", gone.revision),
                Delete(KIND, "never was"),
                Check(KIND, "absent", 0),
            ]
        )
        assert keys(records) == ["old", "new"]
        assert records.get(KIND, "old").revision == 2

    @pytest.mark.parametrize(
        ("obstacle", "error", "name"),
        [
            (Put(record("here")), AlreadyExists, "here"),
            (Put(record("here", revision=7)), RevisionMismatch, "here"),
            (Put(record("gone", revision=1)), RevisionMismatch, "gone"),
            (Delete(KIND, "here", 7), RevisionMismatch, "here"),
            (Delete(KIND, "gone", 1), RevisionMismatch, "gone"),
            (Check(KIND, "here", 0), RevisionMismatch, "here"),
            (Check(KIND, "here", 7), RevisionMismatch, "here"),
            (Check(KIND, "gone", 1), RevisionMismatch, "gone"),
        ],
    )
    def test_writes_nothing_when_one_record_stands_in_the_way(
        self, records: RecordStore, obstacle: Any, error: type[PlatformError], name: str
    ) -> None:
        records.put(at("here", "1"))
        records.put(at("other", "2"))
        with pytest.raises(error, match=name):
            records.write([Put(at("new", "3")), Delete(KIND, "other"), obstacle, Put(at("last", "4"))])
        assert keys(records) == ["here", "other"]
        assert records.get(KIND, "here").revision == 1
        with pytest.raises(NotFound):
            records.get(KIND, "new")

    def test_names_the_first_record_that_stood_in_the_way(self, records: RecordStore) -> None:
        records.put(record("b-here"))
        records.put(record("a-here"))
        with pytest.raises(AlreadyExists, match="b-here") as caught:
            records.write([Put(record("new")), Put(record("b-here")), Put(record("a-here"))])
        assert caught.value.extra["key"] == "b-here"

    def test_overwrites_whatever_stands_there(self, records: RecordStore) -> None:
        stood = records.put(replace(at("here", "1"), expires_at=4_000_000_000))
        for key in ("here", "new"):
            records.write([Overwrite(record(key, {"v": 2}, indexes={"group": Place("g", key)}))])
        assert keys(records) == []
        assert keys(records, "group", "g") == ["here", "new"]
        found = records.get(KIND, "here")
        assert (found.data, found.expires_at) == ({"v": 2}, None)
        with pytest.raises(RevisionMismatch):
            records.put(stood)
        assert records.put(replace(found, data={"v": 3})).revision == found.revision + 1

    def test_what_is_overwritten_may_expire(self, records: RecordStore) -> None:
        records.write([Overwrite(replace(at("a", "1"), expires_at=int(time.time()) - 1))])
        assert keys(records) == []
        records.write([Overwrite(at("a", "1"))])
        assert keys(records) == ["a"]

    def test_adds_to_numbers(self, records: RecordStore) -> None:
        records.write([Add(KIND, "sums", {"a": 2**50, "b": -1}, {"all": Place(KIND, "1")})])
        records.write([Add(KIND, "sums", {"a": 1, "c": 0}, {"all": Place(KIND, "2")})])
        found = records.get(KIND, "sums")
        assert (found.data, found.revision) == ({"a": 2**50 + 1, "b": -1, "c": 0}, 2)
        assert found.indexes == {"all": Place(KIND, "2")}
        assert [item.data for item in records.query("all", KIND).records] == [found.data]
        assert records.get_many([(KIND, "sums")]) == {(KIND, "sums"): found}

    def test_adds_to_what_was_put(self, records: RecordStore) -> None:
        first = records.put(record("sums", {"a": 5}))
        records.write([Add(KIND, "sums", {"a": 1, "b": 2})])
        assert records.get(KIND, "sums").data == {"a": 6, "b": 2}
        with pytest.raises(RevisionMismatch):
            records.put(first)
        records.put(replace(records.get(KIND, "sums"), data={"a": 1}))
        records.write([Add(KIND, "sums", {"a": 1})])
        assert records.get(KIND, "sums").data == {"a": 2}

    @pytest.mark.parametrize("name", ["a", "dataset/Ready", "2026-11-25", "ä b", "#a0", "revision", "x" * 200])
    def test_numbers_have_any_name(self, records: RecordStore, name: str) -> None:
        for _ in range(2):
            records.write([Add(KIND, "sums", {name: 1})])
        assert records.get(KIND, "sums").data == {name: 2}

    @pytest.mark.parametrize("delta", [1.5, True, "1", None, 2**60])
    def test_only_whole_numbers_are_added(self, records: RecordStore, delta: Any) -> None:
        with pytest.raises(Invalid, match="whole number"):
            records.write([Put(record("a")), Add(KIND, "sums", {"a": delta})])
        assert records.get_many([(KIND, "a"), (KIND, "sums")]) == {}

    def test_nothing_is_added_when_a_record_stands_in_the_way(self, records: RecordStore) -> None:
        records.put(record("here"))
        with pytest.raises(AlreadyExists):
            records.write([Add(KIND, "sums", {"a": 1}), Overwrite(record("other")), Put(record("here"))])
        assert records.get_many([(KIND, "sums"), (KIND, "other")]) == {}

    def test_twenty_five_records_at_once_and_no_more(self, records: RecordStore) -> None:
        records.write([Put(at(f"k{number:02}", "1")) for number in range(25)])
        assert len(keys(records)) == 25
        with pytest.raises(BadRequest, match="25"):
            records.write([Put(record(f"n{number}")) for number in range(26)])

    def test_a_record_appears_once(self, records: RecordStore) -> None:
        with pytest.raises(BadRequest, match="only once"):
            records.write([Put(record("a")), Delete(KIND, "a")])
        records.write([Put(record("a")), Put(Record("other", "a", {}))])

    def test_invalid_data_writes_nothing(self, records: RecordStore) -> None:
        with pytest.raises(Invalid):
            records.write([Put(record("a")), Put(record("b", {"v": math.nan}))])
        with pytest.raises(NotFound):
            records.get(KIND, "a")

    def test_no_writes_is_no_error(self, records: RecordStore) -> None:
        records.write([])


class TestIndexes:
    def test_a_record_is_in_the_indexes_it_names(self, records: RecordStore) -> None:
        stored = records.put(record("a", indexes={"all": Place(KIND, "1"), "status": Place("Ready", "1")}))
        assert keys(records) == keys(records, "status", "Ready") == ["a"]
        assert keys(records, "group", "Ready") == keys(records, "status", "Failed") == []
        records.put(replace(stored, indexes={"status": Place("Failed", "1")}))
        assert keys(records, "status", "Failed") == ["a"]
        assert keys(records) == keys(records, "status", "Ready") == []

    def test_a_changed_sort_moves_the_record(self, records: RecordStore) -> None:
        stored = records.put(at("a", "1"))
        records.put(at("b", "2"))
        records.put(replace(stored, indexes={"all": Place(KIND, "3")}))
        assert keys(records) == ["b", "a"]

    def test_a_page_shows_current_data(self, records: RecordStore) -> None:
        stored = records.put(at("a", "1"))
        changed = records.put(replace(stored, data={"v": 2}))
        assert list(records.query("all", KIND).records) == [changed]

    def test_kinds_may_share_a_partition_and_a_key(self, records: RecordStore) -> None:
        for kind in ("one", "two"):
            records.put(Record(kind, "same", {}, indexes={"all": Place("shared", "1")}))
        found = [r.kind for page in pages(records, "all", "shared", limit=1) for r in page]
        assert sorted(found) == ["one", "two"]

    def test_partitions_do_not_leak_into_each_other(self, records: RecordStore) -> None:
        for partition in ("a", "ab", "a#b", "A"):
            records.put(at(f"in {partition}", "1", partition))
        assert keys(records, "all", "a") == ["in a"]


class TestPages:
    def test_pages_have_neither_gap_nor_repeat(self, records: RecordStore) -> None:
        for number in range(23):
            records.put(at(f"k{number:02}", f"{number % 5}"))
        wanted = sorted((f"k{n:02}" for n in range(23)), key=lambda key: (int(key[1:]) % 5, key))
        for limit in (1, 2, 5, 22, 23, 24, 1000):
            assert all_keys(records, limit=limit) == wanted
            assert all_keys(records, limit=limit, descending=True) == wanted[::-1]

    def test_a_page_holds_at_most_limit(self, records: RecordStore) -> None:
        for number in range(7):
            records.put(at(f"k{number}", "1"))
        assert all(len(page) <= 3 for page in pages(records, "all", KIND, limit=3))

    def test_the_last_page_has_no_token(self, records: RecordStore) -> None:
        assert records.query("all", KIND).next_token is None
        records.put(at("a", "1"))
        assert records.query("all", KIND, limit=10).next_token is None

    @pytest.mark.parametrize("limit", [0, -1, 1001])
    def test_limit_is_bounded(self, records: RecordStore, limit: int) -> None:
        with pytest.raises(BadRequest, match="limit"):
            records.query("all", KIND, limit=limit)

    def test_records_that_come_and_go_do_not_disturb_the_others(self, records: RecordStore) -> None:
        for number in range(0, 40, 2):
            records.put(at(f"k{number:02}", f"{number:02}"))
        seen = []
        for turn, page in enumerate(pages(records, "all", KIND, limit=4)):
            seen += [found.key for found in page]
            records.delete(KIND, seen[-1])
            records.put(at(f"early{turn}", "00"))
            records.put(at(f"late{turn}", "99"))
            if turn > 20:
                break
        steady = [key for key in seen if key.startswith("k")]
        assert steady == [f"k{number:02}" for number in range(0, 40, 2)]
        assert not [key for key in seen if key.startswith("early")]
        assert len(seen) == len(set(seen))

    def test_bounds_are_exclusive(self, records: RecordStore) -> None:
        for number in range(6):
            records.put(at(f"k{number}", str(number)))
        assert keys(records, after="1", before="4") == ["k2", "k3"]
        assert keys(records, after="1", before="4", descending=True) == ["k3", "k2"]
        assert keys(records, after="4") == ["k5"]
        assert keys(records, before="1") == ["k0"]
        assert keys(records, after="1.5") == ["k2", "k3", "k4", "k5"]
        assert keys(records, after="9") == keys(records, after="3", before="3") == []

    def test_bounds_hold_for_ties_and_on_every_page(self, records: RecordStore) -> None:
        for number in range(30):
            records.put(at(f"k{number:02}", str(number // 5)))
        wanted = [f"k{number:02}" for number in range(10, 25)]
        for limit in (1, 4, 100):
            assert all_keys(records, after="1", before="5", limit=limit) == wanted
            assert all_keys(records, after="1", before="5", limit=limit, descending=True) == wanted[::-1]

    def test_a_token_serves_only_its_query(self, records: RecordStore) -> None:
        for number in range(4):
            places = {"all": Place(KIND, str(number)), "group": Place(KIND, str(number))}
            records.put(record(f"k{number}", indexes=places))
        token = records.query("all", KIND, limit=2).next_token
        assert token is not None
        for index, partition, descending in (("group", KIND, False), ("all", "x", False), ("all", KIND, True)):
            with pytest.raises(BadRequest, match="next_token"):
                records.query(index, partition, descending=descending, token=token)

    @pytest.mark.parametrize("token", ["", "x", "!!", "e30", "W10", "bnVsbA", "WzFd", "ä", "a" * 5000])
    def test_a_made_up_token_is_refused(self, records: RecordStore, token: str) -> None:
        with pytest.raises(BadRequest, match="next_token"):
            records.query("all", KIND, token=token)

    def test_a_changed_token_is_refused(self, records: RecordStore) -> None:
        for number in range(3):
            records.put(at(f"k{number}", str(number)))
        token = records.query("all", KIND, limit=1).next_token
        assert token is not None
        middle = len(token) // 2
        changed = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
        with pytest.raises(BadRequest, match="next_token"):
            records.query("all", KIND, token=changed)

    def test_more_than_a_thousand_records(self, records: RecordStore) -> None:
        wanted = [f"k{number:04}" for number in range(1_100)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: records.put(at(key, "same", index="status")), wanted))
        assert all_keys(records, "status", limit=1000) == wanted
        assert all_keys(records, "status", limit=300, descending=True) == wanted[::-1]
        assert records.count("status", KIND) == Count(1_100, exact=True)

    def test_large_records_page_too(self, records: RecordStore) -> None:
        for number in range(12):
            records.put(replace(at(f"k{number:02}", "1"), data={"v": "x" * 340_000}))
        assert all_keys(records, limit=100) == [f"k{number:02}" for number in range(12)]


class TestCount:
    def test_counts_up_to_the_cap(self, records: RecordStore) -> None:
        assert records.count("all", KIND) == Count(0, exact=True)
        for number in range(5):
            records.put(at(f"k{number}", "1"))
        assert records.count("all", KIND) == Count(5, exact=True)
        assert records.count("all", KIND, cap=5) == Count(5, exact=True)
        assert records.count("all", KIND, cap=4) == Count(4, exact=False)


class TestExpiry:
    def test_an_expired_record_is_not_shown(self, records: RecordStore) -> None:
        past, future = int(time.time()) - 10, int(time.time()) + 1000
        records.put(replace(at("past", "1"), expires_at=past))
        records.put(replace(at("future", "2"), expires_at=future))
        with pytest.raises(NotFound):
            records.get(KIND, "past")
        assert list(records.get_many([(KIND, "past"), (KIND, "future")])) == [(KIND, "future")]
        assert keys(records) == ["future"]
        assert records.count("all", KIND) == Count(1, exact=True)

    def test_an_expired_record_counts_as_absent(self, records: RecordStore) -> None:
        past = int(time.time()) - 10
        for name in ("a", "b", "c", "d"):
            records.put(record(name, expires_at=past))
        with pytest.raises(RevisionMismatch):
            records.put(record("a", revision=1))
        with pytest.raises(RevisionMismatch):
            records.delete(KIND, "b", revision=1)
        records.write([Check(KIND, "c", 0), Delete(KIND, "d"), Put(record("a", {"v": 2}))])
        assert records.get(KIND, "a").data == {"v": 2}

    def test_expiry_can_be_changed(self, records: RecordStore) -> None:
        stored = records.put(replace(at("a", "1"), expires_at=int(time.time()) + 1000))
        kept = records.put(replace(stored, expires_at=None))
        assert records.get(KIND, "a").expires_at is None
        records.put(replace(kept, expires_at=int(time.time()) - 1))
        assert keys(records) == []

    def test_a_record_expires_while_nobody_writes(self, records: RecordStore) -> None:
        records.put(replace(at("a", "1"), expires_at=math.ceil(time.time()) + 1))
        assert keys(records) == ["a"]
        deadline = time.monotonic() + 10
        while keys(records) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert keys(records) == []


class TestConcurrency:
    def test_no_increment_is_lost(self, records: RecordStore) -> None:
        records.put(record("counter", {"n": 0}))
        conflicts = 0

        def add_one() -> None:
            nonlocal conflicts
            while True:
                current = records.get(KIND, "counter")
                try:
                    records.put(replace(current, data={"n": current.data["n"] + 1}))
                except RevisionMismatch:
                    conflicts += 1
                else:
                    return

        at_once(lambda _: [add_one() for _ in range(25)])
        assert records.get(KIND, "counter").data == {"n": 200}
        assert records.get(KIND, "counter").revision == 201
        assert conflicts > 0, "the threads never met, so nothing was proved"

    def test_no_addition_is_lost(self, records: RecordStore) -> None:
        def add(number: int) -> None:
            for turn in range(5):
                records.write([Add(KIND, "sums", {"n": 1, f"of{number}": turn}), Put(record(f"{number}-{turn}"))])

        at_once(add)
        found = records.get(KIND, "sums")
        assert found.data == {"n": 40} | {f"of{number}": 10 for number in range(8)}
        assert found.revision == 40

    def test_exactly_one_create_wins(self, records: RecordStore) -> None:
        def create(number: int, key: str) -> bool:
            try:
                records.put(record(key, {"by": number}))
            except AlreadyExists:
                return False
            return True

        for round_ in range(20):
            won = at_once(lambda number, key=f"k{round_}": create(number, key))
            assert sum(won) == 1
            assert records.get(KIND, f"k{round_}").data == {"by": won.index(True)}

    def test_a_multi_write_is_seen_whole_or_not_at_all(self, records: RecordStore) -> None:
        stop = threading.Event()
        torn: list[list[str]] = []

        def watch() -> None:
            while not stop.wait(0.001):
                found = keys(records, "group", "pair", limit=1000)
                if len(found) % 2:
                    torn.append(found)

        with ThreadPoolExecutor(2) as pool:
            watchers = [pool.submit(watch) for _ in range(2)]
            for number in range(60):
                records.write([Put(at(f"{side}{number}", "1", "pair", "group")) for side in "ab"])
            stop.set()
            for watcher in watchers:
                watcher.result()
        assert torn == []
