"""The rows of a CSV body, as texts."""

import csv
import io

from training.complaints import MalformedBody


def csv_rows(body: bytes) -> list[list[str]]:
    """Split a UTF-8 CSV (RFC 4180, a byte order mark is skipped) into rows of cells; an empty line is an empty row.

    Raises MalformedBody for invalid UTF-8, NUL, an unterminated quote, or no line at all.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedBody(f"not UTF-8: byte {error.start} of the body; save the file as UTF-8") from error
    if "\0" in text:
        raise MalformedBody(f"NUL character at position {text.index(chr(0))}; this is not a CSV file")
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise MalformedBody(f"not CSV: {error}") from error
    if not rows:
        raise MalformedBody("the body is empty; send rows as text/csv")
    return rows
