"""Reading the few small text files of a model bundle out of its model.tar.gz."""

import hashlib
import io
import tarfile
from collections.abc import Iterator

from mlops_api.domain.errors import Invalid
from mlops_api.ports import ObjectStore

_LARGEST_MEMBER = 32 << 20


def read_members(objects: ObjectStore, key: str, names: set[str]) -> dict[str, bytes]:
    """The named members, by name; reading stops once all were found.

    Raises:
        NotFound: no such object.
        Invalid: it is not a tar.gz, lacks a member, or a member is larger than 32 MB.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=_Stream(objects.stream(key)), mode="r|gz") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if name in names and member.isfile():
                    found[name] = _content(archive, member)
                if names <= found.keys():
                    return found
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Invalid(f"{key} is not a model bundle: {error}") from error
    raise Invalid(f"{key} lacks {', '.join(sorted(names - found.keys()))}.")


def sha256_of(objects: ObjectStore, key: str) -> str:
    """Of an object's bytes, 64 hex digits. Raises NotFound."""
    digest = hashlib.sha256()
    for chunk in objects.stream(key):
        digest.update(chunk)
    return digest.hexdigest()


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > _LARGEST_MEMBER:
        raise Invalid(f"{member.name} has {member.size} bytes, more than {_LARGEST_MEMBER}.")
    reader = archive.extractfile(member)
    return reader.read() if reader else b""


class _Stream(io.RawIOBase):
    """A readable file over chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._rest += chunk
        cut = len(self._rest) if size < 0 else size
        data, self._rest = self._rest[:cut], self._rest[cut:]
        return data
