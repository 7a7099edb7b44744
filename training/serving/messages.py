"""A request, an answer, and the answers to what cannot be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

from training.complaints import BadRows, RequestError

MAX_BODY: Final = 6 * 2**20
"""Bytes: the limit of a SageMaker real-time endpoint."""


class Refused(Exception):
    """A request that is answered with this status and text without being looked into."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = dict(headers or {})


class Request(NamedTuple):
    """`headers`: names in lower case; of several of one name the last."""

    method: str
    path: str
    headers: Mapping[bytes, bytes]
    body: bytes

    def header(self, name: bytes) -> str:
        """Value of a header, given in lower case; empty when absent."""
        return str(self.headers.get(name, b""), "latin-1")


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def error_answer(status: int, text: str, headers: Mapping[str, str] | None = None, **more: Any) -> Answer:
    """{"error": text, ...}."""
    return Answer(status, orjson.dumps({"error": text, **more}), headers=headers or {})


def refused(error: Refused) -> Answer:
    return error_answer(error.status, str(error), error.headers)


def refusal(error: RequestError) -> Answer:
    """The answer to a body that cannot be read; BadRows lists row, column and message of each complaint."""
    if isinstance(error, BadRows):
        errors = [each._asdict() for each in error.complaints]
        return error_answer(error.status, str(error), errors=errors, error_count=error.total)
    return error_answer(error.status, str(error))


def too_large() -> Answer:
    return error_answer(413, f"the body is over {MAX_BODY} bytes; send fewer rows at a time, or use batch scoring")
