"""create_app: routers, layers, one error handler. No I/O here and none at import.

A router is loaded by the first request for its paths (Api): a Lambda function pays for what its first request needs,
however many routes there are. A server, which stays, loads everything before its first request (_lifespan).
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from mlops_api.domain.errors import Invalid, PlatformError
from mlops_api.domain.naming import rule_of
from mlops_api.middleware.asgi import problem
from mlops_api.middleware.request_log import RequestLog
from mlops_api.middleware.security import OPEN_PATHS, Authentication, BodyCap, HostCheck
from mlops_api.routers import ALL, routers_of
from mlops_api.routers.depends import PROBLEM_SCHEMA
from mlops_api.services.platform import Platform
from mlops_api.settings import Settings

_LOG = logging.getLogger("mlops_api.app")
_LONGEST_FIELD = 200


class Api(FastAPI):
    """A FastAPI app whose routers are loaded when they are first asked for; nothing else about it differs."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            title="MLOps API",
            version="0.1.0",
            summary="Upload, train, compare, approve, deploy, predict, score in batch.",
            docs_url=None,
            redoc_url=None,
            generate_unique_id_function=_operation_id,
            redirect_slashes=False,
            **options,
        )
        self._loaded: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.load(*routers_of(scope["path"]))
        await super().__call__(scope, receive, send)

    def load(self, *names: str) -> None:
        """Add the routes of these routers, each once. Nothing is awaited, so that no other request comes between.

        Their own routes, where include_router would build each a second time: no router has anything to inherit.
        """
        for name in names:
            if name not in self._loaded:
                self.router.routes += _router(name).routes
                self._loaded.add(name)

    def openapi(self) -> dict[str, Any]:
        """Of all routers, in their order, with the problem document every route may answer, and the token every route
        but health asks for."""
        if self.openapi_schema is None:
            self.openapi_schema = _schema()
        return self.openapi_schema


def _router(name: str) -> APIRouter:
    router: APIRouter = import_module(f"mlops_api.routers.{name}").router
    return router


def create_app(platform: Platform, settings: Settings) -> FastAPI:
    app = Api(lifespan=_lifespan)
    app.state.platform = platform
    for path, mounted in platform.mounts.items():
        app.mount(path, mounted)
    _handle_errors(app)
    _add_layers(app, platform, settings)
    return app


@asynccontextmanager
async def _lifespan(app: Api) -> AsyncIterator[None]:
    """Of a server; a Lambda function has none."""
    platform: Platform = app.state.platform
    app.load(*ALL)
    platform.load()
    platform.start()
    try:
        yield
    finally:
        platform.close()


def _operation_id(route: APIRoute) -> str:
    return route.name


def _schema() -> dict[str, Any]:
    """By an app of its own, since routers are loaded in no order."""
    whole = Api()
    for name in ALL:
        whole.include_router(_router(name))
    schema = FastAPI.openapi(whole)
    schema["components"]["schemas"]["Problem"] = PROBLEM_SCHEMA
    schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schema["security"] = [{"token": []}]
    for path in OPEN_PATHS & schema["paths"].keys():
        schema["paths"][path]["get"]["security"] = []
    return schema


def _add_layers(app: FastAPI, platform: Platform, settings: Settings) -> None:
    """The last one added is the outermost."""
    mounts = tuple(path + "/" for path in platform.mounts)
    app.add_middleware(BodyCap, most=settings.max_body_bytes, uncapped_prefixes=mounts)
    app.add_middleware(Authentication, identity=platform.identity, open_prefixes=mounts)
    app.add_middleware(HostCheck, allowed=platform.allowed_hosts, origins=platform.allowed_origins)
    app.add_middleware(RequestLog)


# ---- errors


def _handle_errors(app: FastAPI) -> None:
    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        PlatformError: _platform_error,
        RequestValidationError: _validation_error,
        HTTPException: _http_error,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _platform_error(request: Request, error: PlatformError) -> Response:
    if error.status >= 500:
        _LOG.warning("%s: %s", error.title, error.detail, extra={"fields": {"path": request.url.path}})
    return Response(
        orjson.dumps(problem(error, request.scope)),
        status_code=error.status,
        headers=error.headers,
        media_type="application/problem+json",
    )


async def _validation_error(request: Request, error: RequestValidationError) -> Response:
    """FastAPI's complaints without the input: it may be large, and it may be a secret."""
    complaints = [{"field": _field(item["loc"]), "message": _message(item)} for item in error.errors()[:100]]
    detail = f"{complaints[0]['field']}: {complaints[0]['message']}" if complaints else "Invalid request."
    return await _platform_error(request, Invalid(detail, complaints))


def _message(complaint: dict[str, Any]) -> str:
    return rule_of(complaint.get("ctx", {}).get("pattern")) or str(complaint["msg"])


def _field(place: Sequence[str | int]) -> str:
    """Names a client made up may be of any length."""
    return (".".join(str(part) for part in place[1:]) or str(place[0]))[:_LONGEST_FIELD]


async def _http_error(request: Request, error: HTTPException) -> Response:
    """What the framework itself refuses: unknown paths, methods, unreadable bodies."""
    translated = PlatformError(_FRAMEWORK.get(error.status_code, str(error.detail)))
    document = problem(translated, request.scope) | {
        "title": str(error.detail),
        "type": "about:blank",
        "status": error.status_code,
    }
    return Response(
        orjson.dumps(document),
        status_code=error.status_code,
        headers=error.headers,
        media_type="application/problem+json",
    )


_FRAMEWORK = {
    404: "There is nothing at this path. /docs lists what there is.",
    405: "This path does not take that method. /docs lists what it takes.",
}
