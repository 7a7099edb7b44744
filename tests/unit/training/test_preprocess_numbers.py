"""The number grammar: one pattern, read alike by Python and by DuckDB."""

import math
import re

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.numbers import (
    INFINITE_PATTERN,
    INTEGER_PATTERN,
    LEADING_ZERO_PATTERN,
    NUMBER_PATTERN,
    number_pattern,
    parse_number,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0.0),
        ("-0", 0.0),
        ("+1.5", 1.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e3", 1000.0),
        ("1E-2", 0.01),
        (" 3\t", 3.0),
        ("0.1", 0.1),
        ("9007199254740993", 9007199254740992.0),
        ("1e-999", 0.0),
    ],
)
def test_numbers(text, value):
    assert parse_number(text) == value


_LOOK_ALIKES = (
    *("", " ", ".", "-", "e5", "1e", "007", "00", "01.5", "inf", "nan", "1e999", "-1e400", "9" * 400, "1_000", "1d"),
    *("0x1F", "1,5", "1,000", "1 000", "٣", "1\u00a0", "--1", "1.2.3", "½", "1e5.0", "true"),
)


@pytest.mark.parametrize("text", _LOOK_ALIKES)
def test_no_numbers(text):
    assert parse_number(text) is None


def test_decimal_comma():
    assert parse_number("1,5", ",") == 1.5
    assert parse_number("-,5e1", ",") == -5.0
    assert parse_number("12", ",") == 12.0
    assert parse_number("1.5", ",") is None
    assert parse_number("1.000,5", ",") is None


_PATTERNS = (NUMBER_PATTERN, number_pattern(","), INTEGER_PATTERN, LEADING_ZERO_PATTERN, INFINITE_PATTERN)
_MATCHES = ", ".join(f"regexp_full_match($1, '{pattern}')" for pattern in _PATTERNS)
_CONNECTION = duckdb.connect()


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.one_of(st.text("0123456789+-.,eE _dxinf", max_size=8), st.floats().map(repr), st.integers().map(str)))
def test_every_engine_reads_alike(text):
    """RE2 matches what Python's re matches, and both read the same float64."""
    *matched, value = _CONNECTION.execute(f"SELECT {_MATCHES}, try_cast($1 AS DOUBLE)", [text]).fetchone()
    assert matched == [re.fullmatch(pattern, text) is not None for pattern in _PATTERNS]
    if matched[0]:
        assert parse_number(text) == (value if math.isfinite(value) else None)
