"""Where a byte that cannot be text stands: row, column and line, for a refusal that helps."""

import codecs
import csv
import re
from collections.abc import Iterator
from pathlib import Path

from mlops_contracts.dataset import Finding
from training.preprocess.findings import Refused
from training.preprocess.sniff import sniff
from training.preprocess.survey import open_text

_BAD = {"nul_byte": re.compile("\x00"), "invalid_utf8": re.compile("[\udc80-\udcff]")}
"""By the code of the refusal; errors="surrogateescape" makes U+DC80..U+DCFF of bytes that are not valid UTF-8."""
_SAMPLE_LINES = 200


def placed(refused: Refused, plain: Path, scratch: Path) -> Finding:
    """The refusal's finding with row, column and line, when it is about a byte of the text.

    The text is the transcoded copy in `scratch` when there is one, else the file itself.
    """
    copy = scratch / "utf8"
    path = copy if copy.exists() else plain
    bad = _BAD.get(refused.finding.code)
    if bad is None:
        return refused.finding
    with path.open("rb") as raw:
        skip = 3 if raw.read(3) == codecs.BOM_UTF8 else 0
    with open_text(path, skip, errors="surrogateescape") as file:
        sample = [line for _, line in zip(range(_SAMPLE_LINES), file, strict=False)]
    with open_text(path, skip, errors="surrogateescape") as file:
        return refused.finding.model_copy(update=_place(file, sniff(sample).delimiter, bad))


def _place(file: Iterator[str], delimiter: str, pattern: re.Pattern[str]) -> dict[str, str | int | None]:
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
