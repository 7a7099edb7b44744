"""The two thin ways to run a flow: blocking and awaiting. No call is known here, only effects."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import httpx

from mlops_api.client.effects import Effect, Exchange, Fetch, Flow, Item, Items, Reply, Request, Send, Sleep, Work
from mlops_api.client.errors import Timeout, Unreachable, error_from
from mlops_api.client.retry import RetryPolicy, exchange

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def translated(url: httpx.URL) -> Iterator[None]:
    """httpx's exceptions become ours; what is no transport failure passes untouched."""
    try:
        yield
    except (httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout) as error:
        raise Timeout(f"No answer from {url} in time ({type(error).__name__}).") from error
    except httpx.TransportError as error:
        raise Unreachable(
            f"No server answers at {url} ({error or type(error).__name__}). Start one with `mlops up`, "
            "or say where it is with --url or MLOPS_URL."
        ) from error


def _built(client: httpx.Client | httpx.AsyncClient, token: str | None, request: Request) -> httpx.Request:
    headers = dict(request.headers)
    if token and not request.signed:
        headers["Authorization"] = f"Bearer {token}"
    return client.build_request(
        request.method, request.url, params=request.params or None, headers=headers, content=request.content
    )


def _reply(response: httpx.Response) -> Reply:
    return Reply(response.status_code, dict(response.headers), response.content)


class Blocking:
    """Runs flows on the calling thread."""

    def __init__(
        self, client: httpx.Client, token: str | None, policy: RetryPolicy, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.client = client
        self._token = token
        self._policy = policy
        self._sleep = sleep

    def bound(self, make: Callable[P, Flow[T]]) -> Callable[P, T]:
        @wraps(make)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return self.run(make(*args, **kwargs))

        return call

    def bound_items(self, make: Callable[P, Items[T]]) -> Callable[P, Iterator[T]]:
        @wraps(make)
        def call(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            return self.iterate(make(*args, **kwargs))

        return call

    def run(self, flow: Flow[T]) -> T:
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = self._perform(effect)
                except BaseException as error:  # noqa: BLE001 - handed to the flow, which raises what it does not handle
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as end:
            value: T = end.value
            return value

    def iterate(self, flow: Items[T]) -> Iterator[T]:
        try:
            effect = next(flow)
            while True:
                if isinstance(effect, Item):
                    yield effect.value
                    effect = next(flow)
                    continue
                try:
                    outcome = self._perform(effect)
                except Exception as error:  # noqa: BLE001 - as in run
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration:
            return

    def _perform(self, effect: Effect) -> Any:
        match effect:
            case Send(request):
                return self.run(exchange(request, self._policy))
            case Exchange(request):
                return self._exchange(request)
            case Fetch():
                return self._fetch(effect)
            case Sleep(seconds):
                return self._sleep(seconds)
            case Work(function):
                return function()

    def _exchange(self, request: Request) -> Reply:
        with translated(self.client.base_url):
            return _reply(self.client.send(_built(self.client, self._token, request)))

    def _fetch(self, effect: Fetch) -> None:
        effect.sink.restart()
        with (
            translated(self.client.base_url),
            self.client.stream("GET", effect.url, follow_redirects=True) as response,
        ):
            if response.is_error:
                raise error_from(response.status_code, dict(response.headers), response.read())
            for chunk in response.iter_bytes():
                effect.sink.write(chunk)


class Awaiting:
    """Runs flows on the event loop; what blocks goes to a thread."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        token: str | None,
        policy: RetryPolicy,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.client = client
        self._token = token
        self._policy = policy
        self._sleep = sleep

    def bound(self, make: Callable[P, Flow[T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        @wraps(make)
        async def call(*args: P.args, **kwargs: P.kwargs) -> T:
            return await self.run(make(*args, **kwargs))

        return call

    def bound_items(self, make: Callable[P, Items[T]]) -> Callable[P, AsyncIterator[T]]:
        @wraps(make)
        def call(*args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
            return self.iterate(make(*args, **kwargs))

        return call

    async def run(self, flow: Flow[T]) -> T:
        try:
            effect = next(flow)
            while True:
                try:
                    outcome = await self._perform(effect)
                except BaseException as error:  # noqa: BLE001 - handed to the flow, which raises what it does not handle
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration as end:
            value: T = end.value
            return value

    async def iterate(self, flow: Items[T]) -> AsyncIterator[T]:
        try:
            effect = next(flow)
            while True:
                if isinstance(effect, Item):
                    yield effect.value
                    effect = next(flow)
                    continue
                try:
                    outcome = await self._perform(effect)
                except Exception as error:  # noqa: BLE001 - as in run
                    effect = flow.throw(error)
                else:
                    effect = flow.send(outcome)
        except StopIteration:
            return

    async def _perform(self, effect: Effect) -> Any:
        match effect:
            case Send(request):
                return await self.run(exchange(request, self._policy))
            case Exchange(request):
                return await self._exchange(request)
            case Fetch():
                return await self._fetch(effect)
            case Sleep(seconds):
                return await self._sleep(seconds)
            case Work(function):
                return await asyncio.to_thread(function)

    async def _exchange(self, request: Request) -> Reply:
        with translated(self.client.base_url):
            return _reply(await self.client.send(_built(self.client, self._token, request)))

    async def _fetch(self, effect: Fetch) -> None:
        effect.sink.restart()
        with translated(self.client.base_url):
            async with self.client.stream("GET", effect.url, follow_redirects=True) as response:
                if response.is_error:
                    raise error_from(response.status_code, dict(response.headers), await response.aread())
                async for chunk in response.aiter_bytes():
                    effect.sink.write(chunk)
