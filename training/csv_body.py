"""The rows of a CSV body, as texts: UTF-8, gzip or not, and with a header split at any delimiter preprocess knows."""

import csv
import io
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from training.complaints import MalformedBody, TooLarge
from training.numbers import WHITESPACE, decimal_mark, parse_number
from training.preprocess.findings import Refused
from training.preprocess.limits import Limits
from training.preprocess.raw import GZIP, gunzip
from training.preprocess.sniff import CANDIDATES

MAX_TEXT: Final = 16 * 2**20
"""Bytes of a gzip body once decompressed."""

_LIMITS = Limits(max_bytes=MAX_TEXT, ratio_after=2**20)
_OVER = {"too_many_bytes", "decompression_ratio"}


class NamedRows(NamedTuple):
    """A table with a header. `delimiter` is the one that was found."""

    names: list[str]
    rows: list[list[str]]
    delimiter: str


def csv_rows(body: bytes) -> list[list[str]]:
    """Split a CSV (RFC 4180, a byte order mark is skipped) into rows of cells; an empty line is an empty row.

    Raises MalformedBody for invalid UTF-8, damaged gzip, NUL, an unterminated quote, or no line at all; TooLarge.
    """
    return _split(_text(body), ",")


def named_rows(body: bytes, known: AbstractSet[str]) -> NamedRows:
    """Split a CSV with a header, at the comma unless another delimiter alone makes `known` columns of it.

    Raises as `csv_rows` does.
    """
    text = _text(body)
    delimiter = _delimiter(text, known)
    names, *rows = _split(text, delimiter)
    return NamedRows([name.strip(WHITESPACE) for name in names], rows, delimiter)


def with_points(cells: Sequence[str], delimiter: str) -> Sequence[str]:
    """A column of numbers with decimal points; the very cells when these are its marks already."""
    commas, points = (any(mark in cell for cell in cells) for mark in ",.")
    if decimal_mark(delimiter, commas=commas, points=points) == ".":
        return cells
    return [cell if parse_number(cell, ",") is None else cell.replace(",", ".") for cell in cells]


def _text(body: bytes) -> str:
    plain = _decompressed(body) if body.startswith(GZIP) else body
    try:
        text = plain.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedBody(
            f"not UTF-8: byte {error.start} of the text; save the file as UTF-8, or score it in batch"
        ) from error
    if "\0" in text:
        raise MalformedBody(f"NUL character at position {text.index(chr(0))}; this is not a CSV file")
    return text


def _decompressed(body: bytes) -> bytes:
    try:
        return b"".join(gunzip(io.BytesIO(body), _LIMITS))
    except Refused as refused:
        if refused.finding.code in _OVER:
            raise TooLarge(
                f"the gzip body is over {MAX_TEXT} bytes, or over {_LIMITS.max_ratio} times its size, when "
                "decompressed; send fewer rows at a time, or use batch scoring"
            ) from refused
        raise MalformedBody(f"damaged gzip: {refused.finding.message}") from refused


def _delimiter(text: str, known: AbstractSet[str]) -> str:
    found = {each: len(known & set(_header(text, each))) for each in CANDIDATES}
    return "," if found[","] else max(CANDIDATES, key=found.__getitem__)


def _header(text: str, delimiter: str) -> list[str]:
    try:
        names = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []  # another delimiter may do; if none does, `_split` says what is wrong
    return [name.strip(WHITESPACE) for name in names]


def _split(text: str, delimiter: str) -> list[list[str]]:
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise MalformedBody(f"not CSV: {error}") from error
    if not rows:
        raise MalformedBody("the body is empty; send rows as text/csv")
    return rows
