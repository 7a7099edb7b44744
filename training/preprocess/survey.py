"""A first look at a text file's bytes: its encoding, and what the fast reader could get wrong.

BOM UTF-8                 read as UTF-8
BOM UTF-16, UTF-32        read as such
all bytes valid UTF-8     UTF-8
hardly any valid UTF-8    Windows-1252, with a warning
UTF-8 with broken bytes   refused: guessing would garble the good cells
NUL                       refused
"""

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from training.preprocess.findings import Refused
from training.preprocess.limits import Limits
from training.preprocess.raw import CHUNK, chunks

LEGACY = "cp1252"
_BOMS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_ASCII = bytes(range(128))
_UNDEFINED_IN_LEGACY = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_BLANK_LINES = (b"\n\r\n", b"\r\r")


@dataclass(frozen=True)
class Survey:
    """`path` is the text as UTF-8; its data begins after `skip` bytes (a BOM)."""

    path: Path
    skip: int
    encoding: str
    blank_lines: bool
    lone_cr: bool

    @property
    def simple(self) -> bool:
        """Line ends part records, or stand in quotes: no blank lines between, no old Mac line ends."""
        return not (self.blank_lines or self.lone_cr)


def survey(path: Path, scratch: Path, limits: Limits) -> Survey:
    """Find the encoding, transcode to UTF-8 where it is another, and note what the text contains.

    Raises:
        Refused: nul_byte, invalid_encoding or invalid_utf8 (both without a place: see `trace.py`), line_too_long.
    """
    encoding = _bom_encoding(path) or ("utf-8" if _is_utf8(path) else _legacy(path))
    if encoding in ("utf-8", "utf-8-sig"):
        return _noted(path, encoding, limits)
    copy = scratch / "utf8"
    _transcode(path, copy, encoding)
    return _noted(copy, encoding, limits)


def _bom_encoding(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(4)
    found = next((name for bom, name in _BOMS.items() if head.startswith(bom)), None)
    if found == "utf-8-sig" and not _is_utf8(path):
        raise _broken_utf8()
    return found


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    pending = False
    try:
        for chunk in chunks(path):
            # Only chunks with non-ASCII bytes are decoded: ASCII is told far more cheaply.
            if pending or not chunk.isascii():
                decoder.decode(chunk)
                pending = bool(decoder.getstate()[0])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _legacy(path: Path) -> str:
    """Windows-1252, when the bytes outside ASCII are neither mostly UTF-8 nor undefined there."""
    inside_utf8 = outside_utf8 = 0
    for chunk in chunks(path):
        if b"\0" in chunk:
            raise _nul()
        rest = _MULTIBYTE.sub(b"", chunk)
        inside_utf8 += len(chunk) - len(rest)
        outside_utf8 += len(rest.translate(None, _ASCII))
        if _UNDEFINED_IN_LEGACY.search(rest):
            raise _broken_utf8()
    if inside_utf8 > outside_utf8 // 10:
        raise _broken_utf8()
    return LEGACY


def _transcode(path: Path, target: Path, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with target.open("wb") as out:
            for chunk in chunks(path):
                out.write(decoder.decode(chunk).encode())
            out.write(decoder.decode(b"", final=True).encode())
    except UnicodeError as error:
        raise Refused(
            "invalid_encoding", f"The file is not the {encoding.upper()} that it seems to be. Save it as UTF-8."
        ) from error


def _noted(path: Path, encoding: str, limits: Limits) -> Survey:
    skip = 3 if encoding == "utf-8-sig" else 0
    blank = lone_cr = False
    run = 0
    for chunk in _whole_line_ends(path, skip):
        if b"\0" in chunk:
            raise _nul()
        run = _line_run(chunk, run, limits)
        returns = b"\r" in chunk
        blank = blank or b"\n\n" in chunk or (returns and any(each in chunk for each in _BLANK_LINES))
        lone_cr = lone_cr or (returns and chunk.count(b"\r") != chunk.count(b"\r\n"))
    return Survey(path, skip, encoding, blank or _opens_blank(path, skip), lone_cr)


def _whole_line_ends(path: Path, skip: int) -> Iterator[bytes]:
    """Yield the text in chunks that never split a run of line ends; those that end the file are left out."""
    held = b""
    with path.open("rb") as file:
        file.seek(skip)
        while chunk := file.read(CHUNK):
            text = held + chunk
            body = text.rstrip(b"\r\n")
            held = text[len(body) :]
            # A run of line ends stays in front of the text that follows it.
            if body:
                yield body
            if len(held) > CHUNK:
                held = held[-4:]


def _line_run(chunk: bytes, run: int, limits: Limits) -> int:
    """Length of the line that `chunk` leaves open."""
    first, last = _first_end(chunk), max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
    if run + (len(chunk) if first < 0 else first) > limits.max_line:
        raise Refused(
            "line_too_long",
            f"A line is longer than {limits.max_line >> 20} MiB. Check that the file is a table with one row a line.",
        )
    return run + len(chunk) if last < 0 else len(chunk) - last - 1


def _first_end(chunk: bytes) -> int:
    ends = [place for place in (chunk.find(b"\n"), chunk.find(b"\r")) if place >= 0]
    return min(ends, default=-1)


def _opens_blank(path: Path, skip: int) -> bool:
    with path.open("rb") as file:
        file.seek(skip)
        return file.read(1) in (b"\r", b"\n")


def _nul() -> Refused:
    return Refused(
        "nul_byte",
        "The text holds a NUL character. Save the table as UTF-8 text (UTF-16 is read only with its byte-order mark).",
    )


def _broken_utf8() -> Refused:
    return Refused(
        "invalid_utf8",
        "A cell holds bytes that are not valid UTF-8, in a file that otherwise is. Save the whole table as UTF-8.",
    )


def open_text(path: Path, skip: int, errors: str = "strict") -> io.TextIOWrapper:
    """Open UTF-8 text for Python's csv: line ends are left as they are."""
    file = path.open("rb")
    file.seek(skip)
    return io.TextIOWrapper(file, encoding="utf-8", errors=errors, newline="")
