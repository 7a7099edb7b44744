"""Every error the platform answers with. One handler in app.py renders them as problem+json (RFC 9457).

PlatformError
├── BadRequest 400            malformed token, header or body
├── Unauthorized 401          no token or a wrong one
├── Forbidden 403             a host or a principal that may not
├── NotFound 404
├── Conflict 409              the state does not allow it; says which state and what is allowed
│   ├── AlreadyExists         conditional create found a record
│   ├── RevisionMismatch      compare-and-set lost
│   └── NameTaken             a job of that name is somebody else's, for ever
├── PreconditionFailed 412    If-Match
├── TooLarge 413
├── UnsupportedMedia 415
├── Invalid 422               carries one entry per complaint, with row and column
├── Unavailable 503           try again; carries Retry-After
│   └── StillRunning          a job that has to end first; it may take long
└── StorageFull 507
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class PlatformError(Exception):
    """`detail` says what happened and what to do next; `extra` becomes further members of the problem document."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra: dict[str, Any] = extra
        self.headers: dict[str, str] = {}


class BadRequest(PlatformError):
    status = 400
    title = "Bad request"


class Unauthorized(PlatformError):
    status = 401
    title = "Not authenticated"


class Forbidden(PlatformError):
    status = 403
    title = "Not allowed"


class NotFound(PlatformError):
    status = 404
    title = "Not found"


class RequestTimeout(PlatformError):
    status = 408
    title = "Request timed out"


class Conflict(PlatformError):
    status = 409
    title = "Conflict"


class AlreadyExists(Conflict):
    title = "Already exists"


class RevisionMismatch(Conflict):
    title = "Changed by someone else"


class NameTaken(Conflict):
    title = "Name taken"


class PreconditionFailed(PlatformError):
    status = 412
    title = "Precondition failed"


class TooLarge(PlatformError):
    status = 413
    title = "Too large"


class UnsupportedMedia(PlatformError):
    status = 415
    title = "Unsupported media type"


class Invalid(PlatformError):
    """`errors`: mappings with `message` and, where known, `column`, `row` (from 0 in requests), `field`."""

    status = 422
    title = "Invalid input"

    def __init__(self, detail: str, errors: Sequence[Mapping[str, Any]] = (), **extra: Any) -> None:
        super().__init__(detail, **({"errors": list(errors)} if errors else {}), **extra)


class Unavailable(PlatformError):
    status = 503
    title = "Try again"

    def __init__(self, detail: str, *, retry_after: int = 1, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.headers["Retry-After"] = str(retry_after)


class StillRunning(Unavailable):
    title = "Not ended yet"


class StorageFull(PlatformError):
    status = 507
    title = "Storage full"
