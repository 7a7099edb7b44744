"""Object files on disk: how they are opened, described, made and put in place.

A file is written under `temporary`, fsynced, made read-only and renamed into the tree; it is never changed there.
"""

import errno
import hashlib
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from mlops_api.adapters.local.durable import full_disk_refused, make_folder, replace, sync_folder, write_all
from mlops_api.adapters.local.object_paths import object_path
from mlops_api.domain.errors import BadRequest, Invalid, NotFound
from mlops_api.domain.times import rfc3339
from mlops_api.ports import ObjectInfo

_CHUNK = 1 << 20
_READ_ONLY = 0o444
_NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_NO_LINK = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK})

# O_NONBLOCK: a pipe in the place of a file must not hold up the server.
_OPEN_TO_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass(frozen=True)
class OpenObject:
    """An object open for reading; it stays readable when it is replaced or deleted. Close it."""

    descriptor: int
    info: ObjectInfo

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; fewer only at the end."""
        parts = []
        while length > 0 and (part := os.pread(self.descriptor, length, offset)):
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return b"".join(parts)

    def close(self) -> None:
        os.close(self.descriptor)


class ObjectFiles:
    """The tree below `root`; keys are checked by the caller."""

    def __init__(self, root: Path, temporary: Path) -> None:
        make_folder(root)
        make_folder(temporary)
        self.root = root.resolve()
        self._temporary = temporary.resolve()
        # Taken to make a folder and fill it, and to empty a folder and remove it, so that these do not meet.
        self._tree = threading.Lock()

    def path(self, key: str) -> Path:
        """Raises BadRequest when a link that this store did not make stands in the way."""
        path = object_path(self.root, key)
        if path.parent.resolve() != path.parent:
            raise BadRequest(f"{key!r} leads through a link in the data folder. Remove the link.")
        return path

    def open(self, key: str) -> OpenObject:
        """Raises NotFound."""
        descriptor = self._open(key)
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode):
            return OpenObject(descriptor, describe(key, found))
        os.close(descriptor)
        raise missing(key)

    def store(self, key: str, source: bytes | BinaryIO, sha256: str | None = None) -> ObjectInfo:
        """Raises Invalid when `sha256` (hex) is not that of the content; StorageFull."""
        target = self.path(key)
        with self._new_file(key) as (temporary, descriptor):
            digest = _copy(source, descriptor)
            if sha256 is not None and digest != sha256.lower():
                raise Invalid(f"The content of {key} has the SHA-256 {digest}, not {sha256}. Send it again.")
            seal(descriptor)
            return self._publish(temporary, target, key)

    def adopt(self, key: str, source: Path) -> ObjectInfo:
        """Take over a local file: without copying it where the file system allows and nothing else shares it.

        Raises Invalid when `source` is a link or no file; StorageFull.
        """
        target = self.path(key)
        with _open_source(source) as file:
            descriptor = file.fileno()
            linked = self._link(source, descriptor)
            if linked is None:
                return self.store(key, file)
            try:
                with full_disk_refused(key):
                    seal(descriptor)
                    info = self._publish(linked, target, key)
            finally:
                linked.unlink(missing_ok=True)
            source.unlink(missing_ok=True)
            return info

    def publish(self, source: Path, key: str) -> ObjectInfo:
        """Put a sealed file of the same file system in place, in one step. Raises StorageFull."""
        return self._publish(source, self.path(key), key)

    def remove(self, key: str) -> None:
        """No error when absent; folders that became empty go too."""
        path = self.path(key)
        with self._tree:
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return
            sync_folder(path.parent)
            self._remove_empty(path.parent)

    def sweep(self, before: float) -> None:
        """Remove temporary files last changed before that moment (epoch seconds): a crash left them."""
        for path in self._temporary.iterdir():
            with suppress(FileNotFoundError):
                if path.lstat().st_mtime < before:
                    path.unlink()

    def _open(self, key: str) -> int:
        try:
            return os.open(self.path(key), _OPEN_TO_READ)
        except OSError as error:
            if error.errno in _NOT_THERE:
                raise missing(key) from error
            raise

    @contextmanager
    def _new_file(self, key: str) -> Iterator[tuple[Path, int]]:
        path = self._temporary_path()
        with full_disk_refused(key):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                yield path, descriptor
            finally:
                os.close(descriptor)
                path.unlink(missing_ok=True)

    def _publish(self, source: Path, target: Path, key: str) -> ObjectInfo:
        found = source.stat()
        with full_disk_refused(key), self._tree:
            make_folder(target.parent)
            replace(source, target)
        return describe(key, found)

    def _link(self, source: Path, descriptor: int) -> Path | None:
        """A second name for the open file, so that a crash loses neither; None when it must be copied."""
        found = os.fstat(descriptor)
        if found.st_nlink != 1:
            return None
        path = self._temporary_path()
        try:
            os.link(source, path, follow_symlinks=False)
        except OSError as error:
            if error.errno in _NO_LINK:
                return None
            raise
        if os.path.samestat(found, path.lstat()):
            return path
        path.unlink()
        return None

    def _temporary_path(self) -> Path:
        return self._temporary / secrets.token_hex(16)

    def _remove_empty(self, folder: Path) -> None:
        while folder != self.root:
            try:
                folder.rmdir()
            except OSError:  # not empty
                return
            folder = folder.parent


def seal(descriptor: int) -> None:
    """Make content and times durable and the file read-only. The time is set because the kernel's is too coarse to
    tell two versions of equal size apart."""
    os.fchmod(descriptor, _READ_ONLY)
    now = time.time_ns()
    os.utime(descriptor, ns=(now, now))
    os.fsync(descriptor)


def describe(key: str, found: os.stat_result) -> ObjectInfo:
    """The etag is the time of writing (ns) and the size, in hex: another one for every version of an object."""
    moment = datetime.fromtimestamp(found.st_mtime, UTC)
    return ObjectInfo(key, found.st_size, f"{found.st_mtime_ns:x}-{found.st_size:x}", rfc3339(moment))


def missing(key: str) -> NotFound:
    return NotFound(f"There is no object {key!r}.", key=key)


def _open_source(source: Path) -> BinaryIO:
    try:
        descriptor = os.open(source, _OPEN_TO_READ)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Invalid(f"{source.name} is a link, not a file, so it cannot be stored.") from error
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise Invalid(f"{source.name} is not a file, so it cannot be stored.")


def _copy(source: bytes | BinaryIO, descriptor: int) -> str:
    """Write all of `source`; its SHA-256 in hex."""
    digest = hashlib.sha256()
    for chunk in [source] if isinstance(source, bytes) else iter(lambda: source.read(_CHUNK), b""):
        digest.update(chunk)
        write_all(descriptor, chunk)
    return digest.hexdigest()
