"""Routers are loaded by the first request for their paths, and nothing of that is seen from outside."""

import pkgutil
import re
from importlib import import_module

import anyio
import pytest

import mlops_api.routers
from mlops_api.routers import ALL, ROUTERS, routers_of
from tests.support.platform import World
from tests.support.web import Web, web


def test_every_router_is_listed_with_all_its_paths() -> None:
    modules = [name for _, name, _ in pkgutil.iter_modules(mlops_api.routers.__path__)]
    routers = {name: getattr(import_module(f"mlops_api.routers.{name}"), "router", None) for name in modules}
    assert {name for name, router in routers.items() if router is not None} == set(ALL)
    had = {beginning: set() for beginning in ROUTERS}
    for name in ALL:
        for route in routers[name].routes:
            assert name in routers_of(route.path), route.path
            had[route.path.split("/")[1]].add(name)
    assert {beginning: set(names) for beginning, names in ROUTERS.items()} == had


@pytest.mark.parametrize("path", ["", "*", "datasets", "/nothing", "/dataset", "/storage/x"])
def test_paths_of_no_router(path: str) -> None:
    assert routers_of(path) == ()


def test_a_router_is_loaded_once_by_its_first_request(here: World) -> None:
    app = here.app()
    before = len(app.router.routes)
    with web(app) as site:
        assert site.get("/nothing").status_code == 404
        assert len(app.router.routes) == before
        site.get("/models")
        models = len(app.router.routes)
        site.get("/models")
        assert before < models == len(app.router.routes)


def test_the_schema_does_not_depend_on_what_was_asked_before(here: World) -> None:
    with web(here.app()) as site:
        untouched = site.get("/openapi.json").text
    with web(here.app()) as site:
        for path in ("/dashboard/stats", "/models", "/health/live", "/datasets"):
            assert site.get(path).status_code == 200
        assert site.get("/openapi.json").text == untouched


def test_every_operation_of_the_schema_is_served(site: Web) -> None:
    for path, operations in site.get("/openapi.json").json()["paths"].items():
        for method in operations:
            answer = site(method.upper(), re.sub(r"\{[^}]+\}", "x", path))
            assert answer.status_code != 405, (method, path)
            assert "There is nothing at this path" not in answer.text, (method, path)


def test_a_server_loads_everything_before_its_first_request(here: World) -> None:
    app = here.app()
    served = {path for name in ALL for path in _paths(name)}

    async def started() -> None:
        async with app.router.lifespan_context(app):
            assert {getattr(route, "path", None) for route in app.router.routes} >= served
            assert {"lineage", "dashboard", "feedback"} <= vars(here.platform).keys()

    assert "lineage" not in vars(here.platform)
    anyio.run(started)


def _paths(name: str) -> list[str]:
    return [route.path for route in import_module(f"mlops_api.routers.{name}").router.routes]
