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
        # From bytes it would guess UTF-16 and let half a surrogate pass.
        content = json.loads(body.decode("utf-8-sig"), parse_constant=NotFinite, parse_float=_finite, parse_int=_finite)
        _check_texts(content)
    except UnicodeEncodeError as half:
        raise MalformedBody(
            f"not JSON: a text holds \\u{ord(half.object[half.start]):04x}, half of a surrogate pair; send both, "
            "or the character itself in UTF-8"
        ) from half
    except UnicodeDecodeError as byte:
        raise MalformedBody(f"not JSON in UTF-8: byte {byte.start} of the body; encode it as UTF-8") from byte
    except (ValueError, RecursionError):
        _refuse(error)
    return content


def _check_texts(content: Any) -> None:
    """Raises UnicodeEncodeError for half a surrogate pair: it could be stored, shown or answered nowhere."""
    json.dumps(content, ensure_ascii=False, default=lambda number: number.text).encode()


def _finite(text: str) -> float | int | NotFinite:
    value = float(text)
    if not math.isfinite(value):
        return NotFinite(text)
    return int(text) if text.lstrip("-").isdigit() and len(text) < 16 else value


def _refuse(error: orjson.JSONDecodeError) -> NoReturn:
    raise MalformedBody(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
