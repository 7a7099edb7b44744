"""A file behind a signed URL, brought to disk: complete and verified, or not there at all."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from mlops_api.client.effects import Fetch, Flow, Sleep
from mlops_api.client.errors import Conflict, MLOpsError, ServerError, Timeout, Unreachable
from mlops_api.domain.models import DownloadUrl

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all)."""

_ATTEMPTS = 4


class FileSink:
    """Writes beside `target`; `finish` verifies and renames, `discard` leaves nothing behind."""

    def __init__(self, target: Path, expected: DownloadUrl, progress: Progress | None) -> None:
        self._target = target
        self._partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        self._expected = expected
        self._progress = progress
        self._file: BinaryIO = self._partial.open("wb")
        self.restart()

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._digest = hashlib.sha256()
        self._written = 0

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._digest.update(chunk)
        self._written += len(chunk)
        if self._progress is not None:
            self._progress(self._written, self._expected.size_bytes)

    def finish(self) -> Path:
        """Raises ServerError when the bytes are not the ones that were promised."""
        self._file.close()
        if self._written != self._expected.size_bytes:
            raise ServerError(f"{self._target.name}: {self._written} of {self._expected.size_bytes} bytes arrived.")
        if self._expected.sha256 not in (None, self._digest.hexdigest()):
            raise ServerError(f"{self._target.name}: the bytes do not have the promised sha256. Try again.")
        self._partial.replace(self._target)
        return self._target

    def discard(self) -> None:
        self._file.close()
        self._partial.unlink(missing_ok=True)


def target_path(to: str | os.PathLike[str] | None, default_name: str, *, overwrite: bool) -> Path:
    """`to` may be a file, a folder or None (the current folder). Raises Conflict when the file exists."""
    place = Path(to) if to is not None else Path()
    target = place / default_name if place.is_dir() else place
    if target.exists() and not overwrite:
        raise Conflict(
            f"{target} exists already. Write elsewhere with --to PATH, or overwrite it with --force "
            "(in Python: to=PATH, overwrite=True)."
        )
    return target


def download(found: DownloadUrl, target: Path, progress: Progress | None) -> Flow[Path]:
    sink = FileSink(target, found, progress)
    try:
        yield from _fetch(found.url, sink)
        return sink.finish()
    finally:
        sink.discard()


def _fetch(url: str, sink: FileSink) -> Flow[None]:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            yield Fetch(url, sink)
        except (Unreachable, Timeout, ServerError) as error:
            if attempt == _ATTEMPTS:
                raise _explained(error) from error
            yield Sleep(0.25 * 2**attempt)
        else:
            return


def _explained(error: MLOpsError) -> MLOpsError:
    error.add_note(f"The download was tried {_ATTEMPTS} times.")
    return error
