"""Signed URLs over a real server: hostile, slow, broken and large requests."""

import asyncio
import hashlib
import os
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from mlops_api.adapters.local.file_objects import FileObjects
from mlops_api.adapters.local.signing import UrlSigner
from mlops_api.adapters.local.storage_app import StorageApp, attachment
from mlops_api.domain.errors import Forbidden
from mlops_api.ports import SignedPart
from tests.support.local_storage import served_objects, wait_for
from tests.support.open_files import open_files
from tests.support.small_disk import filled, small_disk

MEBIBYTE = 1 << 20


@pytest.fixture
def objects(tmp_path: Path) -> Iterator[FileObjects]:
    with served_objects(tmp_path) as store:
        yield store


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


def one_part(objects: FileObjects, size: int = 1000) -> tuple[str, SignedPart]:
    upload = objects.start_upload("a", size=size, expires_in=60)
    return upload.upload_id, upload.parts[0]


def arrived(objects: FileObjects, upload_id: str) -> list[str | None]:
    return [part.etag for part in objects.resume_upload(upload_id, expires_in=60).parts]


@contextmanager
def raw_request(method: str, url: str, *headers: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
        lines = [f"{method} {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}", *headers, "", ""]
        connection.sendall("\r\n".join(lines).encode())
        yield connection


def status_of(connection: socket.socket) -> int:
    return int(connection.recv(4096).split()[1])


def open_below(folder: Path) -> int:
    """Parts and objects that a request holds open."""
    return sum(name.startswith(f"{folder}/store/") for name in open_files())


class TestPut:
    def test_the_etag_is_the_hash_of_the_part(self, objects: FileObjects, http: httpx.Client) -> None:
        upload_id, part = one_part(objects)
        content = os.urandom(1000)
        answer = http.put(part.url, content=content)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
        assert arrived(objects, upload_id) == [hashlib.sha256(content).hexdigest()]

    @pytest.mark.parametrize(("length", "status"), [("999", 400), ("1001", 413), ("-5", 400), ("1e3", 400)])
    def test_the_announced_length_must_be_exact(self, objects: FileObjects, length: str, status: int) -> None:
        upload_id, part = one_part(objects)
        with raw_request("PUT", part.url, f"Content-Length: {length}") as connection:
            # What is no number is refused by the HTTP parser already.
            assert status_of(connection) == status
        assert arrived(objects, upload_id) == [None]

    def test_chunked_transfer_is_refused(self, objects: FileObjects, http: httpx.Client) -> None:
        _, part = one_part(objects)
        answer = http.put(part.url, content=iter([b"x" * 1000]))
        assert answer.status_code == 411
        assert "Content-Length: 1000" in answer.json()["detail"]

    def test_a_refusal_is_a_problem_document(self, objects: FileObjects, http: httpx.Client) -> None:
        _, part = one_part(objects)
        answer = http.put(part.url + "0", content=b"x" * 1000)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        problem = answer.json()
        assert (problem["status"], problem["title"]) == (403, "Not allowed")
        assert "Ask for a new one" in problem["detail"]

    def test_expired(self, tmp_path: Path, http: httpx.Client) -> None:
        now = datetime(2026, 11, 22, tzinfo=UTC)
        with served_objects(tmp_path, clock=lambda: now) as objects:
            upload_id, part = one_part(objects)
            now += timedelta(seconds=59)
            assert http.put(part.url, content=b"x" * 1000).status_code == 200
            now += timedelta(seconds=1)
            answer = http.put(part.url, content=b"y" * 1000)
            assert answer.status_code == 403
            assert "expired" in answer.json()["detail"]
            assert arrived(objects, upload_id) == [hashlib.sha256(b"x" * 1000).hexdigest()]

    def test_a_client_that_goes_away_leaves_nothing_counted(
        self, objects: FileObjects, tmp_path: Path, http: httpx.Client
    ) -> None:
        upload_id, part = one_part(objects)
        http.put(part.url, content=b"x" * 1000)
        with raw_request("PUT", part.url, "Content-Length: 1000") as connection:
            connection.sendall(b"y" * 500)
            wait_for(lambda: open_below(tmp_path) == 1)
        wait_for(lambda: open_below(tmp_path) == 0)
        assert arrived(objects, upload_id) == [None]
        assert http.put(part.url, content=b"z" * 1000).status_code == 200
        assert len(arrived(objects, upload_id)) == 1

    def test_a_client_that_falls_silent_is_cut_off(self, tmp_path: Path) -> None:
        with served_objects(tmp_path, idle_seconds=0.2) as objects:
            upload_id, part = one_part(objects)
            with raw_request("PUT", part.url, "Content-Length: 1000") as connection:
                connection.sendall(b"y" * 500)
                assert status_of(connection) == 408
            wait_for(lambda: open_below(tmp_path) == 0)
            assert arrived(objects, upload_id) == [None]

    def test_a_slow_client_that_goes_on_is_served(self, tmp_path: Path) -> None:
        with served_objects(tmp_path, idle_seconds=0.5) as objects:
            _, part = one_part(objects)
            with raw_request("PUT", part.url, "Content-Length: 1000") as connection:
                for _ in range(10):
                    connection.sendall(b"y" * 100)
                    # Ten of these are longer than the idle time, one is not.
                    asyncio.run(asyncio.sleep(0.08))
                assert status_of(connection) == 200

    def test_a_full_disk(self, tmp_path: Path, http: httpx.Client) -> None:
        with small_disk(tmp_path / "disk") as disk, served_objects(disk, part_size=MEBIBYTE) as objects:
            upload_id, part = one_part(objects, MEBIBYTE)
            with filled(disk):
                answer = http.put(part.url, content=b"x" * MEBIBYTE)
                assert (answer.status_code, answer.json()["title"]) == (507, "Storage full")
            assert http.put(part.url, content=b"x" * MEBIBYTE).status_code == 200
            assert arrived(objects, upload_id) != [None]

    def test_other_methods_and_paths(self, objects: FileObjects, http: httpx.Client) -> None:
        _, part = one_part(objects)
        answer = http.post(part.url, content=b"")
        assert (answer.status_code, answer.headers["allow"]) == (405, "PUT")
        start = part.url.split("/uploads/")[0]
        for path in ("/", "/uploads/", "/uploads/x/1", "/uploads/../objects", "/objects/", "/x"):
            assert http.get(start + path).status_code == 404


class TestMemory:
    def test_a_large_part_is_never_in_memory(self, tmp_path: Path) -> None:
        size, chunk = 48 * MEBIBYTE, b"x" * (64 << 10)
        signer = UrlSigner(b"secret")
        objects = FileObjects(tmp_path, signer, lambda: "http://h", part_size=size)
        _, part = one_part(objects, size)
        messages = iter([{"type": "http.request", "body": chunk, "more_body": True}] * (size // len(chunk)))
        last = {"type": "http.request", "body": b"", "more_body": False}
        tracemalloc.start()
        answer = call(StorageApp(objects, signer), "PUT", part.url, str(size), lambda: next(messages, last))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert answer[0]["status"] == 200
        assert peak < 8 * MEBIBYTE
        print(f"{size >> 20} MiB part, peak {peak / MEBIBYTE:.1f} MiB")


def call(app: StorageApp, method: str, url: str, length: str, receive: Callable[[], Any]) -> list[dict[str, Any]]:
    """One request, without a server between that would keep it to what it announced."""
    parts = urlsplit(url)
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": method,
        "root_path": "/storage",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [(b"content-length", length.encode("latin-1"))],
    }

    async def next_message() -> Any:
        return receive()

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, next_message, send))
    return sent


@pytest.mark.parametrize(
    ("length", "status"),
    [("999", 400), ("1001", 413), ("9" * 5000, 413), ("+1000", 400), ("1_000", 400), ("\xb2", 400), ("", 400)],
)
def test_a_length_that_a_server_let_pass_is_checked_too(tmp_path: Path, length: str, status: int) -> None:
    signer = UrlSigner(b"secret")
    objects = FileObjects(tmp_path, signer, lambda: "http://h")
    upload_id, part = one_part(objects)
    body = {"type": "http.request", "body": b"x" * 1000, "more_body": False}
    assert call(StorageApp(objects, signer), "PUT", part.url, length, lambda: body)[0]["status"] == status
    assert arrived(objects, upload_id) == [None]


@pytest.mark.parametrize("size", [999, 1001, 5000])
def test_a_body_of_another_length_than_announced_does_not_count(tmp_path: Path, size: int) -> None:
    signer = UrlSigner(b"secret")
    objects = FileObjects(tmp_path, signer, lambda: "http://h")
    upload_id, part = one_part(objects)
    body = {"type": "http.request", "body": b"x" * size, "more_body": False}
    assert call(StorageApp(objects, signer), "PUT", part.url, "1000", lambda: body)[0]["status"] == 422
    assert arrived(objects, upload_id) == [None]


class TestGet:
    def url(self, objects: FileObjects, filename: str = "f.csv") -> str:
        objects.put("a", b"0123456789")
        return objects.download_url("a", filename=filename, expires_in=60)[0]

    def test_headers(self, objects: FileObjects, http: httpx.Client) -> None:
        answer = http.get(self.url(objects))
        assert answer.content == b"0123456789"
        assert answer.headers["content-length"] == "10"
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["etag"] == f'"{objects.info("a").etag}"'
        assert "sandbox" in answer.headers["content-security-policy"]

    def test_head(self, objects: FileObjects, http: httpx.Client) -> None:
        url = self.url(objects)
        answer = http.head(url)
        assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "10")
        assert http.head(url + "0").status_code == 403
        assert http.head(url + "0").content == b""

    def test_ranges(self, objects: FileObjects, http: httpx.Client) -> None:
        url = self.url(objects)
        answer = http.get(url, headers={"Range": "bytes=2-4"})
        assert (answer.status_code, answer.content) == (206, b"234")
        assert (answer.headers["content-range"], answer.headers["content-length"]) == ("bytes 2-4/10", "3")
        behind = http.get(url, headers={"Range": "bytes=10-"})
        assert (behind.status_code, behind.headers["content-range"]) == (416, "bytes */10")
        assert http.get(url, headers={"Range": "bytes=0-1,4-5"}).status_code == 200

    def test_a_range_of_a_version_that_is_gone_is_the_whole(self, objects: FileObjects, http: httpx.Client) -> None:
        url = self.url(objects)
        etag = http.head(url).headers["etag"]
        headers = {"Range": "bytes=2-4", "If-Range": etag}
        assert http.get(url, headers=headers).content == b"234"
        objects.put("a", b"abcdefghij")
        assert http.get(url, headers=headers).content == b"abcdefghij"

    def test_a_download_can_be_resumed(self, objects: FileObjects, http: httpx.Client) -> None:
        content = os.urandom(3 * MEBIBYTE + 17)
        objects.put("a", content)
        url, _ = objects.download_url("a", filename="f", expires_in=60)
        first = http.get(url, headers={"Range": f"bytes=0-{MEBIBYTE}"}).content
        assert first + http.get(url, headers={"Range": f"bytes={len(first)}-"}).content == content

    def test_deleted_meanwhile(self, objects: FileObjects, http: httpx.Client) -> None:
        url = self.url(objects)
        objects.delete("a")
        assert http.get(url).status_code == 404

    def test_a_client_that_goes_away_ends_the_reading(self, objects: FileObjects, tmp_path: Path) -> None:
        """Reading all of it would take minutes; the file takes no space, as it was never written."""
        with (tmp_path / "sparse").open("wb") as file:
            file.truncate(200_000 * MEBIBYTE)
        objects.put_file("a", tmp_path / "sparse")
        url, _ = objects.download_url("a", filename="f", expires_in=60)
        with raw_request("GET", url) as connection:
            assert status_of(connection) == 200
            wait_for(lambda: open_below(tmp_path) == 1)
        wait_for(lambda: open_below(tmp_path) == 0)

    @pytest.mark.parametrize(
        ("filename", "header"),
        [
            ("results.csv", "attachment; filename=\"results.csv\"; filename*=UTF-8''results.csv"),
            ('a"b\r\nSet-Cookie: x', "filename=\"a_b__Set-Cookie_ x\"; filename*=UTF-8''a%22b%0D%0ASet-Cookie%3A%20x"),
            ("日本.csv", "filename=\"__.csv\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.csv"),
            ("../../etc/passwd", 'filename=".._.._etc_passwd"'),
            ("", 'filename="download"'),
        ],
    )
    def test_names(self, objects: FileObjects, http: httpx.Client, filename: str, header: str) -> None:
        answer = http.get(self.url(objects, filename))
        assert answer.status_code == 200
        assert header in answer.headers["content-disposition"] == attachment(filename)
        assert "set-cookie" not in answer.headers


class TestSigner:
    def test_a_signature_is_bound_to_method_path_query_and_secret(self) -> None:
        signer = UrlSigner(b"one")
        target = signer.sign("PUT", "/uploads/a/1", {"size": "5"}, expires=signer.expiry(60))
        assert signer.verify("PUT", target)["size"] == "5"
        wrong = [
            ("GET", target),
            ("PUT", target.replace("/a/1", "/a/2")),
            ("PUT", target.replace("size=5", "size=6")),
            ("PUT", target.replace("/uploads", "/%75ploads")),
            ("PUT", target.upper()),
            ("PUT", target + "&size=9"),
            ("PUT", target.split("&signature=")[0]),
            ("PUT", ""),
            ("PUT", "&signature="),
            ("PUT", target[:-1] + "ä"),
        ]
        for method, changed in wrong:
            with pytest.raises(Forbidden):
                signer.verify(method, changed)
        with pytest.raises(Forbidden):
            UrlSigner(b"two").verify("PUT", target)
