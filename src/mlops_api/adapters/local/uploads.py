"""Uploads under way: one file each, into which parts are written at their place.

    uploads/<id>/upload.json   key, size, part size, start
    uploads/<id>/body          the object to be; sparse until the parts arrive
    uploads/<id>/parts.jsonl   one line for each part that arrived, or was begun again: the last one counts

A part counts once its bytes and then its line are durable. Sending it again takes it back first, so a part that
breaks off never passes for one that arrived.
"""

import hashlib
import os
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

from mlops_api.adapters.local.durable import (
    full_disk_refused,
    make_folder,
    storage_full,
    sync_folder,
    write_all,
    write_file,
)
from mlops_api.adapters.local.object_files import seal
from mlops_api.adapters.upload_parts import check_parts, part_count, part_length, part_size_for, upload_gone
from mlops_api.domain.errors import BadRequest, Conflict, Invalid, NotFound
from mlops_api.ports import ObjectInfo

MOST_PARTS = 10_000
_ID = re.compile(r"^[0-9a-f]{32}$")


@dataclass(frozen=True)
class UploadPlan:
    """What upload.json holds. Sizes in bytes; `started_at` in epoch seconds."""

    id: str
    key: str
    size: int
    part_size: int
    started_at: float

    @property
    def part_count(self) -> int:
        return part_count(self.size, self.part_size)

    def offset(self, part: int) -> int:
        return (part - 1) * self.part_size

    def length(self, part: int) -> int:
        return part_length(self.size, self.part_size, part)


class Uploads:
    """`publish(file, key)` makes a finished body an object. `part_size`: bytes, for all but very large uploads."""

    def __init__(
        self, folder: Path, publish: Callable[[Path, str], ObjectInfo], *, part_size: int, now: Callable[[], float]
    ) -> None:
        make_folder(folder)
        self._folder = folder
        self._publish = publish
        self._part_size = part_size
        self._now = now
        self._open: dict[str, _Upload] = {}
        self._lock = threading.Lock()

    def start(self, key: str, size: int) -> UploadPlan:
        """Raises StorageFull when the disk has no room for `size` bytes."""
        if size < 0:
            raise BadRequest(f"An upload cannot have {size} bytes.")
        if shutil.disk_usage(self._folder).free < size:
            raise storage_full(f"{key} ({size} bytes)")
        part_size = part_size_for(size, usual=self._part_size, most_parts=MOST_PARTS)
        plan = UploadPlan(secrets.token_hex(16), key, size, part_size, self._now())
        with full_disk_refused(key):
            self._prepare(plan)
        return plan

    def arrived(self, upload_id: str) -> tuple[UploadPlan, Mapping[int, str]]:
        """The plan, and the etag of each part that arrived. Raises NotFound."""
        upload = self._find(upload_id)
        return upload.plan, upload.arrived()

    def open_part(self, upload_id: str, part: int) -> "PartWriter":
        """Begin to take a part; whoever was sending it before is cut off. Raises NotFound, BadRequest."""
        return self._find(upload_id).open_part(part)

    def complete(self, upload_id: str, parts: Sequence[tuple[int, str]]) -> ObjectInfo:
        """Raises Conflict naming the parts that are missing or differ; NotFound."""
        upload = self._find(upload_id)
        info = upload.complete(parts, self._publish)
        self._forget(upload_id)
        return info

    def abort(self, upload_id: str) -> None:
        """No error when absent."""
        with suppress(NotFound):
            self._find(upload_id).close()
        self._forget(upload_id)

    def sweep(self, before: float) -> int:
        """Abort uploads that began before that moment (epoch seconds); the number of them."""
        old = [path for path in self._folder.iterdir() if _ID.match(path.name) and _started_at(path) < before]
        for path in old:
            self.abort(path.name)
        return len(old)

    def _prepare(self, plan: UploadPlan) -> None:
        folder = self._folder / plan.id
        make_folder(folder)
        with (folder / "body").open("xb") as body:
            body.truncate(plan.size)
            os.fsync(body.fileno())
        (folder / "parts.jsonl").touch()
        content = {"key": plan.key, "size": plan.size, "part_size": plan.part_size, "started_at": plan.started_at}
        write_file(folder / "upload.json", orjson.dumps(content))

    def _find(self, upload_id: str) -> "_Upload":
        if not _ID.match(upload_id):
            raise upload_gone(upload_id)
        with self._lock:
            if upload_id not in self._open:
                self._open[upload_id] = _load(self._folder / upload_id)
            return self._open[upload_id]

    def _forget(self, upload_id: str) -> None:
        """Remove what is on disk, the plan first: without it the rest is not an upload."""
        if not _ID.match(upload_id):
            return
        folder = self._folder / upload_id
        with self._lock, suppress(FileNotFoundError):
            (folder / "upload.json").unlink(missing_ok=True)
            sync_folder(folder)
            shutil.rmtree(folder)
        with self._lock:
            self._open.pop(upload_id, None)


class _Upload:
    """One upload of this process. The lock makes "who sends part n" one question with one answer."""

    def __init__(self, folder: Path, plan: UploadPlan, arrived: dict[int, str]) -> None:
        self.folder = folder
        self.plan = plan
        self._arrived = arrived
        # Parts that the journal may hold as arrived, a line whose fsync failed included.
        self._noted = set(arrived)
        self._senders: dict[int, PartWriter] = {}
        self._closed = False
        self.lock = threading.Lock()

    def arrived(self) -> Mapping[int, str]:
        with self.lock:
            return dict(self._arrived)

    def open_part(self, part: int) -> "PartWriter":
        if not 1 <= part <= self.plan.part_count:
            raise BadRequest(f"This upload has the parts 1 to {self.plan.part_count}, not {part}.")
        with self.lock:
            self._check_open()
            if part in self._noted:
                self._note(part, None)
                self._arrived.pop(part, None)
            writer = PartWriter(self, part, os.open(self.folder / "body", os.O_WRONLY | os.O_CLOEXEC))
            self._senders[part] = writer
            return writer

    def check_sender(self, writer: "PartWriter") -> None:
        """Raises Conflict when the part was begun again since; NotFound when the upload has ended."""
        self._check_open()
        if self._senders.get(writer.part) is not writer:
            raise Conflict(f"Part {writer.part} is being sent again by another request; this one was cut off.")

    def accept(self, writer: "PartWriter", etag: str) -> None:
        """The part's bytes are durable: count it."""
        with self.lock:
            self.check_sender(writer)
            self._noted.add(writer.part)
            self._note(writer.part, etag)
            self._arrived[writer.part] = etag
            del self._senders[writer.part]

    def drop(self, writer: "PartWriter") -> None:
        with self.lock:
            if self._senders.get(writer.part) is writer:
                del self._senders[writer.part]

    def complete(self, parts: Sequence[tuple[int, str]], publish: Callable[[Path, str], ObjectInfo]) -> ObjectInfo:
        with self.lock:
            self._check_open()
            check_parts(self.plan.part_count, self._arrived, parts)
            body = self.folder / "body"
            with full_disk_refused(self.plan.key):
                _seal(body)
                info = publish(body, self.plan.key)
            self._closed = True
            return info

    def close(self) -> None:
        with self.lock:
            self._closed = True
            self._senders.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise upload_gone(self.plan.id)

    def _note(self, part: int, etag: str | None) -> None:
        # The newline in front ends a line that a full disk or a power loss cut short.
        line = b"\n" + orjson.dumps({"part": part, "etag": etag}) + b"\n"
        with full_disk_refused(f"part {part}"), (self.folder / "parts.jsonl").open("ab", buffering=0) as journal:
            write_all(journal.fileno(), line)
            os.fsync(journal.fileno())


class PartWriter:
    """Takes the bytes of one part, in order; `finish` counts it, `abandon` drops it, from any thread."""

    def __init__(self, upload: _Upload, part: int, descriptor: int) -> None:
        self.part = part
        self.length = upload.plan.length(part)
        self._upload = upload
        self._descriptor = descriptor
        self._offset = upload.plan.offset(part)
        self._written = 0
        self._digest = hashlib.sha256()

    def write(self, data: bytes | bytearray) -> None:
        """Raises Invalid when the part gets too long, StorageFull, Conflict or NotFound when it was cut off."""
        if self._written + len(data) > self.length:
            raise Invalid(f"Part {self.part} has {self.length} bytes; more were sent.")
        with full_disk_refused(f"part {self.part}"), self._upload.lock:
            self._upload.check_sender(self)
            write_all(self._descriptor, memoryview(data), offset=self._offset + self._written)
        self._digest.update(data)
        self._written += len(data)

    def finish(self) -> str:
        """The part's etag, the SHA-256 of its bytes in hex, once it is durable. Raises as write does."""
        if self._written != self.length:
            raise Invalid(f"Part {self.part} has {self.length} bytes; only {self._written} were sent. Send it again.")
        with full_disk_refused(f"part {self.part}"):
            os.fsync(self._descriptor)
            etag = self._digest.hexdigest()
            self._upload.accept(self, etag)
        self._close()
        return etag

    def abandon(self) -> None:
        """Leave the part as not arrived; no error after finish."""
        self._upload.drop(self)
        self._close()

    def _close(self) -> None:
        # A request that is cancelled abandons the part while its thread may still be at work.
        with self._upload.lock:
            descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _load(folder: Path) -> _Upload:
    """Raises NotFound, also for what a crash left of an upload that was completed or aborted."""
    try:
        plan = UploadPlan(folder.name, **orjson.loads((folder / "upload.json").read_bytes()))
        lines = (folder / "parts.jsonl").read_bytes().splitlines()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise upload_gone(folder.name) from error
    if not (folder / "body").exists():
        raise upload_gone(folder.name)
    return _Upload(folder, plan, _read_journal(lines))


def _read_journal(lines: Sequence[bytes]) -> dict[int, str]:
    arrived: dict[int, str] = {}
    for line in lines:
        with suppress(orjson.JSONDecodeError):  # empty, or cut short and never acknowledged
            entry = orjson.loads(line)
            arrived.pop(entry["part"], None)
            if entry["etag"] is not None:
                arrived[entry["part"]] = entry["etag"]
    return arrived


def _started_at(folder: Path) -> float:
    """In epoch seconds; for the remains of an upload, when they last changed."""
    try:
        return float(orjson.loads((folder / "upload.json").read_bytes())["started_at"])
    except (FileNotFoundError, NotADirectoryError):
        with suppress(FileNotFoundError):
            return folder.lstat().st_mtime
        return float("inf")


def _seal(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        seal(descriptor)
    finally:
        os.close(descriptor)
