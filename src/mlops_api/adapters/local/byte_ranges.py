"""The Range header of one download (RFC 9110, section 14)."""

import re
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$", re.IGNORECASE | re.ASCII)
_MOST_DIGITS = 18


@dataclass(frozen=True)
class ByteRange:
    """`length` bytes from `start`."""

    start: int
    length: int


class Unsatisfiable(Exception):
    """The range begins behind the end."""


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The part of `size` bytes that is asked for.

    None: all of it, which is the right answer to several ranges and to a header that makes no sense, too.
    Raises Unsatisfiable.
    """
    match = _ONE_RANGE.match(header or "")
    if match is None or max(map(len, match.groups())) > _MOST_DIGITS:
        return None
    first, last = match.groups()
    if first:
        return _from(int(first), int(last) if last else size - 1, size)
    return _suffix(int(last), size) if last else None


def _from(first: int, last: int, size: int) -> ByteRange | None:
    if last < first < size:
        return None
    if first >= size:
        raise Unsatisfiable
    return ByteRange(first, min(last, size - 1) - first + 1)


def _suffix(wanted: int, size: int) -> ByteRange:
    if wanted == 0 or size == 0:
        raise Unsatisfiable
    length = min(wanted, size)
    return ByteRange(size - length, length)
