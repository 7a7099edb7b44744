"""A sender that stops sending does not hold a connection for ever."""

from typing import Any

import anyio
import orjson

from mlops_api.middleware.security import BodyCap


def test_a_body_that_stops_coming_is_given_up() -> None:
    sent: list[Any] = []
    reached: list[Any] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        reached.append(await receive())

    async def receive() -> dict[str, Any]:
        if not sent and not hasattr(receive, "began"):
            receive.began = True  # type: ignore[attr-defined]  # a mark on the function itself
            return {"type": "http.request", "body": b"{", "more_body": True}
        await anyio.sleep(60)
        raise AssertionError("waited for ever")

    async def send(message: Any) -> None:
        sent.append(message)

    cap = BodyCap(inner, most=1000, uncapped_prefixes=("/storage/",), idle_seconds=0.05)
    scope = {"type": "http", "method": "POST", "path": "/training/start", "headers": []}
    anyio.run(cap, scope, receive, send)
    assert sent[0]["status"] == 408
    assert "Send the request again" in orjson.loads(sent[1]["body"])["detail"]
    assert reached == []
