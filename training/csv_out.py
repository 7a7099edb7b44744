"""CSV that people open in a spreadsheet: the one home of formula escaping in the container.

A text cell that starts with = + - @, a tab or a carriage return is a formula, or hides one, to a spreadsheet:
it gets a leading apostrophe. A text that is a plain number (the class "-1") is left alone, numbers always are.
https://owasp.org/www-community/attacks/CSV_Injection
"""

from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from training.numbers import NUMBER_PATTERN

_FORMULA: Final = r"^[=+\-@\t\r]"
_PLAIN_NUMBER: Final = rf"^(?:{NUMBER_PATTERN})$"


def escape_formulas(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """The texts with an apostrophe before each one that a spreadsheet would run; nulls stay null."""
    risky = pc.and_(
        pc.match_substring_regex(texts, _FORMULA), pc.invert(pc.match_substring_regex(texts, _PLAIN_NUMBER))
    )
    return pc.if_else(risky, pc.binary_join_element_wise("'", texts, ""), texts)


def escaped(table: pa.Table) -> pa.Table:
    """The table with its column names and text columns escaped."""
    columns = [escape_formulas(each) if pa.types.is_string(each.type) else each for each in table.columns]
    names = escape_formulas(pa.chunked_array([pa.array(table.column_names, pa.string())])).to_pylist()
    return pa.table(columns, names=names)


def write_csv(table: pa.Table, path: Path, *, header: bool) -> None:
    """Write UTF-8 with line feeds; texts are quoted, a null is an empty cell, floats read back to the same value."""
    with path.open("wb") as file:
        csv.write_csv(escaped(table), file, csv.WriteOptions(include_header=header))
