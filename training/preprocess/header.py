"""What a table's header must be: named, distinct columns, on every engine that will read them."""

import re
from collections.abc import Sequence

from training.numbers import WHITESPACE, parse_number
from training.preprocess.findings import Findings, Refused, shown
from training.preprocess.limits import Limits

MAX_NAME = 256
RESERVED = "file_row_number"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*")


def checked_header(raw: Sequence[str], findings: Findings, limits: Limits, line: int | None = None) -> tuple[str, ...]:
    """Return the column names without the spaces around them; what is wrong goes to `findings`.

    Raises:
        Refused: too_many_columns.
    """
    if len(raw) > limits.max_columns:
        raise Refused(
            "too_many_columns", f"The header has {len(raw):,} columns; at most {limits.max_columns:,} are read."
        )
    names = tuple(name.strip(WHITESPACE) for name in raw)
    for position, name in enumerate(names, 1):
        _check_name(name, position, findings, line)
    _check_distinct(names, findings, line)
    _warn_padded(raw, names, findings)
    _warn_data(names, findings)
    return names


def _check_name(name: str, position: int, findings: Findings, line: int | None) -> None:
    if not name:
        findings.violate(
            "empty_column_name",
            f"Column {position} has no name. Write one in the header, or remove the column.",
            line=line,
        )
    elif len(name) > MAX_NAME:
        findings.violate(
            "column_name_too_long",
            f"The name of column {position} has {len(name):,} characters; shorten it to at most {MAX_NAME}.",
            line=line,
        )
    elif name.casefold() == RESERVED:
        findings.violate(
            "reserved_column_name",
            f"Column {position} is named {RESERVED}, a name the SQL engine uses itself. Rename it.",
            column=name,
            line=line,
        )
    elif _CONTROL.search(name):
        findings.violate(
            "column_name_control_character",
            f"The name of column {position}, {shown(name)}, holds a line break or control character; remove it.",
            line=line,
        )


def _check_distinct(names: Sequence[str], findings: Findings, line: int | None) -> None:
    first: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        # SQL engines do not tell names apart by case: one of the two columns would be lost or renamed.
        other = first.setdefault(name.casefold(), position)
        if name and other != position:
            same = "the same name" if names[other - 1] == name else "a name that differs only in upper and lower case"
            findings.violate(
                "duplicate_column",
                f"Columns {other} and {position} have {same}, {shown(name)}. Rename or remove one.",
                column=name[:MAX_NAME],
                line=line,
            )


def _warn_padded(raw: Sequence[str], names: Sequence[str], findings: Findings) -> None:
    for given, name in zip(raw, names, strict=True):
        if given != name and name:
            findings.warn(
                "padded_column_name",
                f"Spaces around the column name {shown(given)} were left out; the column is {shown(name)}.",
                column=name,
            )


def _warn_data(names: Sequence[str], findings: Findings) -> None:
    suspects = [name for name in names if parse_number(name) is not None or _DATE.fullmatch(name)]
    if suspects:
        findings.warn(
            "header_looks_like_data",
            f"The header holds {shown(suspects[0])}, which looks like a value. If the first line is data, "
            "add a line with column names in front of it.",
            column=suspects[0],
        )
