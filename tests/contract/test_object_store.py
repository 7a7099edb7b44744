"""The promises of ports.ObjectStore, on every adapter. Signed URLs are used over HTTP, as a client uses them."""

import hashlib
import io
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from pathlib import Path

import httpx
import pytest

from mlops_api.domain.errors import BadRequest, Conflict, Invalid, NotFound
from mlops_api.domain.times import parse_rfc3339, utc_now
from mlops_api.ports import ObjectInfo, ObjectStore, SignedPart, SignedUpload

BAD_KEYS = (
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/..",
    "a/../../b",
    "a/./b",
    "nul\x00byte",
    "line\nbreak",
    "del\x7f",
    "c1\x85",
    "\ud800",
    "k" * 901,
    "€" * 301,
)


@cache
def http() -> httpx.Client:
    """One for all: making a client loads certificates, which takes longer than a test. No connection is kept."""
    return httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))


def all_keys(store: ObjectStore, prefix: str = "", limit: int = 1000) -> list[str]:
    return [found.key for found in all_objects(store, prefix, limit)]


def all_objects(store: ObjectStore, prefix: str, limit: int) -> list[ObjectInfo]:
    found: list[ObjectInfo] = []
    token: str | None = None
    while True:
        page = store.list(prefix, limit=limit, token=token)
        assert len(page.objects) <= limit
        found += page.objects
        token = page.next_token
        if token is None:
            return found


def content_of(upload: SignedUpload) -> bytes:
    return os.urandom(sum(part.size for part in upload.parts))


def cut(upload: SignedUpload, part: SignedPart, content: bytes) -> bytes:
    start = (part.part_number - 1) * upload.part_size
    return content[start : start + part.size]


def send(part: SignedPart, content: bytes) -> httpx.Response:
    return http().put(part.url, content=content, headers=dict(part.headers))


def send_all(upload: SignedUpload, content: bytes) -> list[tuple[int, str]]:
    etags = []
    for part in upload.parts:
        answer = send(part, cut(upload, part, content))
        assert answer.status_code == 200, answer.text
        etags.append((part.part_number, answer.headers["etag"]))
    return etags


def places(url: str, *, marking: bool) -> list[int]:
    """Of the characters behind the host: those by which S3 knows that a query is signed, or all others."""
    marks = re.finditer(r"X-Amz-Algorithm=[^&]*|X-Amz-Signature=", url)
    marked = {place for mark in marks for place in range(*mark.span())}
    behind_host = range(url.index("/", len("http://")) + 1, len(url))
    return [place for place in behind_host if (place in marked) == marking]


def changed(url: str, place: int) -> str:
    letter = "0" if url[place] != "0" else "1"
    return url[:place] + letter + url[place + 1 :]


class TestObjects:
    def test_what_was_put_is_read_back(self, objects: ObjectStore) -> None:
        content = os.urandom(3 << 20)
        info = objects.put("a/b.bin", content)
        assert (info.key, info.size) == ("a/b.bin", len(content))
        assert abs(parse_rfc3339(info.modified_at) - utc_now()) < timedelta(minutes=1)
        assert objects.info("a/b.bin") == info
        assert objects.read("a/b.bin") == b"".join(objects.stream("a/b.bin")) == content

    def test_a_file_is_read_to_its_end(self, objects: ObjectStore) -> None:
        content = os.urandom(2_500_000)
        assert objects.put("a", io.BytesIO(content)).size == len(content)
        assert objects.read("a") == content

    def test_an_empty_object(self, objects: ObjectStore) -> None:
        assert objects.put("empty", b"").size == 0
        assert objects.read("empty") == b""
        assert list(objects.stream("empty")) == []

    def test_ranges(self, objects: ObjectStore) -> None:
        objects.put("a", b"0123456789")
        assert objects.read("a", offset=3, length=4) == b"3456"
        assert objects.read("a", offset=8, length=10) == b"89"
        assert objects.read("a", offset=8) == b"89"
        assert objects.read("a", length=0) == objects.read("a", offset=10) == objects.read("a", offset=99) == b""
        for options in ({"offset": -1}, {"length": -1}):
            with pytest.raises(BadRequest):
                objects.read("a", **options)

    def test_a_stream_is_cut_into_chunks(self, objects: ObjectStore) -> None:
        objects.put("a", b"0123456789")
        assert b"".join(objects.stream("a", chunk=3)) == b"0123456789"

    def test_what_is_missing_is_not_found(self, objects: ObjectStore) -> None:
        objects.put("a/b", b"")
        for key in ("missing", "a", "a/b/c", "A/B"):
            with pytest.raises(NotFound):
                objects.read(key)
            with pytest.raises(NotFound):
                objects.info(key)
            with pytest.raises(NotFound):
                objects.stream(key)
            with pytest.raises(NotFound):
                objects.download_url(key, filename="f", expires_in=60)

    def test_put_replaces(self, objects: ObjectStore) -> None:
        first = objects.put("a", b"old")
        second = objects.put("a", b"new")
        assert objects.read("a") == b"new"
        assert first.etag != second.etag
        assert all_keys(objects) == ["a"]

    def test_a_reader_keeps_the_version_it_began_with(self, objects: ObjectStore) -> None:
        old, new = b"o" * 3_000_000, b"n" * 3_000_000
        objects.put("a", old)
        stream = objects.stream("a", chunk=1 << 20)
        first = next(stream)
        objects.put("a", new)
        assert first + b"".join(stream) == old

    def test_readers_never_see_a_mixture(self, objects: ObjectStore) -> None:
        versions = [bytes([number]) * 200_000 for number in range(20)]
        objects.put("a", versions[0])
        done = threading.Event()
        torn: list[int] = []

        def watch() -> None:
            while not done.is_set():
                found = objects.read("a")
                if found not in versions:
                    torn.append(len(found))

        with ThreadPoolExecutor(2) as pool:
            watchers = [pool.submit(watch) for _ in range(2)]
            for version in versions:
                objects.put("a", version)
            done.set()
            for watcher in watchers:
                watcher.result()
        assert torn == []

    def test_a_hash_that_matches(self, objects: ObjectStore) -> None:
        objects.put("a", b"content", sha256=hashlib.sha256(b"content").hexdigest())
        assert objects.read("a") == b"content"

    def test_a_hash_that_does_not_match_stores_nothing(self, objects: ObjectStore) -> None:
        objects.put("a", b"old")
        wrong = hashlib.sha256(b"other").hexdigest()
        for source in (b"content", io.BytesIO(b"content")):
            with pytest.raises(Invalid, match=wrong):
                objects.put("a", source, sha256=wrong)
        with pytest.raises(Invalid):
            objects.put("b", b"content", sha256=wrong)
        assert all_keys(objects) == ["a"]
        assert objects.read("a") == b"old"

    def test_put_file(self, objects: ObjectStore, tmp_path: Path) -> None:
        path = tmp_path / "model.tar.gz"
        path.write_bytes(b"model")
        info = objects.put_file("models/m.tar.gz", path)
        assert info == objects.info("models/m.tar.gz")
        assert objects.read("models/m.tar.gz") == b"model"

    def test_delete(self, objects: ObjectStore) -> None:
        objects.put("a/b", b"1")
        objects.put("a/b/c", b"2")
        objects.delete("a/b")
        objects.delete("a/b")
        objects.delete("never/was")
        assert all_keys(objects) == ["a/b/c"]
        with pytest.raises(NotFound):
            objects.read("a/b")
        objects.delete("a/b/c")
        assert all_keys(objects) == []
        objects.put("a", b"3")
        assert objects.read("a") == b"3"

    def test_a_copy_is_an_object_of_its_own(self, objects: ObjectStore) -> None:
        content = os.urandom(1 << 20)
        objects.put("inbox/a b+ü%20", content)
        objects.put("copies/a", b"old")
        info = objects.copy("inbox/a b+ü%20", "copies/a")
        assert info == objects.info("copies/a")
        assert info.size == len(content)
        objects.put("inbox/a b+ü%20", b"new")
        objects.delete("inbox/a b+ü%20")
        assert objects.read("copies/a") == content

    def test_what_is_missing_cannot_be_copied(self, objects: ObjectStore) -> None:
        objects.put("a/b", b"content")
        for source in ("missing", "a"):
            with pytest.raises(NotFound):
                objects.copy(source, "c")
        with pytest.raises(NotFound):
            objects.copy("a/b", "c", version="no-version-of-it")
        for source, key in (("a/../b", "c"), ("a/b", "c/")):
            with pytest.raises(BadRequest):
                objects.copy(source, key)
        assert all_keys(objects) == ["a/b"]

    def test_the_versions_that_can_be_read_are_copied_by_their_ids(self, objects: ObjectStore) -> None:
        contents = (b"first", b"the second", b"third one")
        for content in contents:
            objects.put("a", content)
        objects.put("a/b", b"of another key")
        objects.put("aa", b"of another key")
        versions = objects.versions("a")
        assert [version.size for version in versions] == [len(content) for content in contents[-len(versions) :]]
        for version, content in zip(versions, contents[-len(versions) :], strict=True):
            objects.copy("a", "copy", version=version.id)
            assert objects.read("copy") == content

    def test_what_never_was_has_no_versions(self, objects: ObjectStore) -> None:
        objects.put("a/b", b"content")
        assert list(objects.versions("a")) == list(objects.versions("missing")) == []

    def test_puts_and_deletes_side_by_side(self, objects: ObjectStore) -> None:
        def churn(number: int) -> None:
            for turn in range(20):
                objects.put(f"shared/folder/{number}-{turn}", b"x")
                objects.delete(f"shared/folder/{number}-{turn}")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(churn, range(8)))
        assert all_keys(objects) == []


class TestKeys:
    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_bad_keys_are_refused(self, objects: ObjectStore, tmp_path: Path, key: str) -> None:
        source = tmp_path / "source"
        source.write_bytes(b"")
        calls = (
            lambda: objects.put(key, b""),
            lambda: objects.put_file(key, source),
            lambda: objects.read(key),
            lambda: objects.stream(key),
            lambda: objects.info(key),
            lambda: objects.delete(key),
            lambda: objects.start_upload(key, size=1, expires_in=60),
            lambda: objects.download_url(key, filename="f", expires_in=60),
        )
        for call in calls:
            with pytest.raises(BadRequest):
                call()
        assert source.exists()
        assert all_keys(objects) == []

    def test_odd_keys_are_keys_of_their_own(self, objects: ObjectStore) -> None:
        keys = [
            "a",
            "A",
            "a+",
            "a+/b",
            "a~",
            "a/b",
            "a%2fb",
            "a%2Fb",
            "%61",
            "...",
            ".hidden",
            ".a.tmp",
            "~",
            "+",
            "ä",
            "a\u0308",
            "日本/語",
            "𝄞",
            " ",
            "a b",
            "quote'\"\\",
            "*?[a]",
            "con",
            "flights:1/raw",
            "k" * 900,
            "k" * 240,
            "k" * 241,
            "k" * 80,
            "K" * 80 + "/x",
            "K" * 300,
            "K" * 300 + "/x",
            "€" * 300,
            "k" * 80 + "~",
        ]
        for key in keys:
            objects.put(key, key.encode())
        for key in keys:
            assert objects.read(key) == key.encode()
        assert all_keys(objects) == sorted(keys, key=str.encode)
        for key in keys:
            objects.delete(key)
        assert all_keys(objects) == []

    def test_a_key_may_be_the_prefix_of_another(self, objects: ObjectStore) -> None:
        for key in ("a/b/c", "a", "a/b"):
            objects.put(key, key.encode())
        for key in ("a", "a/b", "a/b/c"):
            assert objects.read(key) == key.encode()


class TestListing:
    def test_keys_are_in_byte_order(self, objects: ObjectStore) -> None:
        keys = [
            "a",
            "a!",
            "a-b",
            "a.b",
            "a/b",
            "a/b/c",
            "a/b-c",
            "a0",
            "ab",
            "B",
            "b",
            "ä",
            "\ufffd",
            "𝄞",
            "a/" + "b" * 300,
        ]
        for key in keys:
            objects.put(key, b"")
        for limit in (1, 2, 5, 1000):
            assert all_keys(objects, limit=limit) == sorted(keys, key=str.encode)

    def test_long_names_are_in_order_too(self, objects: ObjectStore) -> None:
        stem = "s" * 80
        keys = [stem, stem + "!" * 200, stem + "/x", stem + "/" + "y" * 250, stem + "z" * 200, stem + "z" * 200 + "/q"]
        for key in keys:
            objects.put(key, b"")
        for limit in (1, 2, 1000):
            assert all_keys(objects, limit=limit) == sorted(keys, key=str.encode)
            assert all_keys(objects, stem + "z", limit=limit) == sorted(keys, key=str.encode)[-2:]

    def test_a_prefix_is_cut_anywhere(self, objects: ObjectStore) -> None:
        for key in ("a/b/1", "a/b/2", "a/bc", "a/d", "ab", "b"):
            objects.put(key, b"")
        assert all_keys(objects, "a/b/") == ["a/b/1", "a/b/2"]
        assert all_keys(objects, "a/b") == ["a/b/1", "a/b/2", "a/bc"]
        assert all_keys(objects, "a/b/1") == ["a/b/1"]
        assert all_keys(objects, "a") == ["a/b/1", "a/b/2", "a/bc", "a/d", "ab"]
        assert all_keys(objects, "c") == all_keys(objects, "a/b/1/") == all_keys(objects, "a/x/") == []

    @pytest.mark.parametrize("prefix", ["../", "a/../", "/", "a//b", "nul\x00", "\ud800", "./a"])
    def test_a_bad_prefix_is_refused(self, objects: ObjectStore, prefix: str) -> None:
        with pytest.raises(BadRequest):
            objects.list(prefix)

    def test_an_entry_says_what_info_says(self, objects: ObjectStore) -> None:
        objects.put("a/b", b"content")
        assert list(objects.list("").objects) == [objects.info("a/b")]

    def test_more_than_a_thousand_keys(self, objects: ObjectStore, tmp_path: Path) -> None:
        wanted = [f"many/{number:04}" for number in range(1_050)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: objects.put(key, b""), wanted))
        objects.put("other", b"")
        first = objects.list("many/")
        assert len(first.objects) == 1000
        assert first.next_token is not None
        assert all_keys(objects, "many/") == wanted
        assert all_keys(objects, "many/", limit=400) == wanted

    def test_listing_goes_on_while_keys_come_and_go(self, objects: ObjectStore) -> None:
        for number in range(0, 20, 2):
            objects.put(f"k/{number:02}", b"")
        seen: list[str] = []
        token: str | None = None
        while True:
            page = objects.list("k/", limit=3, token=token)
            seen += [found.key for found in page.objects]
            token = page.next_token
            if token is None:
                break
            objects.delete(seen[-1])
            objects.put("k/!first", b"")
        assert seen == [f"k/{number:02}" for number in range(0, 20, 2)]

    def test_a_token_serves_only_its_prefix(self, objects: ObjectStore) -> None:
        for number in range(3):
            objects.put(f"a/{number}", b"")
        token = objects.list("a/", limit=1).next_token
        assert token is not None
        for prefix, wrong in (("a", token), ("a/", "made-up"), ("a/", token[:-2]), ("a/", "")):
            with pytest.raises(BadRequest, match="next_token"):
                objects.list(prefix, token=wrong)

    @pytest.mark.parametrize("limit", [0, 1001])
    def test_limit_is_bounded(self, objects: ObjectStore, limit: int) -> None:
        with pytest.raises(BadRequest, match="limit"):
            objects.list("", limit=limit)


@pytest.mark.signed_urls
class TestUploads:
    def test_parts_become_an_object(self, objects: ObjectStore, upload_size: int) -> None:
        upload = objects.start_upload("a/b", size=upload_size, expires_in=60)
        assert sum(part.size for part in upload.parts) == upload_size
        assert [part.part_number for part in upload.parts] == list(range(1, len(upload.parts) + 1))
        assert {part.size for part in upload.parts[:-1]} <= {upload.part_size}
        assert 50 < (parse_rfc3339(upload.expires_at) - utc_now()).total_seconds() <= 60
        content = content_of(upload)
        info = objects.complete_upload(upload.upload_id, send_all(upload, content)[::-1])
        assert (info.key, info.size) == ("a/b", upload_size)
        assert objects.info("a/b") == info
        assert objects.read("a/b") == content

    def test_nothing_is_visible_before_it_is_complete(self, objects: ObjectStore, upload_size: int) -> None:
        objects.put("a", b"old")
        for key in ("a", "a/b"):
            upload = objects.start_upload(key, size=upload_size, expires_in=60)
            send_all(upload, content_of(upload))
        assert all_keys(objects) == ["a"]
        assert objects.read("a") == b"old"

    def test_an_upload_replaces(self, objects: ObjectStore) -> None:
        objects.put("a", b"old")
        upload = objects.start_upload("a", size=3, expires_in=60)
        objects.complete_upload(upload.upload_id, send_all(upload, b"new"))
        assert objects.read("a") == b"new"

    def test_parts_at_the_same_time(self, objects: ObjectStore, upload_size: int) -> None:
        upload = objects.start_upload("a", size=upload_size, expires_in=60)
        content = content_of(upload)

        def put(part: SignedPart) -> tuple[int, str]:
            return part.part_number, send(part, cut(upload, part, content)).headers["etag"]

        with ThreadPoolExecutor(4) as pool:
            etags = list(pool.map(put, upload.parts))
        objects.complete_upload(upload.upload_id, etags)
        assert objects.read("a") == content

    def test_resume_tells_which_parts_arrived(self, objects: ObjectStore, upload_size: int) -> None:
        upload = objects.start_upload("a", size=upload_size, expires_in=60)
        assert [part.etag for part in upload.parts] == [None] * len(upload.parts)
        content = content_of(upload)
        etag = send(upload.parts[1], cut(upload, upload.parts[1], content)).headers["etag"].strip('"')
        again = objects.resume_upload(upload.upload_id, expires_in=600)
        assert [part.etag for part in again.parts] == [None, etag, *[None] * (len(upload.parts) - 2)]
        assert again.expires_at > upload.expires_at
        objects.complete_upload(upload.upload_id, send_all(again, content))
        assert objects.read("a") == content

    def test_the_last_sending_of_a_part_counts(self, objects: ObjectStore, upload_size: int) -> None:
        upload = objects.start_upload("a", size=upload_size, expires_in=60)
        first, second = content_of(upload), content_of(upload)
        old = send_all(upload, first)
        new = send_all(upload, second)
        with pytest.raises(Conflict, match="etag"):
            objects.complete_upload(upload.upload_id, old)
        objects.complete_upload(upload.upload_id, new)
        assert objects.read("a") == second

    @pytest.mark.parametrize("quoted", [True, False])
    def test_complete_names_what_is_missing_or_differs(
        self, objects: ObjectStore, upload_size: int, quoted: bool
    ) -> None:
        upload = objects.start_upload("a", size=upload_size, expires_in=60)
        content = content_of(upload)
        etags = [(number, etag if quoted else etag.strip('"')) for number, etag in send_all(upload, content)]
        with pytest.raises(Conflict, match="missing: 2"):
            objects.complete_upload(upload.upload_id, [etags[0], *etags[2:]])
        with pytest.raises(Conflict, match="etag: 1"):
            objects.complete_upload(upload.upload_id, [(1, "0" * 64), *etags[1:]])
        with pytest.raises(Conflict, match="99"):
            objects.complete_upload(upload.upload_id, [*etags, (99, "0" * 64)])
        with pytest.raises(NotFound):
            objects.info("a")
        objects.complete_upload(upload.upload_id, etags)
        assert objects.read("a") == content

    def test_complete_wants_every_part(self, objects: ObjectStore, upload_size: int) -> None:
        upload = objects.start_upload("a", size=upload_size, expires_in=60)
        etag = send(upload.parts[0], cut(upload, upload.parts[0], content_of(upload))).headers["etag"]
        with pytest.raises(Conflict, match="missing: 2, 3"):
            objects.complete_upload(upload.upload_id, [(number, etag) for number in (1, 2, 3)])

    def test_what_was_completed_or_aborted_is_gone(self, objects: ObjectStore) -> None:
        completed = objects.start_upload("a", size=3, expires_in=60)
        etags = send_all(completed, b"abc")
        objects.complete_upload(completed.upload_id, etags)
        aborted = objects.start_upload("b", size=3, expires_in=60)
        objects.abort_upload(aborted.upload_id)
        for upload_id in (completed.upload_id, aborted.upload_id, "0" * 32, "../../etc", ""):
            with pytest.raises(NotFound):
                objects.complete_upload(upload_id, etags)
            with pytest.raises(NotFound):
                objects.resume_upload(upload_id, expires_in=60)
            objects.abort_upload(upload_id)
        assert send(completed.parts[0], b"xyz").status_code == 404
        assert send(aborted.parts[0], b"xyz").status_code == 404
        assert objects.read("a") == b"abc"

    def test_of_completions_at_once_some_succeed(self, objects: ObjectStore) -> None:
        upload = objects.start_upload("a", size=3, expires_in=60)
        etags = send_all(upload, b"abc")

        def complete(_: int) -> bool:
            try:
                objects.complete_upload(upload.upload_id, etags)
            except NotFound:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            assert any(pool.map(complete, range(4)))
        assert not complete(0)
        assert objects.read("a") == b"abc"

    def test_sweep_aborts_old_uploads_only(self, objects: ObjectStore) -> None:
        objects.put("a", b"kept")
        uploads = [objects.start_upload(key, size=3, expires_in=60) for key in ("x", "y")]
        send_all(uploads[0], b"abc")
        assert objects.sweep_uploads(older_than=3600) == 0
        objects.resume_upload(uploads[0].upload_id, expires_in=60)
        assert objects.sweep_uploads(older_than=-1) == 2
        assert objects.sweep_uploads(older_than=-1) == 0
        for upload in uploads:
            with pytest.raises(NotFound):
                objects.resume_upload(upload.upload_id, expires_in=60)
        assert all_keys(objects) == ["a"]

    @pytest.mark.parametrize("change", [-1, 1, 1000])
    def test_a_part_of_another_length_is_refused(self, objects: ObjectStore, upload_size: int, change: int) -> None:
        upload = objects.start_upload("a", size=upload_size, expires_in=60)
        for part in (upload.parts[0], upload.parts[-1]):
            assert 400 <= send(part, b"x" * (part.size + change)).status_code < 500
        assert all(part.etag is None for part in objects.resume_upload(upload.upload_id, expires_in=60).parts)

    def test_a_part_after_expiry_is_refused(self, objects: ObjectStore) -> None:
        upload = objects.start_upload("a", size=3, expires_in=0)
        assert send(upload.parts[0], b"abc").status_code == 403

    def test_a_changed_url_is_refused(self, objects: ObjectStore, upload_size: int) -> None:
        upload = objects.start_upload("a", size=upload_size, expires_in=60)
        part = upload.parts[0]
        body = b"x" * part.size
        for place in places(part.url, marking=False)[::7]:
            assert 400 <= http().put(changed(part.url, place), content=body).status_code < 500, part.url[:place]
        assert 400 <= http().put(part.url + "0", content=body).status_code < 500
        assert http().put(part.url + "&size=1", content=body).status_code == 403
        assert all(part.etag is None for part in objects.resume_upload(upload.upload_id, expires_in=60).parts)

    def test_a_url_that_no_longer_says_it_is_signed_is_refused(self, objects: ObjectStore, upload_size: int) -> None:
        upload = objects.start_upload("a", size=upload_size, expires_in=60)
        part = upload.parts[0]
        for place in places(part.url, marking=True)[::3]:
            answer = http().put(changed(part.url, place), content=b"x" * part.size)
            assert 400 <= answer.status_code < 500, part.url[:place]

    def test_a_url_without_its_query_is_refused(self, objects: ObjectStore) -> None:
        upload = objects.start_upload("a", size=3, expires_in=60)
        assert 400 <= http().put(upload.parts[0].url.partition("?")[0], content=b"abc").status_code < 500
        assert all_keys(objects) == []

    def test_an_empty_upload(self, objects: ObjectStore) -> None:
        upload = objects.start_upload("a", size=0, expires_in=60)
        objects.complete_upload(upload.upload_id, send_all(upload, b""))
        assert objects.read("a") == b""


@pytest.mark.signed_urls
class TestDownloads:
    def test_the_answer_is_an_attachment(self, objects: ObjectStore) -> None:
        content = os.urandom(700_000)
        objects.put("a/ä b", content)
        url, expires_at = objects.download_url("a/ä b", filename="results.csv", expires_in=60)
        assert 50 < (parse_rfc3339(expires_at) - utc_now()).total_seconds() <= 60
        answer = http().get(url)
        assert (answer.status_code, answer.content) == (200, content)
        assert answer.headers["content-disposition"].startswith("attachment")
        assert "results.csv" in answer.headers["content-disposition"]

    @pytest.mark.parametrize(
        ("wanted", "status", "found"),
        [
            ("bytes=0-3", 206, b"0123"),
            ("bytes=7-", 206, b"789"),
            ("bytes=-2", 206, b"89"),
            ("bytes=5-500", 206, b"56789"),
            ("bytes=10-", 416, None),
        ],
    )
    def test_ranges(self, objects: ObjectStore, wanted: str, status: int, found: bytes | None) -> None:
        objects.put("a", b"0123456789")
        url, _ = objects.download_url("a", filename="f", expires_in=60)
        answer = http().get(url, headers={"Range": wanted})
        assert answer.status_code == status
        assert found is None or answer.content == found

    def test_a_changed_or_expired_url_is_refused(self, objects: ObjectStore) -> None:
        for key in ("a", "b"):
            objects.put(key, b"secret")
        url, _ = objects.download_url("a", filename="named", expires_in=60)
        expired, _ = objects.download_url("a", filename="named", expires_in=0)
        for wrong in (expired, url.replace("/a?", "/b?"), url + "x", url.replace("named", "other")):
            assert wrong != url
            assert http().get(wrong).status_code == 403
        assert http().put(url, content=b"x").status_code in {403, 405}
        assert http().get(url).content == b"secret"
