"""The least handler of FastAPI and Mangum: the peer of the cold start."""

from typing import Any

from fastapi import FastAPI
from mangum import Mangum

app = FastAPI()


@app.get("/health/ready")
def ready() -> dict[str, str]:
    return {"status": "ok"}


_mangum = Mangum(app, lifespan="off")


def handler(event: dict[str, Any], context: Any) -> Any:
    return _mangum(event, context)
