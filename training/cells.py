"""One column of raw cells -> the array a model reads, with a complaint for each cell that cannot be.

Raw cells are JSON values (`json_column`) or the texts of a CSV (`text_column`); arrow_cells.py does the same
for Arrow arrays. numeric and boolean columns become float64 with NaN for missing; categorical ones int32 codes.

A missing value (null, an absent key, a text by the rule of training.missing) is a complaint only where training
saw none.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from mlops_contracts.bundle import Feature
from training.complaints import Sink
from training.features import MISSING, UNSEEN
from training.missing import is_missing_text
from training.numbers import INTEGER_PATTERN, NUMBER_PATTERN, WHITESPACE

Array = npt.NDArray[Any]
_Missing = TypeVar("_Missing", int, float)

NAN: Final = float("nan")
EXPECTED: Final = {"numeric": "a number", "boolean": "true or false", "categorical": "a string"}

_NUMBER = re.compile(NUMBER_PATTERN)
_INTEGER = re.compile(INTEGER_PATTERN)
_JSON_NUMBERS = ({int}, {float}, {int, float})
_JSON_NUMBERS_OR_NULL = frozenset({int, float, type(None)})
_TRUTH = {"true": 1.0, "false": 0.0}


class Absent:
    """Stands where an object lacks the key of a required column."""


class NotFinite:
    """Stands for NaN, Infinity or 1e999 in a body that says it is JSON."""

    def __init__(self, text: str) -> None:
        self.text = text


ABSENT: Final = Absent()


@dataclass(frozen=True)
class Field:
    """A feature of the signature, made ready for reading many cells."""

    feature: Feature
    name: str
    type: str
    required: bool
    codes: dict[str, int]
    """Code of each known category."""
    takes_integers: bool
    """Some category is the text of a whole number, so that JSON integers may stand for theirs."""

    @classmethod
    def of(cls, feature: Feature) -> "Field":
        codes = {text: code for code, text in enumerate(feature.categories)}
        integers = any(_INTEGER.fullmatch(text) for text in codes)
        return cls(feature, feature.name, feature.type, feature.required, codes, integers)

    def code(self, text: str) -> int:
        """Code of a text cell. A known category is itself even where its text could stand for a missing cell."""
        code = self.codes.get(text)
        if code is not None:
            return code
        return MISSING if is_missing_text(text) else UNSEEN

    def all_missing(self, rows: int) -> Array:
        """The column of a table that lacks an optional feature."""
        return np.full(rows, MISSING, np.int32) if self.type == "categorical" else np.full(rows, NAN)


def json_column(field: Field, values: Sequence[Any], sink: Sink) -> Array:
    """Read JSON values: numbers, true/false, strings, null. Strings that hold numbers are refused."""
    if field.type == "numeric":
        return _json_numbers(field, values, sink)
    if field.type == "categorical":
        return np.array([_json_code(field, value, row, sink) for row, value in enumerate(values)], np.int32)
    return np.array([_json_truth(field, value, row, sink) for row, value in enumerate(values)], np.float64)


def _json_numbers(field: Field, values: Sequence[Any], sink: Sink) -> Array:
    kinds = set(map(type, values))
    if kinds in _JSON_NUMBERS or (not field.required and kinds <= _JSON_NUMBERS_OR_NULL):
        return np.array(values, dtype=np.float64)  # None becomes NaN
    return np.array([_json_number(field, value, row, sink) for row, value in enumerate(values)], np.float64)


def _json_number(field: Field, value: Any, row: int, sink: Sink) -> float:
    return float(value) if type(value) in (int, float) else _json_odd(field, value, row, sink, NAN)


def _json_truth(field: Field, value: Any, row: int, sink: Sink) -> float:
    return float(value) if type(value) is bool else _json_odd(field, value, row, sink, NAN)


def _json_code(field: Field, value: Any, row: int, sink: Sink) -> int:
    if type(value) is str:
        return field.codes.get(value, UNSEEN)
    if type(value) is int and field.takes_integers:
        return field.codes.get(str(value), UNSEEN)
    return _json_odd(field, value, row, sink, MISSING)


def _json_odd(field: Field, value: Any, row: int, sink: Sink, missing: _Missing) -> _Missing:
    """Missing, or a value of the wrong type."""
    if value is None:
        report_missing(field, row, sink)
    elif value is ABSENT:
        sink.add(row, field.name, f"missing: this column is required, {EXPECTED[field.type]}")
    elif isinstance(value, NotFinite):
        sink.add(row, field.name, "{} is not a finite number; send null for a missing value", value.text)
    else:
        sink.add(row, field.name, f"expected {EXPECTED[field.type]}{_hint(field, value)}, got {{}}", value)
    return missing


def _hint(field: Field, value: Any) -> str:
    if field.type == "numeric" and isinstance(value, str) and _NUMBER.fullmatch(value.strip(WHITESPACE)):
        return " (without quotes)"
    return ""


def report_missing(field: Field, row: int, sink: Sink) -> None:
    """Complain about a missing cell where the model has learnt from none."""
    if field.required:
        sink.add(row, field.name, f"missing value: training saw none here; send {EXPECTED[field.type]}")


def text_column(field: Field, values: Sequence[str], sink: Sink) -> Array:
    """Read the cells of a CSV; numbers by the grammar of training.numbers, true and false in any case."""
    if field.type == "categorical":
        return np.array([_text_code(field, text, row, sink) for row, text in enumerate(values)], np.int32)
    read = _text_number if field.type == "numeric" else _text_truth
    return np.array([read(field, text, row, sink) for row, text in enumerate(values)], np.float64)


def _text_number(field: Field, text: str, row: int, sink: Sink) -> float:
    trimmed = text.strip(WHITESPACE)
    if _NUMBER.fullmatch(trimmed) is None:
        return _text_odd(field, text, row, sink)
    value = float(trimmed)
    return value if math.isfinite(value) else _text_odd(field, text, row, sink)


def _text_truth(field: Field, text: str, row: int, sink: Sink) -> float:
    value = _TRUTH.get(text.strip(WHITESPACE).lower())
    return _text_odd(field, text, row, sink) if value is None else value


def _text_code(field: Field, text: str, row: int, sink: Sink) -> int:
    code = field.code(text)
    if code == MISSING:
        report_missing(field, row, sink)
    return code


def _text_odd(field: Field, text: str, row: int, sink: Sink) -> float:
    if is_missing_text(text):
        report_missing(field, row, sink)
    else:
        finite = "a finite number" if field.type == "numeric" else EXPECTED[field.type]
        sink.add(row, field.name, f"expected {finite}, got {{}}", text)
    return NAN
