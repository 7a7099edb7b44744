"""Rows to score, from whatever the caller holds, as the body of POST /inference/predict."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from mlops_api.client.errors import Validation
from mlops_api.client.sources import Frame

Rows = Mapping[str, Any] | Sequence[Mapping[str, Any]] | Frame


def predict_body(model: str, rows: Rows) -> bytes:
    """JSON. NaN becomes null, a missing value; raises Validation for what JSON cannot hold, with row and column."""
    fields = _fields(rows)
    try:
        return json.dumps({"model": model, **fields}, default=_scalar, allow_nan=False).encode()
    except ValueError as error:
        raise Validation(f"The rows cannot be sent as JSON: {error}.") from error


def _fields(rows: Rows) -> dict[str, Any]:
    match rows:
        case Mapping():
            return {"instances": [_instance(0, rows)]}
        case Frame():
            table = json.loads(rows.to_json(orient="split", date_format="iso"))
            return {"columns": table["columns"], "rows": table["data"]}
        case Sequence() if not isinstance(rows, str | bytes):
            return {"instances": [_instance(number, row) for number, row in enumerate(rows)]}
    raise Validation(f"Cannot predict from a {type(rows).__name__}. Give a dict, a list of dicts or a DataFrame.")


def _instance(number: int, row: Any) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise Validation(f"Row {number} is a {type(row).__name__}, not a dict of column to value.")
    return {str(column): _value(number, column, value) for column, value in row.items()}


def _value(row: int, column: Any, value: Any) -> Any:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    if math.isnan(value):
        return None
    raise Validation("A value is infinite.", errors=[{"row": row, "column": str(column), "message": f"{value}"}])


def _scalar(value: Any) -> Any:
    """numpy's scalars say what they are by `item`."""
    if hasattr(value, "item"):
        return value.item()
    raise ValueError(f"a {type(value).__name__} is no number, text or boolean")
