"""The raw file: its digest, what it is by content, and its bytes once gunzipped.

gzip magic           gunzipped, member after member, into the scratch folder
PAR1 at both ends    Parquet
anything else        text, unless it opens like an archive or a spreadsheet
"""

import hashlib
import shutil
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO, Literal

from training.failure import JobError
from training.preprocess.findings import Refused
from training.preprocess.limits import MEBIBYTE, Limits

CHUNK = MEBIBYTE
_READ = 1 << 16
"""Bytes of gzip read at once: few, because they count as read before all of them is decompressed."""
_LOOK_EVERY = 32
"""Chunks between two looks at the free space."""
GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_OTHERS = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF document",
    b"SQLite format 3\x00": "an SQLite database",
    b"ARROW1": "an Arrow file",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
}

Format = Literal["csv", "parquet"]


def chunks(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes, a mebibyte at a time."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def sha256_of(path: Path) -> str:
    """Return the digest of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpack(path: Path, scratch: Path, limits: Limits) -> Path:
    """Return the file itself, or its gunzipped copy in `scratch`.

    Raises:
        Refused: empty_file, corrupt_gzip, truncated_gzip, trailing_garbage, decompression_ratio, too_many_bytes.
        JobError: the disk would be filled.
    """
    size = path.stat().st_size
    if size == 0:
        raise Refused("empty_file", "The file is empty. Upload a table with a header and at least one row.")
    if size > limits.max_bytes:
        raise _too_many_bytes(limits)
    if not _starts_with(path, GZIP):
        return path
    plain = scratch / "plain"
    with path.open("rb") as source, plain.open("wb") as target:
        for number, chunk in enumerate(gunzip(source, limits)):
            if number % _LOOK_EVERY == 0:
                _check_room(scratch, limits)
            target.write(chunk)
    if plain.stat().st_size == 0:
        raise Refused("empty_file", "The gzip file holds nothing. Upload a table with a header and at least one row.")
    return plain


def _check_room(folder: Path, limits: Limits) -> None:
    """Others write to the disk too."""
    disk = shutil.disk_usage(folder)
    if disk.free < min(limits.disk_reserve, disk.total // 20):
        raise JobError(
            f"The unpacked table would fill the disk, where {disk.free // MEBIBYTE:,} MiB are free. Make room and "
            "upload it again, or upload a smaller table."
        )


def gunzip(source: BinaryIO, limits: Limits) -> Iterator[bytes]:
    """Yield what a gzip file holds.

    Raises:
        Refused: corrupt_gzip, truncated_gzip, trailing_garbage, decompression_ratio, too_many_bytes.
    """
    return _bounded(_members(source), source, limits)


def table_format(path: Path) -> Format:
    """What an unpacked file is, by its first bytes.

    Raises:
        Refused: unsupported_format, naming what it is.
    """
    with path.open("rb") as file:
        head = file.read(16)
    if head.startswith(_PARQUET):
        return "parquet"
    known = next((what for magic, what in {GZIP: "gzip inside gzip", **_OTHERS}.items() if head.startswith(magic)), "")
    if known:
        raise Refused("unsupported_format", f"The file is {known}. Upload CSV (also gzipped) or Parquet.")
    return "csv"


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _bounded(stream: Iterator[bytes], source: BinaryIO, limits: Limits) -> Iterator[bytes]:
    """Against what has been read so far: a bomb is told at its beginning, whatever its size."""
    total = 0
    for chunk in stream:
        total += len(chunk)
        if total > limits.max_bytes:
            raise _too_many_bytes(limits)
        if total > limits.ratio_after and total > source.tell() * limits.max_ratio:
            raise Refused(
                "decompression_ratio",
                f"The file grows more than {limits.max_ratio} times when decompressed, as a gzip bomb does. "
                "If it is a real table, upload it uncompressed or as Parquet.",
            )
        yield chunk


def _too_many_bytes(limits: Limits) -> Refused:
    gigabytes = limits.max_bytes / (1 << 30)
    return Refused("too_many_bytes", f"The table is larger than {gigabytes:.3g} GiB as text. Split it, or upload less.")


def _members(source: BinaryIO) -> Iterator[bytes]:
    """Yield what the members of a gzip file hold; zero padding after the last one is allowed, as gzip(1) does."""
    data = source.read(_READ)
    while data:
        rest = yield from _member(data, source)
        data = _skip_padding(rest, source)
        if data and not data.startswith(GZIP):
            raise Refused(
                "trailing_garbage",
                "Bytes that are no gzip follow the end of the compressed table. Compress the file again.",
            )


def _member(data: bytes, source: BinaryIO) -> Generator[bytes, None, bytes]:
    """Yield one member's content; return what was read beyond its end."""
    member = zlib.decompressobj(wbits=31)
    while True:
        out = _inflated(member, data)
        if out:
            yield out
        if member.eof:
            return member.unused_data
        if not out and not data:
            raise Refused("truncated_gzip", "The gzip file ends too early. Upload it again, in full.")
        data = member.unconsumed_tail or source.read(_READ)


def _inflated(member: "zlib._Decompress", data: bytes) -> bytes:
    try:
        return member.decompress(data, CHUNK)
    except zlib.error as error:
        raise Refused("corrupt_gzip", f"The gzip file is damaged ({error}). Upload it again.") from error


def _skip_padding(data: bytes, source: BinaryIO) -> bytes:
    while not (data := data.lstrip(b"\0")):
        data = source.read(_READ)
        if not data:
            return b""
    return data if len(data) > 1 else data + source.read(_READ)
