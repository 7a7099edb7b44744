"""What only S3 does: encryption, checksums, multipart, presigned URLs, throttling."""

import base64
import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import orjson
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError, IncompleteReadError, ReadTimeoutError
from hypothesis import given
from hypothesis import strategies as st

from mlops_api.adapters.aws import s3_objects
from mlops_api.adapters.aws.clients import ATTEMPTS
from mlops_api.adapters.aws.s3_objects import S3Objects
from mlops_api.adapters.aws.s3_uploads import LARGEST_PART, LEAST_PART, MOST_PARTS, Upload
from mlops_api.adapters.upload_parts import part_count, part_length, part_size_for
from mlops_api.domain.errors import BadRequest, Conflict, NotFound, TooLarge, Unavailable
from mlops_api.domain.times import parse_rfc3339, utc_now
from tests.support.aws import counting, hooked, throttled
from tests.support.emulators import Cloud

MEBIBYTE = 1 << 20
Request = Mapping[str, Any]


@pytest.fixture
def requests(objects: S3Objects) -> Iterator[list[tuple[str, Request]]]:
    """(operation, parameters) of each call."""
    seen: list[tuple[str, Request]] = []

    def see(params: Request, model: Any, **_: Any) -> None:
        seen.append((model.name, dict(params)))

    with hooked(objects._client, "before-parameter-build", see):
        yield seen


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_objects, "_SINGLE_PUT", 6 * MEBIBYTE)
    config = TransferConfig(multipart_threshold=6 * MEBIBYTE, multipart_chunksize=5 * MEBIBYTE)
    monkeypatch.setattr(s3_objects, "_TRANSFER", config)


def named_all(requests: list[tuple[str, Request]], operation: str) -> list[Request]:
    return [params for name, params in requests if name == operation]


def named(requests: list[tuple[str, Request]], operation: str) -> Request:
    return next(params for name, params in requests if name == operation)


class TestPut:
    def test_it_is_encrypted_and_checked(self, objects: S3Objects, requests: list[tuple[str, Request]]) -> None:
        objects.put("a", b"content")
        sent = named(requests, "PutObject")
        assert sent["ServerSideEncryption"] == "AES256"
        assert base64.b64decode(sent["ChecksumSHA256"]) == hashlib.sha256(b"content").digest()

    def test_its_info_is_that_of_what_was_stored(self, objects: S3Objects) -> None:
        """Another writer replaces it between PutObject and HeadObject."""
        done = threading.Event()

        def replace(**_: Any) -> None:
            if not done.is_set():
                done.set()
                objects.put("a", b"of another writer")

        with hooked(objects._client, "before-call", replace, operation="HeadObject"):
            info = objects.put("a", b"mine")
        assert info.size == 4
        assert objects.read("a") == b"of another writer"

    @pytest.mark.usefixtures("small_parts")
    def test_large_ones_go_in_parts(
        self, objects: S3Objects, requests: list[tuple[str, Request]], tmp_path: Path
    ) -> None:
        content = os.urandom(11 * MEBIBYTE)
        path = tmp_path / "model.tar.gz"
        path.write_bytes(content)
        for store in (
            lambda: objects.put_file("a", path),
            lambda: objects.put("a", io.BytesIO(content), sha256=hashlib.sha256(content).hexdigest()),
        ):
            requests.clear()
            assert store().size == len(content)
            assert objects.read("a") == content
            started = named(requests, "CreateMultipartUpload")
            assert (started["ServerSideEncryption"], started["ChecksumAlgorithm"]) == ("AES256", "SHA256")
            assert sum(name == "UploadPart" for name, _ in requests) == 3
            objects.delete("a")
        assert path.exists()

    def test_a_stream_that_cannot_seek(self, objects: S3Objects) -> None:
        content = os.urandom(9 * MEBIBYTE)
        reader, writer = os.pipe()

        def feed() -> None:
            with open(writer, "wb") as pipe:  # noqa: PTH123 - a descriptor
                pipe.write(content)

        feeder = threading.Thread(target=feed)
        feeder.start()
        with open(reader, "rb") as pipe:  # noqa: PTH123 - a descriptor
            objects.put("a", pipe)
        feeder.join()
        assert objects.read("a") == content


class TestRead:
    @pytest.mark.parametrize(
        "error", [ReadTimeoutError(endpoint_url="s3"), IncompleteReadError(actual_bytes=1, expected_bytes=2)]
    )
    def test_a_connection_that_breaks_is_unavailable(self, objects: S3Objects, error: Exception) -> None:
        class Broken(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                raise error

        def break_body(parsed: dict[str, Any], **_: Any) -> None:
            parsed["Body"] = Broken()

        objects.put("a", b"content")
        with hooked(objects._client, "after-call", break_body, operation="GetObject"):
            with pytest.raises(Unavailable):
                objects.read("a")
            stream = objects.stream("a")
            with pytest.raises(Unavailable):
                next(stream)

    def test_each_method_is_one_call(self, objects: S3Objects) -> None:
        objects.put("a", b"content")
        with counting(objects._client) as calls:
            objects.read("a", offset=1, length=2)
            list(objects.stream("a"))
            objects.info("a")
            objects.list("")
            objects.delete("a")
        assert calls == {"GetObject": 2, "HeadObject": 1, "ListObjectsV2": 1, "DeleteObject": 1}


OPERATIONS: dict[str, Callable[[S3Objects], object]] = {
    "GetObject": lambda objects: objects.read("here"),
    "HeadObject": lambda objects: objects.info("here"),
    "PutObject": lambda objects: objects.put("here", b"1"),
    "ListObjectsV2": lambda objects: objects.list(""),
    "DeleteObject": lambda objects: objects.delete("here"),
    "CreateMultipartUpload": lambda objects: objects.start_upload("new", size=1, expires_in=60),
    "ListMultipartUploads": lambda objects: objects.sweep_uploads(1000),
}


class TestErrors:
    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_some_throttles_are_absorbed_and_one_more_is_unavailable(
        self, objects: S3Objects, pauses: list[float], operation: str
    ) -> None:
        objects.put("here", b"0")
        absorbed = ATTEMPTS - 1
        with throttled(objects._client, operation, absorbed + 1, "SlowDown") as answered:
            with pytest.raises(Unavailable) as caught:
                OPERATIONS[operation](objects)
        assert len(answered) == absorbed + 1
        assert caught.value.headers["Retry-After"] == "2"
        with throttled(objects._client, operation, absorbed, "SlowDown") as answered:
            OPERATIONS[operation](objects)
        assert len(answered) == absorbed

    def test_what_nobody_knows_passes_through(self, objects: S3Objects) -> None:
        with throttled(objects._client, "GetObject", 1, "AccessDenied", status=403):
            with pytest.raises(ClientError, match="AccessDenied"):
                objects.read("a")

    def test_a_missing_bucket_is_no_missing_object(self, objects: S3Objects) -> None:
        elsewhere = S3Objects(objects._client, "no-such-bucket")
        with pytest.raises(ClientError, match="NoSuchBucket"):
            elsewhere.read("a")


class TestUploads:
    def test_parts_need_no_checksum_and_sign_their_length(self, objects: S3Objects) -> None:
        sent: list[dict[str, str]] = []
        with hooked(objects._client, "before-sign", lambda request, **_: sent.append(dict(request.headers))):
            upload = objects.start_upload("a", size=20 * MEBIBYTE, expires_in=60)
        [started, *_] = sent
        assert started["x-amz-server-side-encryption"] == "AES256"
        assert not [name for name in started if "checksum" in name.lower()]
        assert [part.size for part in upload.parts] == [8 * MEBIBYTE, 8 * MEBIBYTE, 4 * MEBIBYTE]
        for part in upload.parts:
            query = parse_qs(urlsplit(part.url).query)
            assert query["X-Amz-SignedHeaders"] == ["content-length;host"]
            assert not [name for name in query if "checksum" in name.lower()]

    def test_arrived_parts_are_listed_page_by_page(self, objects: S3Objects) -> None:
        upload = objects.start_upload("a", size=40 * MEBIBYTE, expires_in=60)
        etags = {}
        for part in upload.parts[:4]:
            answer = httpx.put(part.url, content=bytes(part.size), trust_env=False)
            etags[part.part_number] = answer.headers["etag"].strip('"')

        def two_at_once(params: dict[str, Any], **_: Any) -> None:
            params["MaxParts"] = 2

        with hooked(objects._client, "before-parameter-build", two_at_once, operation="ListParts"):
            with counting(objects._client) as calls:
                again = objects.resume_upload(upload.upload_id, expires_in=60)
            with pytest.raises(Conflict, match="missing: 5"):
                objects.complete_upload(upload.upload_id, list(etags.items()))
        assert {part.part_number: part.etag for part in again.parts if part.etag} == etags
        assert calls["ListParts"] == 2

    def test_old_uploads_are_swept_page_by_page(self, objects: S3Objects) -> None:
        for number in range(5):
            objects.start_upload(f"k{number}", size=1, expires_in=60)

        def two_at_once(params: dict[str, Any], **_: Any) -> None:
            params["MaxUploads"] = 2

        with hooked(objects._client, "before-parameter-build", two_at_once, operation="ListMultipartUploads"):
            assert objects.sweep_uploads(-1) == 5
        assert objects.sweep_uploads(-1) == 0

    def test_sizes_are_bounded(self, objects: S3Objects) -> None:
        with pytest.raises(BadRequest):
            objects.start_upload("a", size=-1, expires_in=60)
        with pytest.raises(TooLarge, match=str(MOST_PARTS * LARGEST_PART)):
            objects.start_upload("a", size=MOST_PARTS * LARGEST_PART + 1, expires_in=60)
        with pytest.raises(ValueError, match=str(LEAST_PART)):
            S3Objects(objects._client, "bucket", part_size=LEAST_PART - 1)

    @given(st.integers(0, MOST_PARTS * LARGEST_PART))
    def test_any_file_fits_into_parts_that_s3_takes(self, size: int) -> None:
        part_size = part_size_for(size, usual=8 * MEBIBYTE, most_parts=MOST_PARTS)
        count = part_count(size, part_size)
        assert LEAST_PART <= part_size <= LARGEST_PART
        assert 1 <= count <= MOST_PARTS
        assert (count - 1) * part_size + part_length(size, part_size, count) == size
        assert part_length(size, part_size, count) > 0 or size == 0

    @given(st.text(max_size=30))
    def test_what_is_no_upload_id_is_not_found(self, token: str) -> None:
        with pytest.raises(NotFound):
            Upload.of_token(token)

    @pytest.mark.parametrize("content", [[], ["a"], ["a", "b", "1", 2], ["a", "b", 1, 2, 3], {"a": 1}, 7, None])
    def test_nor_is_any_other_json(self, content: object) -> None:
        token = base64.urlsafe_b64encode(orjson.dumps(content)).rstrip(b"=").decode()
        with pytest.raises(NotFound):
            Upload.of_token(token)

    @given(st.text(max_size=200), st.integers(0, 2**50))
    def test_an_upload_id_carries_what_s3_forgets(self, key: str, size: int) -> None:
        upload = Upload("id", key, size, 5)
        assert Upload.of_token(upload.token) == upload


class TestUrls:
    @pytest.mark.parametrize("filename", ["results.csv", "ä ö.csv", 'a"; x="b', "a\r\nX-Evil: 1", "日本.csv", ""])
    def test_a_download_has_its_name_and_no_other_header(self, objects: S3Objects, filename: str) -> None:
        objects.put("a", b"content")
        url, _ = objects.download_url("a", filename=filename, expires_in=60)
        answer = httpx.get(url, trust_env=False)
        assert answer.content == b"content"
        assert "x-evil" not in answer.headers
        assert answer.headers["content-disposition"].endswith(f"filename*=UTF-8''{quote(filename, safe='')}")

    def test_urls_live_for_a_week_at_most(self, objects: S3Objects) -> None:
        objects.put("a", b"")
        url, expires_at = objects.download_url("a", filename="f", expires_in=30 * 24 * 3600)
        assert parse_qs(urlsplit(url).query)["X-Amz-Expires"] == ["604800"]
        assert abs(parse_rfc3339(expires_at) - utc_now() - timedelta(days=7)) < timedelta(minutes=1)

    def test_keys_are_kept_as_they_are(self, objects: S3Objects, ministack: Cloud) -> None:
        for key in ("a+b/ä b%2F?x#y", "a/b:1"):
            objects.put(key, key.encode())
            url, _ = objects.download_url(key, filename="f", expires_in=60)
            assert httpx.get(url, trust_env=False).content == key.encode()


class TestCopy:
    def test_nothing_passes_through_this_process(self, objects: S3Objects, requests: list[tuple[str, Request]]) -> None:
        objects.put("a", b"content")
        objects.copy("a", "b")
        assert named(requests, "CopyObject")["ServerSideEncryption"] == "AES256"
        assert {name for name, _ in requests} == {"PutObject", "HeadObject", "CopyObject"}

    @pytest.mark.usefixtures("small_parts")
    def test_a_large_one_in_parts(self, objects: S3Objects, requests: list[tuple[str, Request]]) -> None:
        """CopyObject takes 5 GB at most."""
        content = os.urandom(11 * MEBIBYTE)
        objects.put("a", content)
        version = objects.versions("a")[0].id
        objects.put("a", b"other content by now")
        objects.copy("a", "b", version=version)
        assert objects.read("b") == content
        parts = named_all(requests, "UploadPartCopy")
        assert len(parts) == 3
        assert all(f"versionId={version}" in part["CopySource"] for part in parts)

    def test_versions_before_and_after_a_deletion(self, objects: S3Objects) -> None:
        objects.put("a", b"1")
        objects.delete("a")
        objects.put("a", b"22")
        objects.put("a", b"333")
        assert [version.size for version in objects.versions("a")] == [1, 2, 3]

    def test_more_versions_than_a_page(self, objects: S3Objects) -> None:
        for size in range(1, 1003):
            objects.put("a", b"x" * size)
        assert [version.size for version in objects.versions("a")] == list(range(1, 1003))
