"""Files that survive power loss: write, fsync, rename, fsync the folder. The one home of that sequence.

A file's content is durable after fsync of the file, its name after fsync of the folder that holds it.
"""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlops_api.domain.errors import StorageFull

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def full_disk_refused(subject: str) -> Iterator[None]:
    """Turn "no space left" into StorageFull; every other error passes untouched."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise storage_full(subject) from error


def storage_full(subject: str) -> StorageFull:
    return StorageFull(
        f"There is no space left to store {subject}. Nothing was changed. Free some disk space and try again."
    )


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """Make `folder` and the parents it lacks, durably; no error when it exists.

    Raises StorageFull.
    """
    missing = [folder] if not folder.is_dir() else []
    while missing and not missing[-1].parent.is_dir():
        missing.append(missing[-1].parent)
    with full_disk_refused(f"the folder {folder.name}"):
        for path in reversed(missing):
            path.mkdir(mode=mode, exist_ok=True)
            sync_folder(path.parent)


def replace(source: Path, target: Path) -> None:
    """Rename a file whose content is durable over `target`, in one step, and make the name durable."""
    source.replace(target)
    sync_folder(target.parent)


def write_file(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace `path` by a file of this content: readers see the old one or the new one, never a part.

    Raises StorageFull; the old file is intact then.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with full_disk_refused(path.name):
            _write_new(temporary, data, mode)
            replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def remove_file(path: Path) -> None:
    """Remove `path` durably; no error when it is absent."""
    with suppress(FileNotFoundError):
        path.unlink()
        sync_folder(path.parent)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes | memoryview, *, offset: int | None = None) -> None:
    """Write all of `data` at the file's position, or at `offset` (bytes) without moving it."""
    rest = memoryview(data)
    while rest:
        written = os.write(descriptor, rest) if offset is None else os.pwrite(descriptor, rest, offset)
        rest = rest[written:]
        offset = None if offset is None else offset + written
