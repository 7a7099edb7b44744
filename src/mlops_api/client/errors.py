"""Everything that can go wrong in a call, as one tree.

MLOpsError
├── NotFound       404: no such dataset, job, model, alias or endpoint
├── Validation     400, 415, 422: the input was refused; `errors` names row, column and field
├── Conflict       409, 412: the state does not allow it; `extra` names the state and what is allowed
├── AuthError      401, 403: no token, a wrong one, or not allowed
├── TooLarge       413: the body is over the limit
├── ServerError    429, 5xx, or an answer that makes no sense; `request_id` finds it in the server's log
├── Unreachable    nobody answers at that address
├── Timeout        no answer in time, or a job that outlasted `wait(timeout=...)`
└── JobFailed      a job that was waited for ended Failed or Stopped; `job` is its last state
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

_KNOWN_MEMBERS = frozenset({"type", "title", "status", "detail", "instance", "errors", "request_id"})


class MLOpsError(Exception):
    """`detail` says what happened and what to do next.

    `status` is the HTTP status (None when there was no answer), `errors` one entry per complaint with
    `message` and, where known, `row`, `column` and `field`; `extra` holds further members of the answer.
    """

    code: ClassVar[str] = "error"

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.request_id = request_id
        self.errors = [dict(error) for error in errors]
        self.extra = dict(extra or {})

    def __str__(self) -> str:
        """The detail, and what `errors` add to it: the first ten, and how many there are."""
        news = [error for error in self.errors if not _is_told(error, self.detail)]
        rest = [f"  and {len(news) - 10} more"] if len(news) > 10 else []
        return "\n".join([self.detail, *(f"  {line}" for line in map(describe, news[:10])), *rest])


class NotFound(MLOpsError):
    code = "not_found"


class Validation(MLOpsError):
    code = "validation"


class Conflict(MLOpsError):
    code = "conflict"


class AuthError(MLOpsError):
    code = "auth"


class TooLarge(MLOpsError):
    code = "too_large"


class ServerError(MLOpsError):
    code = "server"


class Unreachable(MLOpsError):
    code = "unreachable"


class Timeout(MLOpsError):
    code = "timeout"


class JobFailed(MLOpsError):
    code = "job_failed"

    def __init__(self, detail: str, job: Any) -> None:
        super().__init__(detail)
        self.job = job


_BY_STATUS: dict[int, type[MLOpsError]] = {
    400: Validation,
    401: AuthError,
    403: AuthError,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    413: TooLarge,
    415: Validation,
    422: Validation,
    429: ServerError,
}


def _is_told(error: Mapping[str, Any], detail: str) -> bool:
    """The detail holds the message already, with its place: many rows may have the same complaint."""
    row, column = error.get("row"), error.get("column")
    return (
        str(error.get("message")) in detail
        and (row is None or re.search(rf"\brow {row}\b", detail) is not None)
        and (column is None or str(column) in detail)
    )


def describe(error: Mapping[str, Any]) -> str:
    """`row 3, column dep_hour: not a number` from one entry of `errors`."""
    places = [f"{name} {error[name]}" for name in ("row", "column", "field") if error.get(name) is not None]
    message = str(error.get("message", error))
    return f"{', '.join(places)}: {message}" if places else message


def error_type(status: int) -> type[MLOpsError]:
    return _BY_STATUS.get(status, ServerError if status >= 500 else MLOpsError)


def error_from(status: int, headers: Mapping[str, str], body: bytes) -> MLOpsError:
    """Turn an answer of 400 or more, problem+json or not, into its exception."""
    problem = _problem(body)
    return error_type(status)(
        str(problem.get("detail") or problem.get("title") or _plain(status, body)),
        status=status,
        request_id=problem.get("request_id") or headers.get("x-request-id"),
        errors=problem.get("errors") or (),
        extra={name: value for name, value in problem.items() if name not in _KNOWN_MEMBERS},
    )


def _problem(body: bytes) -> dict[str, Any]:
    try:
        problem = json.loads(body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _plain(status: int, body: bytes) -> str:
    text = body[:200].decode("utf-8", "replace").strip()
    return f"The server answered {status}: {text}" if text else f"The server answered {status} without a reason."
