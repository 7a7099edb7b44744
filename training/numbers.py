"""The one number grammar: preprocessing, training and serving read a number alike or refuse it alike.

    number   = [sign] (digits ["." [digits]] | "." digits) [("e" | "E") [sign] digits]
    digits   = ASCII, and no leading zero before another digit: 007 is a code, not seven

Not numbers here, though float() or an SQL engine takes them: inf, nan, 1_000, 1d, 0x10, 1,000, Arabic digits.
1e999 is written like a number but is not finite, so it has no value.
"""

import math
import re
from typing import Literal

Decimal = Literal[".", ","]

WHITESPACE = " \t\n\r\v\f"
"""What is trimmed from a cell before it is read as a number; a no-break space is not."""

_WHOLE = r"(?:0|[1-9][0-9]*)"
_EXPONENT = r"(?:[eE][+-]?[0-9]+)?"

INTEGER_PATTERN = rf"[+-]?{_WHOLE}"
LEADING_ZERO_PATTERN = r"[+-]?0[0-9]+(?:[.,][0-9]*)?"
INFINITE_PATTERN = r"[+-]?[iI][nN][fF](?:[iI][nN][iI][tT][yY])?"

MAX_EXACT_INTEGER = 2**53
"""Every whole number up to this size is one float64 and no other."""


def number_pattern(decimal: Decimal = ".") -> str:
    """The grammar as a regular expression that Python, RE2 and Java read alike; match it against the whole cell."""
    point = re.escape(decimal)
    return rf"[+-]?(?:{_WHOLE}(?:{point}[0-9]*)?|{point}[0-9]+){_EXPONENT}"


NUMBER_PATTERN = number_pattern()

_COMPILED: dict[Decimal, re.Pattern[str]] = {".": re.compile(NUMBER_PATTERN), ",": re.compile(number_pattern(","))}


def decimal_mark(delimiter: str | None, *, commas: bool, points: bool) -> Decimal:
    """The mark of a text column's numbers: a comma only where it parts no cells and where points do not occur."""
    return "," if delimiter not in (None, ",") and commas and not points else "."


def parse_number(text: str, decimal: Decimal = ".") -> float | None:
    """The finite float64 that `text` says, spaces around it not counted; None when it is no number or not finite."""
    trimmed = text.strip(WHITESPACE)
    if _COMPILED[decimal].fullmatch(trimmed) is None:
        return None
    value = float(trimmed.replace(decimal, "."))
    return value if math.isfinite(value) else None
