"""Where a byte that cannot be text stands, or a line that is too long: row, column, line."""

import codecs
import csv
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from mlops_contracts.dataset import Finding
from training.preprocess.findings import Refused
from training.preprocess.limits import Limits
from training.preprocess.sniff import sniff
from training.preprocess.survey import open_text

_BAD = {"nul_byte": re.compile("\x00"), "invalid_utf8": re.compile("[\udc80-\udcff]")}
"""By the code of the refusal; errors="surrogateescape" makes U+DC80..U+DCFF of bytes that are not valid UTF-8."""
_SAMPLE_LINES = 200
_FIRST_PART = 1 << 20
"""Bytes of a long line: a cell that ends behind them is the long one."""

_Found = dict[str, str | int | None]


def placed(refused: Refused, plain: Path, scratch: Path, limits: Limits) -> Finding:
    """The refusal's finding with row, column and line, when it is about a byte or a line of the text.

    The text is the transcoded copy in `scratch` when there is one, else the file itself.
    """
    copy = scratch / "utf8"
    path = copy if copy.exists() else plain
    code = refused.finding.code
    if code not in (*_BAD, "line_too_long"):
        return refused.finding
    with path.open("rb") as raw:
        skip = 3 if raw.read(3) == codecs.BOM_UTF8 else 0
    if code == "line_too_long":
        return refused.finding.model_copy(update=_long_line(path, skip, limits))
    with open_text(path, skip, errors="surrogateescape") as file:
        sample = [line for _, line in zip(range(_SAMPLE_LINES), file, strict=False)]
    with open_text(path, skip, errors="surrogateescape") as file:
        return refused.finding.model_copy(update=_place(file, sniff(sample).delimiter, _BAD[code]))


def _long_line(path: Path, skip: int, limits: Limits) -> _Found:
    """The line, and the cell that makes it long: that of its first part's end."""
    line = 1
    with path.open("rb") as file:
        file.seek(skip)
        while len(begun := file.readline(limits.max_line)) < limits.max_line:
            if not begun:
                return {}
            line += 1
    with open_text(path, skip, errors="surrogateescape") as text:
        before = list(islice(text, min(line - 1, _SAMPLE_LINES)))
    if not before:
        return {"line": line}
    delimiter = sniff(before).delimiter
    with open_text(path, skip, errors="surrogateescape") as text:
        records = sum(1 for record in csv.reader(islice(text, line - 1), delimiter=delimiter) if record)
    header = next(filter(None, csv.reader(before, delimiter=delimiter)), [])
    place = begun[:_FIRST_PART].count(delimiter.encode())
    return {"row": records or None, "column": header[place] if place < len(header) else None, "line": line}


def _place(file: Iterator[str], delimiter: str, pattern: re.Pattern[str]) -> _Found:
    reader = csv.reader(file, delimiter=delimiter)
    header: list[str] | None = None
    row, line = 0, 1
    try:
        for record in reader:
            bad = next((place for place, cell in enumerate(record) if pattern.search(cell)), None)
            if bad is not None:
                name = header[bad] if header and bad < len(header) else None
                return {"row": row or None, "column": name, "line": line}
            if record:
                header = header or record
                row += 1
            line = reader.line_num + 1
    except csv.Error:
        pass
    return {"line": line}
