"""What routes ask for, by annotation."""

from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Path, Query, Request

from mlops_api.domain.names import (
    ALIAS_LENGTH,
    ALIAS_PATTERN,
    JOB_LENGTH,
    JOB_PATTERN,
    NAME_LENGTH,
    NAME_PATTERN,
)
from mlops_api.services.platform import Platform
from mlops_api.services.principal import Principal


async def _platform(request: Request) -> Platform:
    # Async, like _principal, although nothing is awaited: FastAPI would send a plain function to the thread pool,
    # which costs every request 0.1 ms.
    platform: Platform = request.app.state.platform
    return platform


async def _principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


async def _body(request: Request) -> bytes:
    return await request.body()


PlatformDep = Annotated[Platform, Depends(_platform)]
By = Annotated[Principal, Depends(_principal)]
RawBody = Annotated[bytes, Depends(_body)]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="A repeat with the same key has no second effect and gets the first answer's object.",
    ),
]
IfMatch = Annotated[
    int | None,
    Header(
        alias="If-Match",
        ge=0,
        le=2**53,
        description="The `revision` that was read: the change is made only if it still stands (0: there is nothing).",
    ),
]
Limit = Annotated[int, Query(ge=1, le=200, description="Entries on a page.")]
NextToken = Annotated[str | None, Query(max_length=2000, description="From the page before.")]
Sort = Annotated[Literal["created_at", "metric"], Query(description="metric: by the objective, needs model.")]
Order = Annotated[Literal["asc", "desc"], Query(description="desc: newest first, or best first.")]

VersionPath = Annotated[str, Path(max_length=100, description="name:number or name:alias, such as flights:3.")]
NamePath = Annotated[str, Path(pattern=NAME_PATTERN, max_length=NAME_LENGTH)]
NameQuery = Annotated[str | None, Query(pattern=NAME_PATTERN, max_length=NAME_LENGTH)]
AliasPath = Annotated[str, Path(pattern=ALIAS_PATTERN, max_length=ALIAS_LENGTH)]
JobPath = Annotated[str, Path(pattern=JOB_PATTERN, max_length=JOB_LENGTH)]

PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "description": "RFC 9457. Some problems carry further members, such as the status that stood in the way.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What happened and what to do next."},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "message": {"type": "string"},
                    "field": {"type": ["string", "null"]},
                    "column": {"type": ["string", "null"]},
                    "row": {"type": ["integer", "null"]},
                },
            },
        },
    },
}
_MEANINGS = {
    400: "Malformed",
    401: "No token, or a wrong one",
    403: "Not allowed",
    404: "There is no such thing",
    409: "The state does not allow it",
    412: "It has changed since it was read",
    413: "Too large",
    415: "Unsupported media type",
    422: "Invalid; `errors` says where",
    502: "The model server broke",
    503: "Try again after Retry-After seconds",
    507: "Storage is full",
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for OpenAPI; those every route can give are added."""
    return {
        status: {
            "description": _MEANINGS[status],
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({*statuses, 400, 401, 403, 413, 422, 503, 507})
    }
