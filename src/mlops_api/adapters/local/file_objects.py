"""ObjectStore in a folder.

objects/   the objects, see object_paths
uploads/   uploads under way, see uploads
temporary/ files being written
"""

import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from mlops_api.adapters.local.object_files import ObjectFiles, OpenObject, describe
from mlops_api.adapters.local.object_paths import prefix_folder, walk
from mlops_api.adapters.local.signing import UrlSigner
from mlops_api.adapters.local.uploads import PartWriter, UploadPlan, Uploads
from mlops_api.adapters.object_keys import check_key, check_prefix
from mlops_api.adapters.page_tokens import read_token, write_token
from mlops_api.adapters.record_rules import check_page
from mlops_api.domain.errors import BadRequest, NotFound
from mlops_api.domain.times import Clock, rfc3339, utc_now
from mlops_api.ports import ObjectInfo, ObjectPage, ObjectVersion, SignedPart, SignedUpload

MOUNT = "/storage"
"""Where the API mounts StorageApp; the signed URLs say so."""

PART_SIZE = 8 << 20


class FileObjects:
    """As ports.ObjectStore promises; safe to use from many threads, by one process at a time.

    `base_url` is asked for each URL, because the port is known only once the server listens.
    """

    def __init__(
        self,
        root: Path,
        signer: UrlSigner,
        base_url: Callable[[], str],
        *,
        part_size: int = PART_SIZE,
        clock: Clock = utc_now,
    ) -> None:
        self._files = ObjectFiles(root / "objects", root / "temporary")
        self._signer = signer
        self._base_url = base_url
        self._clock = clock
        self._uploads = Uploads(root / "uploads", self._files.publish, part_size=part_size, now=self._now)

    def put(self, key: str, data: bytes | BinaryIO, *, sha256: str | None = None) -> ObjectInfo:
        check_key(key)
        return self._files.store(key, data, sha256)

    def put_file(self, key: str, path: Path) -> ObjectInfo:
        """The file is moved when it lies on the same file system and has no other name."""
        check_key(key)
        return self._files.adopt(key, path)

    def read(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        if offset < 0 or (length is not None and length < 0):
            raise BadRequest("offset and length cannot be negative.")
        found = self.open_object(key)
        try:
            return found.read(offset, found.info.size if length is None else length)
        finally:
            found.close()

    def stream(self, key: str, *, chunk: int = 1 << 20) -> Iterator[bytes]:
        return _Chunks(self.open_object(key), chunk)

    def info(self, key: str) -> ObjectInfo:
        found = self.open_object(key)
        found.close()
        return found.info

    def list(self, prefix: str, *, limit: int = 1000, token: str | None = None) -> ObjectPage:
        check_prefix(prefix)
        check_page(limit)
        behind = read_token(("objects", prefix), token, length=1)[0] if token is not None else ""
        found = list(islice(self._described(prefix, behind), limit + 1))
        more = len(found) > limit
        return ObjectPage(found[:limit], write_token(("objects", prefix), [found[limit - 1].key]) if more else None)

    def delete(self, key: str) -> None:
        check_key(key)
        self._files.remove(key)

    def versions(self, key: str) -> Sequence[ObjectVersion]:
        check_key(key)
        with suppress(NotFound):
            info = self.info(key)
            return [ObjectVersion(info.etag, info.size)]
        return []

    def copy(self, source: str, key: str, *, version: str | None = None) -> ObjectInfo:
        check_key(key)
        found = self.open_object(source)
        with os.fdopen(found.descriptor, "rb") as content:
            if version not in (None, found.info.etag):
                raise NotFound(f"{source!r} has other content by now.", key=source)
            return self._files.store(key, content)

    def start_upload(self, key: str, *, size: int, expires_in: int) -> SignedUpload:
        check_key(key)
        return self._signed(self._uploads.start(key, size), {}, expires_in)

    def resume_upload(self, upload_id: str, *, expires_in: int) -> SignedUpload:
        plan, arrived = self._uploads.arrived(upload_id)
        return self._signed(plan, arrived, expires_in)

    def complete_upload(self, upload_id: str, parts: Sequence[tuple[int, str]]) -> ObjectInfo:
        return self._uploads.complete(upload_id, parts)

    def abort_upload(self, upload_id: str) -> None:
        self._uploads.abort(upload_id)

    def sweep_uploads(self, older_than: int) -> int:
        before = self._now() - older_than
        self._files.sweep(before)
        return self._uploads.sweep(before)

    def download_url(self, key: str, *, filename: str, expires_in: int) -> tuple[str, str]:
        self.info(key)
        expires = self._signer.expiry(expires_in)
        path = f"/objects/{quote(key)}"
        target = self._signer.sign("GET", path, {"filename": filename}, expires=expires)
        return self._url(target), _moment(expires)

    def local_path(self, key: str) -> Path:
        """The object's file, to be read or hard-linked, never changed. Raises NotFound.

        Only this adapter has it: runners on the same machine need no copy.
        """
        self.info(key)
        return self._files.path(key)

    def open_object(self, key: str) -> OpenObject:
        """For the server of signed URLs. Raises NotFound."""
        check_key(key)
        return self._files.open(key)

    def open_part(self, upload_id: str, part: int) -> PartWriter:
        """For the server of signed URLs. Raises NotFound, BadRequest."""
        return self._uploads.open_part(upload_id, part)

    def _described(self, prefix: str, behind: str) -> Iterator[ObjectInfo]:
        folder, base = prefix_folder(self._files.root, prefix)
        for key, path in walk(folder, base, prefix.encode(), behind.encode()):
            try:
                found = path.lstat()
            except FileNotFoundError:  # deleted since its folder was read
                continue
            yield describe(key, found)

    def _signed(self, plan: UploadPlan, arrived: Mapping[int, str], expires_in: int) -> SignedUpload:
        expires = self._signer.expiry(expires_in)
        parts = [self._signed_part(plan, number, arrived, expires) for number in range(1, plan.part_count + 1)]
        return SignedUpload(plan.id, plan.part_size, _moment(expires), parts)

    def _signed_part(self, plan: UploadPlan, number: int, arrived: Mapping[int, str], expires: int) -> SignedPart:
        size = plan.length(number)
        path = f"/uploads/{plan.id}/{number}"
        target = self._signer.sign("PUT", path, {"size": str(size)}, expires=expires)
        return SignedPart(number, self._url(target), {}, size, arrived.get(number))

    def _url(self, target: str) -> str:
        return self._base_url().rstrip("/") + MOUNT + target

    def _now(self) -> float:
        return self._clock().timestamp()


class _Chunks:
    """An iterator, not a generator: one that is dropped before its first chunk closes its file too."""

    def __init__(self, found: OpenObject, size: int) -> None:
        self._found = found
        self._size = size
        self._offset = 0
        self._close = weakref.finalize(self, found.close)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = self._found.read(self._offset, self._size) if self._close.alive else b""
        self._offset += len(chunk)
        if not chunk:
            self._close()
            raise StopIteration
        return chunk


def _moment(epoch: int) -> str:
    return rfc3339(datetime.fromtimestamp(epoch, UTC))
