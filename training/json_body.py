"""JSON read strictly and fast; what JSON does not know (NaN, Infinity, 1e999) is kept to be named by row and column."""

import json
import math
from typing import Any, NoReturn

import orjson

from training.cells import NotFinite
from training.complaints import MalformedBody


def load_json(body: bytes) -> Any:
    """Parse UTF-8 JSON; a number that is not finite becomes a NotFinite. Raises MalformedBody, saying where."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return _load_not_finite(body, error)


def _load_not_finite(body: bytes, error: orjson.JSONDecodeError) -> Any:
    """Read again, slower, a body whose only fault may be its numbers: Python's own json writes NaN."""
    try:
        return json.loads(body, parse_constant=NotFinite, parse_float=_finite, parse_int=_finite)
    except (ValueError, RecursionError):
        _refuse(error)


def _finite(text: str) -> float | int | NotFinite:
    value = float(text)
    if not math.isfinite(value):
        return NotFinite(text)
    return int(text) if text.lstrip("-").isdigit() and len(text) < 16 else value


def _refuse(error: orjson.JSONDecodeError) -> NoReturn:
    raise MalformedBody(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
