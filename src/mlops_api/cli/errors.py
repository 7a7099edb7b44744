"""Errors on the command line: one home for exit codes, and for how an error is shown."""

from collections.abc import Mapping
from typing import Any, Final

OK: Final = 0
FAILURE: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
REFUSED: Final = 4
UNREACHABLE: Final = 5
INTERRUPTED: Final = 130

EXIT_CODES: Final = (
    (OK, "ok"),
    (FAILURE, "failure (of the job, the server or this program)"),
    (USAGE, "usage: the command line is wrong"),
    (NOT_FOUND, "not found"),
    (REFUSED, "refused: the input is not valid, or a gate or the current state does not allow it"),
    (UNREACHABLE, "the server is unreachable"),
    (INTERRUPTED, "interrupted"),
)

_BY_CODE: Final = {
    "not_found": NOT_FOUND,
    "validation": REFUSED,
    "conflict": REFUSED,
    "too_large": REFUSED,
    "unreachable": UNREACHABLE,
}


class UsageProblem(Exception):
    """Options that do not go together, or a value that cannot be read: exit code 2."""


def exit_code(error: BaseException) -> int:
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, UsageProblem):
        return USAGE
    return _BY_CODE.get(getattr(error, "code", ""), FAILURE)


def as_data(error: BaseException) -> dict[str, Any]:
    """The `error` member of the JSON envelope."""
    from mlops_api.client.errors import MLOpsError

    shown = {"code": _name(error), "message": _message(error), "exit_code": exit_code(error)}
    if isinstance(error, MLOpsError):
        shown |= {"status": error.status, "request_id": error.request_id, "errors": error.errors, "extra": error.extra}
        shown["message"] = error.detail
    notes = getattr(error, "__notes__", [])
    return shown | ({"notes": list(notes)} if notes else {})


def as_text(error: BaseException) -> str:
    """What is printed on stderr: the reason, each complaint with its place, the request id, what to do next."""
    warnings = [f"  warning: {_placed(one)}" for one in getattr(error, "extra", {}).get("warnings", ())]
    lines = [_message(error), *warnings, *getattr(error, "__notes__", [])]
    request_id = getattr(error, "request_id", None)
    return "\n".join([*lines, f"request id: {request_id}"] if request_id else lines)


def _name(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, UsageProblem):
        return "usage"
    return str(getattr(error, "code", "error" if is_expected(error) else "internal"))


def _message(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "Interrupted."
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}."
    return str(error) or type(error).__name__


def _placed(finding: Mapping[str, Any]) -> str:
    from mlops_api.client.errors import describe

    return describe(finding)


def is_expected(error: BaseException) -> bool:
    """False: a defect of this program, whose traceback is worth having."""
    return isinstance(error, UsageProblem | KeyboardInterrupt | OSError) or hasattr(error, "detail")
