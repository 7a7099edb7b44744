"""ObjectStore in a bucket. Every object is encrypted (AES256) and sent with its checksum."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any, BinaryIO

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from mlops_api.adapters.attachment import attachment
from mlops_api.adapters.aws.clients import Client
from mlops_api.adapters.aws.errors import code_of, translated
from mlops_api.adapters.aws.s3_uploads import ENCRYPTION, S3Uploads, url_expiry
from mlops_api.adapters.object_keys import check_key, check_prefix
from mlops_api.adapters.page_tokens import read_token, write_token
from mlops_api.adapters.record_rules import check_page
from mlops_api.domain.errors import BadRequest, Invalid, NotFound
from mlops_api.domain.times import Clock, rfc3339, utc_now
from mlops_api.ports import ObjectInfo, ObjectPage, ObjectVersion, SignedUpload

PART_SIZE = 8 << 20
_SINGLE_PUT = 64 << 20
"""Larger files go in parts, several at once; a broken connection then costs a part."""

_IN_MEMORY = 8 << 20
_TRANSFER = TransferConfig(multipart_threshold=_SINGLE_PUT, multipart_chunksize=16 << 20)
_ABSENT = {"NoSuchKey", "404"}
"""Of GET, and of HEAD, whose answers have no body. The role needs s3:ListBucket, or S3 says 403 instead."""

_GONE = _ABSENT | {"NoSuchVersion", "400"}
"""Of a copy, which begins with a HEAD; one of a version id that never was is refused with 400."""


class S3Objects:
    """As ports.ObjectStore promises; safe to use from many threads. `part_size`: see S3Uploads."""

    def __init__(self, client: Client, bucket: str, *, part_size: int = PART_SIZE, clock: Clock = utc_now) -> None:
        self._client = client
        self._bucket = bucket
        self._clock = clock
        self._uploads = S3Uploads(client, bucket, part_size=part_size, clock=clock)

    # ---- objects

    def put(self, key: str, data: bytes | BinaryIO, *, sha256: str | None = None) -> ObjectInfo:
        check_key(key)
        if isinstance(data, bytes):
            return self._put(key, data, len(data), hashlib.sha256(data), sha256)
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as body:
            digest = _copy(data, body)
            size = body.tell()
            body.seek(0)
            return self._put(key, body, size, digest, sha256)

    def put_file(self, key: str, path: Path) -> ObjectInfo:
        """The file stays where it is."""
        check_key(key)
        with path.open("rb") as body, translated(f"{key} cannot be stored"):
            self._upload(key, body)
        return self.info(key)

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        if offset < 0 or (length is not None and length < 0):
            raise BadRequest("offset and length cannot be negative.")
        if length == 0:
            self.info(key)
            return b""
        with closing(self._open(key, _range(offset, length))) as body, translated(f"{key} cannot be read"):
            content: bytes = body.read()
            return content

    def stream(self, key: str, *, chunk: int = 1 << 20) -> Iterator[bytes]:
        return _chunks(key, self._open(key, {}), chunk)

    def info(self, key: str) -> ObjectInfo:
        return self._info(key, None)

    def list(self, prefix: str, *, limit: int = 1000, token: str | None = None) -> ObjectPage:
        check_prefix(prefix)
        check_page(limit)
        behind = read_token(("objects", prefix), token, length=1)[0] if token is not None else ""
        with translated(f"Objects {prefix}* cannot be listed"):
            answer = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=prefix, MaxKeys=limit, **({"StartAfter": behind} if behind else {})
            )
        found = [_listed(entry) for entry in answer.get("Contents", ())]
        more = answer["IsTruncated"] and found
        return ObjectPage(found, write_token(("objects", prefix), [found[-1].key]) if more else None)

    def delete(self, key: str) -> None:
        check_key(key)
        with translated(f"{key} cannot be deleted"):
            self._client.delete_object(Bucket=self._bucket, Key=key)

    def versions(self, key: str) -> Sequence[ObjectVersion]:
        """The role needs s3:ListBucketVersions."""
        check_key(key)
        with translated(f"Versions of {key} cannot be listed"):
            found = list(_versions(self._client, self._bucket, key))
        return found[::-1]

    def copy(self, source: str, key: str, *, version: str | None = None) -> ObjectInfo:
        check_key(source)
        check_key(key)
        named = {"Bucket": self._bucket, "Key": source} | ({"VersionId": version} if version else {})
        with translated(f"{source} cannot be copied", dict.fromkeys(_GONE, lambda _: _missing(source))):
            self._client.copy(named, self._bucket, key, ExtraArgs=dict(ENCRYPTION), Config=_TRANSFER)
        return self.info(key)

    # ---- signed URLs

    def start_upload(self, key: str, *, size: int, expires_in: int) -> SignedUpload:
        check_key(key)
        return self._uploads.start(key, size, expires_in)

    def resume_upload(self, upload_id: str, *, expires_in: int) -> SignedUpload:
        return self._uploads.resume(upload_id, expires_in)

    def complete_upload(self, upload_id: str, parts: Sequence[tuple[int, str]]) -> ObjectInfo:
        return self._info(*self._uploads.complete(upload_id, parts))

    def abort_upload(self, upload_id: str) -> None:
        self._uploads.abort(upload_id)

    def sweep_uploads(self, older_than: int) -> int:
        return self._uploads.sweep(older_than)

    def download_url(self, key: str, *, filename: str, expires_in: int) -> tuple[str, str]:
        self.info(key)
        seconds, expires_at = url_expiry(self._clock, expires_in)
        wanted = {"Bucket": self._bucket, "Key": key, "ResponseContentDisposition": attachment(filename)}
        return self._client.generate_presigned_url("get_object", Params=wanted, ExpiresIn=seconds), expires_at

    # ---- helpers

    def _put(
        self, key: str, body: bytes | IO[bytes], size: int, digest: "hashlib._Hash", sha256: str | None
    ) -> ObjectInfo:
        if sha256 is not None and digest.hexdigest() != sha256:
            raise Invalid(f"{key} has the SHA-256 {digest.hexdigest()}, not {sha256}: it was changed on its way.")
        with translated(f"{key} cannot be stored"):
            if size > _SINGLE_PUT and not isinstance(body, bytes):
                self._upload(key, body)
                return self.info(key)
            checksum = base64.b64encode(digest.digest()).decode()
            answer = self._client.put_object(
                Bucket=self._bucket, Key=key, Body=body, ChecksumSHA256=checksum, **ENCRYPTION
            )
        return self._info(key, answer.get("VersionId"))

    def _upload(self, key: str, body: IO[bytes]) -> None:
        self._client.upload_fileobj(
            body, self._bucket, key, ExtraArgs={**ENCRYPTION, "ChecksumAlgorithm": "SHA256"}, Config=_TRANSFER
        )

    def _info(self, key: str, version: str | None) -> ObjectInfo:
        """`version`: what this call has just stored, which another may have replaced since."""
        check_key(key)
        wanted = {"Bucket": self._bucket, "Key": key} | ({"VersionId": version} if version else {})
        with self._translated(key):
            answer = self._client.head_object(**wanted)
        return _info(key, answer["ContentLength"], answer)

    def _open(self, key: str, options: Mapping[str, Any]) -> Any:
        """The body of an object; nothing, when the range begins behind its end."""
        check_key(key)
        with self._translated(key):
            try:
                return self._client.get_object(Bucket=self._bucket, Key=key, **options)["Body"]
            except ClientError as error:
                if code_of(error) == "InvalidRange":
                    return SpooledTemporaryFile()
                raise

    def _translated(self, key: str) -> Any:
        return translated(f"{key} cannot be read", dict.fromkeys(_ABSENT, lambda _: _missing(key)))


def _missing(key: str) -> NotFound:
    return NotFound(f"There is no object {key!r}.", key=key)


def _versions(client: Client, bucket: str, key: str) -> Iterator[ObjectVersion]:
    """Newest first, as S3 lists them. Keys that begin with `key` follow it in the listing."""
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
        entries = page.get("Versions", [])
        yield from (ObjectVersion(each["VersionId"], each["Size"]) for each in entries if each["Key"] == key)
        if any(each["Key"] != key for each in entries):
            return


def _range(offset: int, length: int | None) -> dict[str, str]:
    if offset == 0 and length is None:
        return {}
    return {"Range": f"bytes={offset}-" + ("" if length is None else str(offset + length - 1))}


def _chunks(key: str, body: Any, size: int) -> Iterator[bytes]:
    with closing(body), translated(f"{key} cannot be read to its end"):
        while chunk := body.read(size):
            yield chunk


def _copy(source: BinaryIO, target: IO[bytes]) -> "hashlib._Hash":
    digest = hashlib.sha256()
    while chunk := source.read(1 << 20):
        digest.update(chunk)
        target.write(chunk)
    return digest


def _listed(entry: Mapping[str, Any]) -> ObjectInfo:
    return _info(entry["Key"], entry["Size"], entry)


def _info(key: str, size: int, answer: Mapping[str, Any]) -> ObjectInfo:
    """Listings may know the moment better than HEAD does, which says whole seconds."""
    modified_at = rfc3339(answer["LastModified"].replace(microsecond=0))
    return ObjectInfo(key, size, answer["ETag"].strip('"'), modified_at)
