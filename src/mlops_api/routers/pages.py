"""/, /ui/ and /docs: the pages people open. Assets are our own files: no other host is asked."""

from importlib import resources

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse, Response

router = APIRouter(include_in_schema=False)

_DOCS = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>MLOps API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css"></head>
<body><div id="docs"></div><script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script>
</body></html>"""
_START = """window.onload = () => SwaggerUIBundle({url: "/openapi.json", dom_id: "#docs", deepLinking: true});"""
_UI = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>MLOps</title></head><body>
<h1>MLOps</h1><p>The server is running. Work with it from a shell, in the folder where it was started:</p>
<pre>mlops data upload FILE --name NAME
mlops train start --dataset NAME:1 --target COLUMN --algorithm xgboost --wait
mlops models approve NAME:1 --deploy --wait
mlops predict NAME --json '{"COLUMN": 1}'
mlops stats</pre>
<p><code>mlops --help</code> lists every command. From a program:</p>
<ul><li><a href="/docs">API documentation</a>, where calls can be tried</li>
<li><a href="/dashboard/stats">Dashboard figures</a>, <a href="/datasets">datasets</a>,
<a href="/training/jobs">training jobs</a> and <a href="/models">models</a> as JSON</li></ul></body></html>"""
_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}


@router.get("/")
def root() -> RedirectResponse:
    return RedirectResponse("/ui/", status_code=307)


@router.get("/ui/")
def ui() -> HTMLResponse:
    return HTMLResponse(_UI)


@router.get("/docs")
def docs() -> HTMLResponse:
    return HTMLResponse(_DOCS)


@router.get("/docs/start.js")
def docs_start() -> Response:
    return Response(_START, media_type="text/javascript")


@router.get("/docs/swagger-ui-bundle.js")
def docs_script() -> Response:
    return _asset("swagger-ui-bundle.js")


@router.get("/docs/swagger-ui.css")
def docs_style() -> Response:
    return _asset("swagger-ui.css")


def _asset(name: str) -> Response:
    content = (resources.files("fastapi_offline") / "static" / name).read_bytes()
    return Response(content, media_type=_ASSETS[name], headers={"Cache-Control": "max-age=86400"})


@router.get("/favicon.ico")
def favicon() -> Response:
    return Response(status_code=204)
