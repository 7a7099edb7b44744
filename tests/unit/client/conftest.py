"""Both clients over a handler instead of a network, without any waiting."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from mlops_api.client import AsyncMLOps, MLOps, RetryPolicy

URL = "http://127.0.0.1:9"
Handler = Callable[[httpx.Request], httpx.Response]


class Wire:
    """`run` makes a client, gives it to the function and returns what came of it, blocking or awaiting.

    `seen` holds every request, `slept` every pause in seconds.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.seen: list[httpx.Request] = []
        self.slept: list[float] = []

    def run(self, handler: Handler, use: Callable[[Any], Any], **options: Any) -> Any:
        def remembering(request: httpx.Request) -> httpx.Response:
            request.read()
            self.seen.append(request)
            return handler(request)

        transport = httpx.MockTransport(remembering)
        policy = options.pop("retry", RetryPolicy(uniform=lambda _, high: high))
        if self.kind == "blocking":
            return self._blocking(transport, policy, use)
        return asyncio.run(self._awaiting(transport, policy, use))

    def _blocking(self, transport: httpx.MockTransport, policy: RetryPolicy, use: Callable[[Any], Any]) -> Any:
        with MLOps(URL, "secret", retry=policy, transport=transport) as client:
            client._driver._sleep = self.slept.append
            found = use(client)
            return list(found) if isinstance(found, Iterator) else found

    async def _awaiting(self, transport: httpx.MockTransport, policy: RetryPolicy, use: Callable[[Any], Any]) -> Any:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        async with AsyncMLOps(URL, "secret", retry=policy, transport=transport) as client:
            client._driver._sleep = sleep
            found = use(client)
            if hasattr(found, "__aiter__"):
                return [item async for item in found]
            return await found


@pytest.fixture(params=["blocking", "awaiting"])
def wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Wire:
    for name in ("MLOPS_URL", "MLOPS_TOKEN", "MLOPS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    return Wire(request.param)
