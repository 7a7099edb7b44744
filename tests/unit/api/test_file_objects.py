"""What the folder adds to the contract: links, moves, faults, restarts."""

import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_api.adapters.local import durable, object_files
from mlops_api.adapters.local.file_objects import FileObjects
from mlops_api.adapters.local.object_paths import object_path
from mlops_api.adapters.local.signing import UrlSigner
from mlops_api.domain.errors import BadRequest, Conflict, Invalid, NotFound, StorageFull
from tests.support.killed_writer import acknowledged_until_killed
from tests.support.open_files import open_files
from tests.support.small_disk import filled, small_disk

MEBIBYTE = 1 << 20


def store_in(folder: Path, part_size: int = 100) -> FileObjects:
    return FileObjects(folder, UrlSigner(b"secret"), lambda: "http://127.0.0.1:1", part_size=part_size)


@pytest.fixture
def objects(tmp_path: Path) -> FileObjects:
    return store_in(tmp_path / "store")


def keys(objects: FileObjects) -> list[str]:
    return [found.key for found in objects.list("").objects]


def side_files(objects_folder: Path) -> list[str]:
    return [path.name for name in ("temporary", "uploads") for path in (objects_folder / name).iterdir()]


def send(objects: FileObjects, upload_id: str, number: int, content: bytes) -> tuple[int, str]:
    part = objects.open_part(upload_id, number)
    try:
        part.write(content)
        return number, part.finish()
    finally:
        part.abandon()


class TestPaths:
    def test_names_are_plain_where_they_can_be(self, tmp_path: Path) -> None:
        found = object_path(tmp_path, "Datasets/flights/1/raw.csv").relative_to(tmp_path)
        assert str(found) == "%44atasets+/flights+/1+/raw.csv"

    def test_keys_that_differ_in_case_do_not_meet_on_any_file_system(self, tmp_path: Path) -> None:
        assert str(object_path(tmp_path, "a")).lower() != str(object_path(tmp_path, "A")).lower()

    def test_no_name_is_too_long_for_a_file_system(self, tmp_path: Path) -> None:
        for key in ("k" * 900, "€" * 300, "k" * 240 + "/" + "K" * 80 + "/x"):
            assert max(map(len, object_path(tmp_path, key).relative_to(tmp_path).parts)) <= 241


class TestLinks:
    def test_a_link_in_the_place_of_an_object_is_not_followed(self, objects: FileObjects, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.write_bytes(b"private")
        objects.put("a/b", b"")
        (objects.local_path("a/b").parent / "link").symlink_to(outside)
        for read in (objects.read, objects.info, objects.stream, objects.local_path):
            with pytest.raises(NotFound):
                read("a/link")
        assert keys(objects) == ["a/b"]
        objects.put("a/link", b"mine")
        assert (outside.read_bytes(), objects.read("a/link")) == (b"private", b"mine")

    def test_a_link_in_the_place_of_a_folder_is_refused(self, objects: FileObjects, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "file").write_bytes(b"private")
        objects.put("a/b", b"")
        (objects.local_path("a/b").parent / "link+").symlink_to(outside)
        for call in (
            lambda: objects.read("a/link/file"),
            lambda: objects.put("a/link/new", b""),
            lambda: objects.delete("a/link/file"),
        ):
            with pytest.raises(BadRequest, match="link"):
                call()
        assert keys(objects) == ["a/b"]
        assert [path.name for path in outside.iterdir()] == ["file"]

    def test_a_pipe_in_the_place_of_an_object_does_not_block(self, objects: FileObjects) -> None:
        objects.put("a/b", b"")
        os.mkfifo(objects.local_path("a/b").parent / "pipe")
        with pytest.raises(NotFound):
            objects.read("a/pipe")

    def test_files_that_others_put_there_are_not_listed(self, objects: FileObjects) -> None:
        objects.put("a/b", b"")
        for name in (".DS_Store", "%zz", "odd name", "ä"):
            (objects.local_path("a/b").parent / name).write_bytes(b"")
        assert keys(objects) == ["a/b"]


class TestPutFile:
    def test_the_file_is_moved(self, objects: FileObjects, tmp_path: Path) -> None:
        path = tmp_path / "model"
        path.write_bytes(b"model")
        inode = path.stat().st_ino
        objects.put_file("a", path)
        assert not path.exists()
        assert objects.local_path("a").stat().st_ino == inode
        assert objects.local_path("a").stat().st_nlink == 1

    def test_a_file_with_another_name_is_copied(self, objects: FileObjects, tmp_path: Path) -> None:
        """Whoever holds the other name could change the object."""
        path, other = tmp_path / "model", tmp_path / "other"
        path.write_bytes(b"model")
        other.hardlink_to(path)
        objects.put_file("a", path)
        other.write_bytes(b"other")
        assert objects.read("a") == b"model"

    def test_a_file_of_another_file_system_is_copied(self, objects: FileObjects, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk") as disk:
            (disk / "model").write_bytes(b"model")
            objects.put_file("a", disk / "model")
            assert objects.read("a") == b"model"

    def test_an_object_can_be_stored_under_a_second_key(self, objects: FileObjects, tmp_path: Path) -> None:
        objects.put("a", b"1")
        link = tmp_path / "link"
        link.hardlink_to(objects.local_path("a"))
        objects.put_file("b", link)
        assert objects.read("a") == objects.read("b") == b"1"
        assert not objects.local_path("a").samefile(objects.local_path("b"))

    def test_what_is_no_file_is_refused(self, objects: FileObjects, tmp_path: Path) -> None:
        target = tmp_path / "private"
        target.write_bytes(b"private")
        (tmp_path / "link").symlink_to(target)
        os.mkfifo(tmp_path / "pipe")
        for name in ("link", "pipe", "."):
            with pytest.raises(Invalid, match="not a file"):
                objects.put_file("a", tmp_path / name)
        with pytest.raises(FileNotFoundError):
            objects.put_file("a", tmp_path / "missing")
        assert keys(objects) == []


class TestImmutable:
    def test_files_are_read_only(self, objects: FileObjects, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        objects.put("put", b"")
        objects.put_file("file", tmp_path / "file")
        upload = objects.start_upload("upload", size=1, expires_in=60)
        objects.complete_upload(upload.upload_id, [send(objects, upload.upload_id, 1, b"x")])
        for key in keys(objects):
            assert stat.S_IMODE(objects.local_path(key).stat().st_mode) == 0o444, key

    def test_a_hard_link_keeps_its_version(self, objects: FileObjects, tmp_path: Path) -> None:
        objects.put("a", b"old")
        link = tmp_path / "input"
        link.hardlink_to(objects.local_path("a"))
        objects.put("a", b"new")
        assert (link.read_bytes(), objects.read("a")) == (b"old", b"new")

    def test_every_version_has_an_etag_of_its_own(self, objects: FileObjects, monkeypatch: pytest.MonkeyPatch) -> None:
        # Faster than the clock that the kernel stamps files with.
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)
        assert len({objects.put("a", b"same").etag for _ in range(200)}) == 200

    def test_the_etag_outlives_the_store(self, objects: FileObjects, tmp_path: Path) -> None:
        info = objects.put("a", b"1")
        assert store_in(tmp_path / "store").info("a") == info


class TestDurable:
    def test_content_then_name_is_made_durable(
        self, objects: FileObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps: list[str] = []
        sync, rename = os.fsync, Path.replace

        def fsync(descriptor: int) -> None:
            steps.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "content")
            sync(descriptor)

        def replace(source: Path, target: Path) -> Path:
            steps.append("rename")
            return rename(source, target)

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(Path, "replace", replace)
        for write in (
            lambda: objects.put("a", b"1"),
            lambda: durable.write_file(tmp_path / "file", b"1"),
        ):
            steps.clear()
            write()
            assert steps == ["content", "rename", "folder"]
        steps.clear()
        objects.put("new/folder/a", b"1")
        assert steps == ["content", "folder", "folder", "rename", "folder"]

    def test_write_file_leaves_nothing_behind_when_it_fails(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(descriptor: int) -> None:
            raise OSError("the disk is broken")

        durable.write_file(tmp_path / "file", b"old", mode=0o600)
        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="broken"):
            durable.write_file(tmp_path / "file", b"new")
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
        assert (tmp_path / "file").read_bytes() == b"old"


class TestPruning:
    def test_a_folder_is_not_removed_between_being_made_and_being_filled(
        self, objects: FileObjects, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        objects.put("folder/old", b"")
        deleting = threading.Thread(target=objects.delete, args=["folder/old"])

        def make_folder_while_another_deletes(folder: Path) -> None:
            durable.make_folder(folder)
            deleting.start()
            deleting.join(timeout=0.3)

        monkeypatch.setattr(object_files, "make_folder", make_folder_while_another_deletes)
        objects.put("folder/new", b"1")
        deleting.join()
        assert keys(objects) == ["folder/new"]

    def test_deleting_the_last_object_leaves_no_folders(self, objects: FileObjects, tmp_path: Path) -> None:
        for key in ("a/b/c", "a/b/d"):
            objects.put(key, b"")
        objects.delete("a/b/c")
        assert keys(objects) == ["a/b/d"]
        objects.delete("a/b/d")
        assert list((tmp_path / "store" / "objects").iterdir()) == []


class TestOpenFiles:
    def test_a_stream_that_is_dropped_closes_its_file(self, objects: FileObjects) -> None:
        objects.put("a", b"0123456789")
        path = str(objects.local_path("a"))
        unread, begun = objects.stream("a"), objects.stream("a", chunk=2)
        next(begun)
        assert path in open_files()
        del unread, begun
        assert path not in open_files()
        list(objects.stream("a"))
        assert path not in open_files()


class TestFullDisk:
    @pytest.fixture
    def disk(self, tmp_path: Path) -> Iterator[Path]:
        with small_disk(tmp_path / "disk", size="4m") as disk:
            yield disk

    def test_a_put_is_refused_and_the_old_object_stays(self, disk: Path, tmp_path: Path) -> None:
        objects = store_in(disk / "store")
        objects.put("a", b"old")
        (tmp_path / "file").write_bytes(b"x" * MEBIBYTE)
        with filled(disk):
            for write in (
                lambda: objects.put("a", b"x" * MEBIBYTE),
                lambda: objects.put("new/folder/b", b"x"),
                lambda: objects.put_file("a", tmp_path / "file"),
                lambda: objects.start_upload("b", size=1, expires_in=60),
            ):
                with pytest.raises(StorageFull, match="Free some disk space"):
                    write()
            assert (objects.read("a"), keys(objects)) == (b"old", ["a"])
            assert (tmp_path / "file").exists()
        assert side_files(disk / "store") == []
        objects.put("a", b"new" * 1000)
        assert objects.read("a") == b"new" * 1000

    def test_an_upload_that_cannot_fit_is_refused_at_the_start(self, disk: Path) -> None:
        objects = store_in(disk / "store")
        with pytest.raises(StorageFull, match="5000000"):
            objects.start_upload("a", size=5_000_000, expires_in=60)
        assert side_files(disk / "store") == []

    def test_an_upload_goes_on_when_there_is_space_again(self, disk: Path) -> None:
        objects = store_in(disk / "store", part_size=MEBIBYTE)
        content = os.urandom(2 * MEBIBYTE)
        upload = objects.start_upload("a", size=len(content), expires_in=60)
        etags = [send(objects, upload.upload_id, 1, content[:MEBIBYTE])]
        with filled(disk):
            part = objects.open_part(upload.upload_id, 2)
            with pytest.raises(StorageFull):
                part.write(content[MEBIBYTE:])
            part.abandon()
        assert [part.etag for part in objects.resume_upload(upload.upload_id, expires_in=60).parts] == [
            etags[0][1],
            None,
        ]
        etags.append(send(objects, upload.upload_id, 2, content[MEBIBYTE:]))
        objects.complete_upload(upload.upload_id, etags)
        assert objects.read("a") == content


class TestUploads:
    def test_there_are_never_more_than_ten_thousand_parts(self, tmp_path: Path) -> None:
        objects = store_in(tmp_path / "store", part_size=16)
        assert len(objects.start_upload("a", size=160_000, expires_in=60).parts) == 10_000
        larger = objects.start_upload("a", size=160_001, expires_in=60)
        assert (larger.part_size, len(larger.parts)) == (MEBIBYTE, 1)

    def test_parts_outlive_the_store(self, objects: FileObjects, tmp_path: Path) -> None:
        upload = objects.start_upload("a", size=250, expires_in=60)
        etags = [send(objects, upload.upload_id, number, b"x" * size) for number, size in ((1, 100), (3, 50))]
        again = store_in(tmp_path / "store")
        found = again.resume_upload(upload.upload_id, expires_in=60)
        assert [part.etag for part in found.parts] == [etags[0][1], None, etags[1][1]]
        etags.append(send(again, upload.upload_id, 2, b"y" * 100))
        again.complete_upload(upload.upload_id, etags)
        assert again.read("a") == b"x" * 100 + b"y" * 100 + b"x" * 50

    def test_an_etag_is_the_hash_of_the_part(self, objects: FileObjects) -> None:
        upload = objects.start_upload("a", size=3, expires_in=60)
        assert send(objects, upload.upload_id, 1, b"abc") == (1, hashlib.sha256(b"abc").hexdigest())

    def test_a_part_begun_again_does_not_count_until_it_is_whole(self, objects: FileObjects, tmp_path: Path) -> None:
        upload = objects.start_upload("a", size=100, expires_in=60)
        etag = send(objects, upload.upload_id, 1, b"x" * 100)
        broken = objects.open_part(upload.upload_id, 1)
        broken.write(b"y" * 50)
        broken.abandon()
        for store in (objects, store_in(tmp_path / "store")):
            assert store.resume_upload(upload.upload_id, expires_in=60).parts[0].etag is None
            with pytest.raises(Conflict, match="missing: 1"):
                store.complete_upload(upload.upload_id, [etag])

    def test_the_newest_sender_of_a_part_cuts_off_the_older(self, objects: FileObjects) -> None:
        upload = objects.start_upload("a", size=100, expires_in=60)
        old = objects.open_part(upload.upload_id, 1)
        old.write(b"x" * 60)
        new = objects.open_part(upload.upload_id, 1)
        new.write(b"y" * 60)
        with pytest.raises(Conflict, match="sent again"):
            old.write(b"x" * 40)
        old.abandon()
        new.write(b"y" * 40)
        objects.complete_upload(upload.upload_id, [(1, new.finish())])
        assert objects.read("a") == b"y" * 100

    def test_an_older_sender_that_was_done_does_not_count(self, objects: FileObjects) -> None:
        upload = objects.start_upload("a", size=100, expires_in=60)
        old = objects.open_part(upload.upload_id, 1)
        old.write(b"x" * 100)
        new = objects.open_part(upload.upload_id, 1)
        with pytest.raises(Conflict, match="sent again"):
            old.finish()
        old.abandon()
        new.write(b"y" * 100)
        etag = new.finish()
        assert objects.resume_upload(upload.upload_id, expires_in=60).parts[0].etag == etag

    def test_a_sender_cannot_write_into_a_finished_object(self, objects: FileObjects) -> None:
        upload = objects.start_upload("a", size=200, expires_in=60)
        etags = [send(objects, upload.upload_id, number, b"x" * 100) for number in (1, 2)]
        objects.complete_upload(upload.upload_id, etags)
        aborted = objects.start_upload("b", size=100, expires_in=60)
        late = objects.open_part(aborted.upload_id, 1)
        objects.abort_upload(aborted.upload_id)
        with pytest.raises(NotFound):
            late.write(b"y")
        late.abandon()
        assert objects.read("a") == b"x" * 200

    def test_a_part_has_its_length(self, objects: FileObjects) -> None:
        upload = objects.start_upload("a", size=150, expires_in=60)
        for number, size in ((1, 101), (2, 51)):
            with pytest.raises(Invalid, match="more were sent"):
                send(objects, upload.upload_id, number, b"x" * size)
        for number, size in ((1, 99), (2, 49)):
            with pytest.raises(Invalid, match=f"only {size} were sent"):
                send(objects, upload.upload_id, number, b"x" * size)
        for number in (0, 3):
            with pytest.raises(BadRequest, match="parts 1 to 2"):
                objects.open_part(upload.upload_id, number)

    def test_a_journal_cut_short_loses_only_its_last_line(self, objects: FileObjects, tmp_path: Path) -> None:
        upload = objects.start_upload("a", size=250, expires_in=60)
        etags = [send(objects, upload.upload_id, number, b"x" * 100) for number in (1, 2)]
        journal = tmp_path / "store" / "uploads" / upload.upload_id / "parts.jsonl"
        journal.write_bytes(journal.read_bytes()[:-20])
        again = store_in(tmp_path / "store")
        assert [part.etag for part in again.resume_upload(upload.upload_id, expires_in=60).parts] == [
            etags[0][1],
            None,
            None,
        ]
        send(again, upload.upload_id, 3, b"x" * 50)
        third = store_in(tmp_path / "store").resume_upload(upload.upload_id, expires_in=60)
        assert [part.etag is None for part in third.parts] == [False, True, False]

    def test_what_a_crash_left_of_a_completed_upload_is_gone_and_swept(
        self, objects: FileObjects, tmp_path: Path
    ) -> None:
        upload = objects.start_upload("a", size=3, expires_in=60)
        etag = send(objects, upload.upload_id, 1, b"abc")
        (tmp_path / "store" / "uploads" / upload.upload_id / "body").unlink()
        again = store_in(tmp_path / "store")
        with pytest.raises(NotFound):
            again.complete_upload(upload.upload_id, [etag])
        again.sweep_uploads(older_than=-1)
        assert side_files(tmp_path / "store") == []

    def test_sweep_removes_temporary_files_of_a_crash(self, objects: FileObjects, tmp_path: Path) -> None:
        left = tmp_path / "store" / "temporary" / "0123"
        left.write_bytes(b"half")
        assert objects.sweep_uploads(older_than=3600) == 0
        assert left.exists()
        assert objects.sweep_uploads(older_than=-1) == 0
        assert not left.exists()


_WRITER = """
import sys
from pathlib import Path
from mlops_api.adapters.local.file_objects import FileObjects
from mlops_api.adapters.local.signing import UrlSigner
store = FileObjects(Path(sys.argv[1]), UrlSigner(b"secret"), lambda: "", part_size=1000)
for number in range(10**9):
    key = f"put/{sys.argv[2]}/{number}"
    store.put(key, key.encode() * 500)
    upload = store.start_upload(f"upload/{sys.argv[2]}/{number}", size=1500, expires_in=60)
    etags = []
    for part in upload.parts:
        writer = store.open_part(upload.upload_id, part.part_number)
        writer.write(b"u" * part.size)
        etags.append((part.part_number, writer.finish()))
    store.complete_upload(upload.upload_id, etags)
    print(number, flush=True)
"""


def test_after_kill_9_acknowledged_objects_are_there_and_none_is_half(tmp_path: Path) -> None:
    total = 0
    for turn in range(5):
        said = acknowledged_until_killed(_WRITER, str(tmp_path / "store"), str(turn), seconds=0.02 + 0.07 * turn)
        objects = store_in(tmp_path / "store")
        for number in said:
            assert objects.read(f"put/{turn}/{number}") == f"put/{turn}/{number}".encode() * 500
            assert objects.read(f"upload/{turn}/{number}") == b"u" * 1500
        for found in objects.list("").objects:
            wanted = 1500 if found.key.startswith("upload") else 500 * len(found.key)
            assert found.size == wanted, found.key
        total += len(said)
    objects.sweep_uploads(older_than=-1)
    assert side_files(tmp_path / "store") == []
    print(f"killed 5 times: {2 * total} acknowledged objects, 0 lost, 0 half")
