"""DataProcessing of batch transform: JSONPath-like filters and the join of a record with its prediction.

The subset served: `$`, `$[2]`, `$[-1]`, `$[1:]`, `$[0,2]` on CSV fields, and `$.a` or `$['a','b']` on JSON objects.
"""

import json
import re
from typing import Any

from tests.sagemaker_server.refusals import NotServed

_SLICE = re.compile(r"\$\[(-?\d*):(-?\d*)\]")
_PLACES = re.compile(r"\$\[(-?\d+(?:\s*,\s*-?\d+)*)\]")
_NAMES = re.compile(r"\$\[('[^']+'(?:\s*,\s*'[^']+')*)\]|\$\.(\w+)")


class RecordFilter:
    """One filter. `whole`: it keeps everything. Raises NotServed for expressions outside the subset."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.whole = expression == "$"
        self._cut = _SLICE.fullmatch(expression)
        self._places = _PLACES.fullmatch(expression)
        self._names = _NAMES.fullmatch(expression)
        if not (self.whole or self._cut or self._places or self._names):
            raise NotServed(f"the filter {expression!r}")

    def apply(self, record: bytes, kind: str) -> bytes:
        """What is left of a CSV line or a JSON object. Fields must hold no quoted comma, as SageMaker demands."""
        if self.whole:
            return record
        if kind.startswith("text/csv"):
            return b",".join(self._fields(record.split(b",")))
        return json.dumps(self._members(json.loads(record))).encode()

    def _fields(self, fields: list[bytes]) -> list[bytes]:
        if self._cut:
            first, last = (int(text) if text else None for text in self._cut.groups())
            return fields[first:last]
        if self._places is None:
            raise NotServed(f"the filter {self.expression!r} on CSV")
        return [fields[int(place)] for place in self._places[1].split(",")]

    def _members(self, record: Any) -> Any:
        if self._names is None:
            raise NotServed(f"the filter {self.expression!r} on JSON")
        if self._names[2]:
            return record[self._names[2]]
        return {name: record[name] for name in re.findall(r"'([^']+)'", self._names[1])}


def joined(record: bytes, prediction: bytes, kind: str) -> bytes:
    """A record with its prediction: more fields in CSV, the member SageMakerOutput in JSON."""
    if kind.startswith("text/csv"):
        return record.rstrip(b"\r") + b"," + prediction
    content = json.loads(record)
    output = json.loads(prediction)
    if not isinstance(content, dict):
        return json.dumps({"SageMakerInput": content, "SageMakerOutput": output}).encode()
    return json.dumps(content | {"SageMakerOutput": output}).encode()
