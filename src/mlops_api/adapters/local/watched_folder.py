"""A watched folder: dropping a table into it is enough (`mlops up --watch DIR`).

    flights.csv.gz              taken once nobody writes to it: two looks find the same size and time, and no process
                                has it open for writing
    flights.csv.gz.refused.txt  why it was refused, beside it; gone once a file of that name is accepted

Names that begin with a dot, other endings, subfolders and links are left alone. Files stay where they are; what was
taken is known by content, so a server that starts again takes up what it has not finished and nothing else.
"""

import fcntl
import hashlib
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from mlops_api.adapters.local.durable import remove_file, write_file
from mlops_api.domain.datasets import DatasetVersion
from mlops_api.domain.errors import BadRequest, Conflict, Invalid, NotFound, PlatformError, TooLarge
from mlops_api.ports import WatchedFile

LOOK_SECONDS = 1.0
ENDINGS = (".csv", ".tsv", ".parquet")
_COMPRESSED = ".gz"
_REPORT = ".refused.txt"
_CHUNK = 1 << 20
_LOG = logging.getLogger(__name__)


class Stamp(NamedTuple):
    """Tells contents of one name apart, cheaply."""

    inode: int
    size: int
    modified: int


class Intake(Protocol):
    """services.watching.FolderIntake"""

    def take(self, file: WatchedFile) -> str: ...

    def verdict(self, version: str) -> DatasetVersion | None: ...


class WatchedFolder:
    """`look` is called on a schedule, by one thread."""

    def __init__(self, folder: Path, intake: Callable[[], Intake]) -> None:
        """`intake` is asked for at the first look: the platform is complete by then."""
        self._folder = folder
        self._intake = intake
        self._seen: dict[str, Stamp] = {}
        self._done: dict[str, Stamp] = {}
        self._waiting: dict[str, str] = {}
        """Version by file name: taken, its verdict still to come."""

    @staticmethod
    def check(folder: Path) -> Path:
        """Raises Conflict when it is no folder that can be read and written."""
        if not folder.is_dir():
            raise Conflict(f"{folder} is no folder. Make it first: mkdir {folder}")
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise Conflict(f"{folder} cannot be read and written by this user. Choose another folder to watch.")
        return folder.absolute()

    def look(self) -> None:
        """Take what is complete, say what was refused. One file that cannot be read holds up no other."""
        present = dict(sorted(self._files(), key=lambda item: (item[1].modified, item[0])))
        for name, stamp in present.items():
            if self._seen.get(name) == stamp and self._done.get(name) != stamp:
                self._try(name, stamp)
        self._seen = present
        self._done = {name: stamp for name, stamp in self._done.items() if name in present}
        for name in list(self._waiting):
            self._report_verdict(name)

    def _files(self) -> Iterator[tuple[str, Stamp]]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if _is_table(entry.name) and entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    yield entry.name, Stamp(status.st_ino, status.st_size, status.st_mtime_ns)

    def _try(self, name: str, stamp: Stamp) -> None:
        try:
            if self._take(name, stamp):
                self._done[name] = stamp
        except (BadRequest, TooLarge) as error:
            self._refuse(name, error.detail)
            self._done[name] = stamp
        except FileNotFoundError:
            return  # taken away meanwhile
        except Invalid:
            _LOG.warning("%s changed while it was read; it is looked at again", name)
        except PlatformError as error:
            _LOG.warning("%s could not be taken; it is tried again: %s", name, error.detail)
        except OSError as error:
            self._refuse(name, f"It cannot be read: {error.strerror}.")
            self._done[name] = stamp

    def _take(self, name: str, stamp: Stamp) -> bool:
        """False: somebody writes to it, or it is another by now."""
        path = self._folder / name
        with _opened(path) as file:
            if _is_written_to(file) or _stamp(file) != stamp:
                return False
            if stamp.size == 0:
                raise BadRequest("It is empty.")
            digest = _sha256(file)
            if _stamp(file) != stamp:
                return False
        version = self._intake().take(WatchedFile(name, stamp.size, digest, lambda: _opened(path)))
        _LOG.info("%s of the watched folder is %s", name, version)
        self._waiting[name] = version
        return True

    # ---- side reports

    def _report_verdict(self, name: str) -> None:
        version = self._waiting[name]
        try:
            found = self._intake().verdict(version)
        except NotFound:  # deleted since
            del self._waiting[name]
            return
        if found is None:
            return
        del self._waiting[name]
        if found.status == "Rejected":
            self._refuse(name, _said(found))
        else:
            remove_file(self._folder / (name + _REPORT))

    def _refuse(self, name: str, reason: str) -> None:
        _LOG.warning("%s of the watched folder was refused: %s", name, reason)
        text = f"{name} was refused.\n\n{reason}\n\nMend it and drop it again; the file was left as it is.\n"
        write_file(self._folder / (name + _REPORT), text.encode())


def _is_table(name: str) -> bool:
    return not name.startswith(".") and name.lower().removesuffix(_COMPRESSED).endswith(ENDINGS)


def _opened(path: Path) -> BinaryIO:
    """Never through a link, nor waiting for a pipe's writer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    return os.fdopen(descriptor, "rb")


def _stamp(file: BinaryIO) -> Stamp:
    status = os.fstat(file.fileno())
    return Stamp(status.st_ino, status.st_size, status.st_mtime_ns)


def _is_written_to(file: BinaryIO) -> bool:
    """A read lease is not given while any process has the file open for writing; it is given back at once. Where the
    file system or the owner allows none, size and time have to do."""
    try:
        # A writer that came between would have SIGIO sent, which ends a process; SIGURG is ignored.
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _said(found: DatasetVersion) -> str:
    """Every violation that is listed, with its place."""
    quality = found.quality
    lines = [f"{found.version}: {quality.violation_count} violation{'s' * (quality.violation_count != 1)}"]
    for each in quality.violations:
        places = [("column", each.column), ("row", each.row), ("line", each.line)]
        place = ", ".join(f"{name} {value}" for name, value in places if value is not None)
        lines.append(f"  {each.code}{f' at {place}' if place else ''}: {each.message}")
    return "\n".join(lines)
