"""Multipart uploads of S3, sent by presigned URLs.

    start     CreateMultipartUpload; one URL a part, which signs content-length: another length is refused
    resume    ListParts says what has arrived
    complete  ListParts again, to name what is missing; then CompleteMultipartUpload

S3 forgets size and part size, so our upload id carries them; it is opaque, and no secret.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from datetime import timedelta
from typing import Any

import orjson
from pydantic import TypeAdapter

from mlops_api.adapters.aws.clients import Client
from mlops_api.adapters.aws.errors import Codes, translated
from mlops_api.adapters.upload_parts import check_parts, part_count, part_length, part_size_for, upload_gone
from mlops_api.domain.errors import BadRequest, Conflict, NotFound, TooLarge
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import SignedPart, SignedUpload

ENCRYPTION = {"ServerSideEncryption": "AES256"}
LEAST_PART = 5 << 20
LARGEST_PART = 5 << 30
MOST_PARTS = 1000
"""S3 takes 10,000, but their URLs would not fit into Lambda's answer of 6 MB."""

LONGEST_URL_SECONDS = 7 * 24 * 3600
_INCOMPLETE = {"InvalidPart": Conflict, "InvalidPartOrder": Conflict, "EntityTooSmall": Conflict}


_PARTS: TypeAdapter[tuple[str, str, int, int]] = TypeAdapter(tuple[str, str, int, int])


@dataclass(frozen=True)
class Upload:
    """`id` is S3's. Sizes in bytes."""

    id: str
    key: str
    size: int
    part_size: int

    @property
    def token(self) -> str:
        """The port's upload_id."""
        return base64.urlsafe_b64encode(orjson.dumps(astuple(self))).rstrip(b"=").decode()

    @classmethod
    def of_token(cls, token: str) -> "Upload":
        """Raises NotFound for what `token` never gave."""
        try:
            packed = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
            return cls(*_PARTS.validate_json(packed, strict=True))
        except ValueError as error:  # of base64, Unicode and pydantic alike
            raise upload_gone(token) from error


class S3Uploads:
    """`part_size`: bytes, at least LEAST_PART, for all but very large files."""

    def __init__(self, client: Client, bucket: str, *, part_size: int, clock: Clock) -> None:
        if part_size < LEAST_PART:
            raise ValueError(f"S3 takes parts of at least {LEAST_PART} bytes, not {part_size}.")
        self._client = client
        self._bucket = bucket
        self._part_size = part_size
        self._clock = clock

    def start(self, key: str, size: int, expires_in: int) -> SignedUpload:
        """Raises BadRequest for a negative size, TooLarge for more than S3 takes in MOST_PARTS."""
        if size < 0:
            raise BadRequest(f"An upload cannot have {size} bytes.")
        if size > MOST_PARTS * LARGEST_PART:
            raise TooLarge(f"S3 takes {MOST_PARTS * LARGEST_PART} bytes in one upload, not {size}. Split the file.")
        with translated(f"The upload of {key} cannot be started"):
            answer = self._client.create_multipart_upload(Bucket=self._bucket, Key=key, **ENCRYPTION)
        part_size = part_size_for(size, usual=self._part_size, most_parts=MOST_PARTS)
        return self._signed(Upload(answer["UploadId"], key, size, part_size), {}, expires_in)

    def resume(self, token: str, expires_in: int) -> SignedUpload:
        upload = Upload.of_token(token)
        return self._signed(upload, self._arrived(upload), expires_in)

    def complete(self, token: str, parts: Sequence[tuple[int, str]]) -> tuple[str, str | None]:
        """(key, version id). Raises Conflict or NotFound as the port says."""
        upload = Upload.of_token(token)
        arrived = self._arrived(upload)
        check_parts(part_count(upload.size, upload.part_size), arrived, parts)
        listed = [{"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in sorted(arrived.items())]
        with self._translated(upload):
            answer = self._client.complete_multipart_upload(**self._named(upload), MultipartUpload={"Parts": listed})
        return upload.key, answer.get("VersionId")

    def abort(self, token: str) -> None:
        with suppress(NotFound):
            self._abort(Upload.of_token(token))

    def sweep(self, older_than: int) -> int:
        """Abort those started more than `older_than` seconds ago; the number of them."""
        before = self._clock() - timedelta(seconds=older_than)
        with translated("Old uploads cannot be listed"):
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket)
            uploads = [upload for page in pages for upload in page.get("Uploads", ())]
        old = [Upload(found["UploadId"], found["Key"], 0, 0) for found in uploads if found["Initiated"] < before]
        for upload in old:
            with suppress(NotFound):  # completed or aborted since it was listed
                self._abort(upload)
        return len(old)

    def _abort(self, upload: Upload) -> None:
        with self._translated(upload):
            self._client.abort_multipart_upload(**self._named(upload))

    def _arrived(self, upload: Upload) -> Mapping[int, str]:
        """Part number -> etag. S3 lists 1,000 parts at once."""
        with self._translated(upload):
            pages = self._client.get_paginator("list_parts").paginate(**self._named(upload))
            return {part["PartNumber"]: part["ETag"].strip('"') for page in pages for part in page.get("Parts", ())}

    def _signed(self, upload: Upload, arrived: Mapping[int, str], expires_in: int) -> SignedUpload:
        seconds, expires_at = url_expiry(self._clock, expires_in)
        count = part_count(upload.size, upload.part_size)
        parts = [self._signed_part(upload, number, arrived, seconds) for number in range(1, count + 1)]
        return SignedUpload(upload.token, upload.part_size, expires_at, parts)

    def _signed_part(self, upload: Upload, number: int, arrived: Mapping[int, str], seconds: int) -> SignedPart:
        size = part_length(upload.size, upload.part_size, number)
        wanted = {**self._named(upload), "PartNumber": number, "ContentLength": size}
        url = self._client.generate_presigned_url("upload_part", Params=wanted, ExpiresIn=seconds)
        return SignedPart(number, url, {}, size, arrived.get(number))

    def _named(self, upload: Upload) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": upload.key, "UploadId": upload.id}

    @contextmanager
    def _translated(self, upload: Upload) -> Iterator[None]:
        codes: Codes = {"NoSuchUpload": lambda _: upload_gone(upload.token), **_INCOMPLETE}
        with translated(f"The upload of {upload.key}", codes):
            yield


def url_expiry(clock: Clock, expires_in: int) -> tuple[int, str]:
    """(seconds, moment in RFC 3339): S3 signs for a week at most.

    A URL signed with temporary credentials, such as a Lambda function's, ends with them if that is earlier.
    """
    seconds = min(expires_in, LONGEST_URL_SECONDS)
    return seconds, rfc3339(clock() + timedelta(seconds=seconds))
