"""The model server as an ASGI application: SageMaker's serving contract.

    GET  /ping                   200 once the model is loaded, 503 before
    POST /invocations            rows in, predictions out; see requests.py and responses.py
    GET  /execution-parameters   how batch transform should call

A small request is scored on the event loop: handing it to a thread would cost more than scoring it. A large one
goes to the one scoring thread, so that /ping still answers; beyond `max_waiting` requests the answer is 503.
"""

import asyncio
import gc
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import orjson

from training.bundle import Bundle
from training.complaints import BadRows, Complaint, RequestError
from training.requests import Parsed, RequestParser, media_type
from training.responses import CSV, JSON, JSON_LINES, NOT_FINITE, NotAcceptable, Renderer, finite_scores, negotiate
from training.serving_http import (
    MAX_BODY,
    Answer,
    ClientGone,
    Receive,
    Refused,
    Scope,
    Send,
    error_answer,
    header,
    read_body,
    refusal,
    send_answer,
)

INLINE_ROWS: Final = 64
INLINE_BYTES: Final = 32 * 1024
MAX_WAITING: Final = 64

_BY_LINE: Final = {"text/csv": CSV, "application/jsonlines": JSON_LINES}


class LoadedModel:
    """A bundle with the reader and the writer of its requests.

    `batch`: serve SageMaker's batch transform, where one bad line must not cost the others their answer.
    """

    def __init__(self, bundle: Bundle, *, batch: bool = False) -> None:
        self._bundle = bundle
        self._parser = RequestParser(bundle.manifest.features, ignored=bundle.manifest.ignored)
        self._renderer = Renderer(bundle.manifest)
        self._batch = batch

    def warm_up(self) -> None:
        """Score one row of missing values, so that the first caller does not pay for what is lazy."""
        columns = {field.name: field.all_missing(1) for field in self._parser.fields}
        self._renderer.render(self._bundle.scores(columns), JSON)
        gc.collect()
        gc.freeze()

    def accepted(self, accept: str, content_type: str) -> str:
        """Media type of the answer. Raises NotAcceptable."""
        return negotiate(accept, _BY_LINE.get(media_type(content_type)[0], JSON) if self._batch else JSON)

    def parse(self, body: bytes, content_type: str) -> Parsed:
        """Raises RequestError."""
        if self._batch and media_type(content_type)[0] in _BY_LINE:
            return self._parser.parse_leniently(body, content_type)
        return self._parser.parse(body, content_type)

    def predict(self, parsed: Parsed, accept: str, content_type: str) -> Answer:
        """Raises BadRows when a row has no finite score."""
        scores, unscored = finite_scores(self._bundle, parsed.columns)
        if self._batch and media_type(content_type)[0] in _BY_LINE:
            errors = dict.fromkeys(unscored, NOT_FINITE) | dict(parsed.errors)
            return Answer(200, self._renderer.render(scores, accept, errors), accept)
        if unscored:
            raise BadRows([Complaint(row, None, NOT_FINITE) for row in unscored[:100]], len(unscored))
        return Answer(200, self._renderer.render(scores, accept), accept)


class ModelServer:
    """ASGI application. Answers 503 until `model` is set."""

    def __init__(self, *, max_waiting: int = MAX_WAITING) -> None:
        self.model: LoadedModel | None = None
        self._scoring = ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self._max_waiting = max_waiting
        self._waiting = 0
        self._routes: dict[str, tuple[str, Callable[[Scope, Receive], Awaitable[Answer]]]] = {
            "/ping": ("GET", self._ping),
            "/invocations": ("POST", self._invocations),
            "/execution-parameters": ("GET", self._execution_parameters),
        }

    def close(self) -> None:
        """Let the scoring thread end; requests it has not begun are dropped."""
        self._scoring.shutdown(wait=False, cancel_futures=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            await send_answer(send, await self._answer(scope, receive))
        except ClientGone:
            return

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        try:
            return await self._routed(scope, receive)
        except RequestError as error:
            return refusal(error)
        except NotAcceptable as error:
            return error_answer(406, str(error))
        except Refused as error:
            return error_answer(error.status, str(error), error.headers)
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 - one failing request must not end the server; the log has the trace
            traceback.print_exception(error)
            return error_answer(500, f"scoring failed: {type(error).__name__}; the log of the model server says why")

    async def _routed(self, scope: Scope, receive: Receive) -> Answer:
        method, handler = self._routes.get(scope["path"], ("", None))
        if handler is None:
            raise Refused(404, f"no such path; there are: {', '.join(self._routes)}")
        if scope["method"] != method:
            raise Refused(405, f"use {method}", {"Allow": method})
        return await handler(scope, receive)

    async def _ping(self, _scope: Scope, _receive: Receive) -> Answer:
        self._loaded()
        return Answer(200, b'{"status":"ready"}')

    async def _execution_parameters(self, _scope: Scope, _receive: Receive) -> Answer:
        parameters = {
            "MaxConcurrentTransforms": 1,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": MAX_BODY // 2**20,
        }
        return Answer(200, orjson.dumps(parameters))

    def _loaded(self) -> LoadedModel:
        if self.model is None:
            raise Refused(503, "the model is still being loaded; try again", {"Retry-After": "1"})
        return self.model

    async def _invocations(self, scope: Scope, receive: Receive) -> Answer:
        model = self._loaded()
        content_type = header(scope, b"content-type")
        accept = model.accepted(header(scope, b"accept"), content_type)
        if self._waiting >= self._max_waiting:
            raise Refused(503, f"{self._waiting} requests are waiting already; try again", {"Retry-After": "1"})
        self._waiting += 1
        try:
            body = await read_body(scope, receive)
            return await self._scored(model, body, content_type, accept)
        finally:
            self._waiting -= 1

    async def _scored(self, model: LoadedModel, body: bytes, content_type: str, accept: str) -> Answer:
        loop = asyncio.get_running_loop()
        if len(body) > INLINE_BYTES:
            parsed = await loop.run_in_executor(self._scoring, model.parse, body, content_type)
        else:
            parsed = model.parse(body, content_type)
            if parsed.rows <= INLINE_ROWS:
                return model.predict(parsed, accept, content_type)
        return await loop.run_in_executor(self._scoring, model.predict, parsed, accept, content_type)
