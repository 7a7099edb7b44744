"""The few shapes all calls are made of."""

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mlops_api.client.effects import Flow, Item, Items, Reply, Request, Send, Sleep
from mlops_api.client.errors import ServerError, Timeout, Validation, describe
from mlops_api.client.names import not_a_name, not_a_version
from mlops_api.domain.base import Page

B = TypeVar("B", bound=BaseModel)
PageT = TypeVar("PageT", bound=Page)
T = TypeVar("T")

JSON = {"Content-Type": "application/json"}
FIRST_POLL = 0.1
LONGEST_POLL = 2.0
_EXPLAINED = {"name": not_a_name, "model": not_a_name, "dataset": not_a_version, "version": not_a_version}
"""Fields that hold a name or a version."""


def path(*segments: str) -> str:
    """`/datasets/flights:1/profile`; raises Validation for a segment that would change the path."""
    for segment in segments:
        if segment in {"", ".", ".."}:
            raise Validation(f"{segment!r} is not a name. Write one such as flights, or flights:3.")
    return "".join("/" + quote(segment, safe=":") for segment in segments)


def get(url: str, answer: type[B], **params: str | int | None) -> Flow[B]:
    return (yield from _call(Request("GET", url, _given(params)), answer))


def write(
    method: Literal["POST", "PUT"],
    url: str,
    answer: type[B],
    body: BaseModel | None = None,
    *,
    revision: int | None = None,
    **params: str | None,
) -> Flow[B]:
    """A call that changes something. It carries an Idempotency-Key, so that repeating it is safe.

    `revision`: of what was read; the change is made only if that still stands.
    """
    content = body.model_dump_json().encode() if body is not None else None
    headers = key() | _if_match(revision) | (JSON if content is not None else {})
    return (yield from _call(Request(method, url, _given(params), headers, content), answer))


def delete(url: str, *, revision: int | None = None) -> Flow[None]:
    """`revision` as in write."""
    yield Send(Request("DELETE", url, headers=key() | _if_match(revision)))


def _if_match(revision: int | None) -> dict[str, str]:
    return {} if revision is None else {"If-Match": str(revision)}


def pages(
    url: str,
    page: type[PageT],
    items: Callable[[PageT], Sequence[T]],
    page_size: int | None = None,
    **params: str | int | None,
) -> Items[T]:
    """Every item of a list, page after page to the end."""
    token: str | None = None
    while True:
        answer = yield from get(url, page, limit=page_size, next_token=token, **params)
        for item in items(answer):
            yield Item(item)
        if answer.next_token is None:
            return
        if answer.next_token == token:
            raise ServerError(f"The server gave the same next_token twice for {url}: its end is out of reach.")
        token = answer.next_token


def poll(read: Callable[[], Flow[T]], done: Callable[[T], bool], what: str, timeout: float | None) -> Flow[T]:
    """Read until `done`, with growing pauses. Raises Timeout after `timeout` seconds (None: never)."""
    deadline = None if timeout is None else time.monotonic() + timeout
    pause = FIRST_POLL
    while True:
        state = yield from read()
        if done(state):
            return state
        if deadline is not None and time.monotonic() >= deadline:
            raise Timeout(f"{what} is not done after {timeout:g} s. It goes on; wait again with a longer timeout.")
        yield Sleep(pause)
        pause = min(LONGEST_POLL, pause * 1.5)


def key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


def parsed(reply: Reply, answer: type[B]) -> B:
    """Raises ServerError when the body is not what `answer` describes. Keys it does not know are ignored."""
    try:
        return answer.model_validate_json(reply.content, extra="ignore")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ServerError(
            f"The answer is not a {answer.__name__} ({place}: {first['msg']}). Is this the address of an MLOps server, "
            "and does its version match this client's?",
            status=reply.status,
            request_id=reply.headers.get("x-request-id"),
        ) from error


def checked(request: type[B], fields: Mapping[str, Any]) -> B:
    """Build a request body; raises Validation naming each field that is wrong."""
    try:
        return request.model_validate(dict(fields))
    except ValidationError as error:
        errors = [
            {"field": ".".join(map(str, one["loc"])), "message": _complaint(one)}
            for one in error.errors(include_url=False)
        ]
        detail = describe(errors[0]) if len(errors) == 1 else f"The request is not valid: {len(errors)} complaints."
        raise Validation(detail, errors=errors) from error


def _complaint(error: ErrorDetails) -> str:
    """Pydantic's message, except where it would show a regular expression."""
    if error["type"] not in ("string_pattern_mismatch", "string_too_long"):
        return error["msg"]
    explain = _EXPLAINED.get(str(error["loc"][-1]))
    return explain(error["input"]) if explain else error["msg"]


def _call(request: Request, answer: type[B]) -> Flow[B]:
    return parsed((yield Send(request)), answer)


def _given(params: Mapping[str, str | int | None]) -> dict[str, str]:
    return {name: str(value) for name, value in params.items() if value is not None}
