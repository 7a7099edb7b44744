"""What the model server answers: SageMaker's serving contract.

    GET  /ping                   200 once the model is loaded, 503 before
    POST /invocations            rows in, predictions out; see requests.py and responses.py
    GET  /execution-parameters   how batch transform should call

A small request is scored on the event loop: handing it to a thread would cost more than scoring it. A large one
goes to the one scoring thread, so that /ping still answers; beyond `max_waiting` requests the answer is 503.
"""

import asyncio
import gc
import traceback
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy.typing as npt
import orjson

from training.bundle import Bundle
from training.complaints import BadRows, Complaint, RequestError
from training.plain_rows import Dense, PlainRows
from training.requests import RequestParser, media_type
from training.responses import CSV, JSON, JSON_LINES, NOT_FINITE, NotAcceptable, Renderer, finite, negotiate
from training.serving.messages import MAX_BODY, Answer, Refused, Request, error_answer, refusal, refused, too_large

Array = npt.NDArray[Any]

INLINE_ROWS: Final = 128
INLINE_BYTES: Final = 64 * 1024
MAX_WAITING: Final = 64

_BY_LINE: Final = {"text/csv": CSV, "application/jsonlines": JSON_LINES}
_WITH_INSTANCES: Final = frozenset({"model", "instances"})
_WITH_ROWS: Final = frozenset({"model", "columns", "rows"})


@dataclass(frozen=True)
class Rows:
    """Rows as they were read. `errors` says of a row what is wrong with it; empty unless they were read leniently."""

    score: Callable[[], Array]
    count: int
    errors: Mapping[int, str]


class LoadedModel:
    """A bundle with the reader and the writer of its requests.

    `batch`: serve SageMaker's batch transform, where one bad line must not cost the others their answer.
    """

    def __init__(self, bundle: Bundle, *, batch: bool = False) -> None:
        self._bundle = bundle
        self._parser = RequestParser(bundle.manifest.features, ignored=bundle.manifest.ignored)
        self._plain = PlainRows(self._parser.fields)
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

    def read(self, body: bytes, content_type: str) -> Rows:
        """Raises RequestError."""
        kind = media_type(content_type)[0]
        if kind in ("application/json", ""):
            plain = self._read_plain(body)
            if plain is not None:
                return Rows(lambda: self._bundle.dense_scores(*plain), len(plain.numbers), {})
        parse = self._parser.parse_leniently if self._batch and kind in _BY_LINE else self._parser.parse
        parsed = parse(body, content_type)
        return Rows(lambda: self._bundle.scores(parsed.columns), parsed.rows, parsed.errors)

    def _read_plain(self, body: bytes) -> Dense | None:
        """The rows of a JSON body that holds nothing odd; None leaves it to the parser, which says what is."""
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None
        if type(content) is not dict:
            return None
        if "instances" in content and content.keys() <= _WITH_INSTANCES:
            return self._plain_rows(content["instances"], None)
        if content.keys() <= _WITH_ROWS and type(content.get("columns")) is list:
            return self._plain_rows(content.get("rows"), content["columns"])
        return None

    def _plain_rows(self, rows: Any, header: list[Any] | None) -> Dense | None:
        if type(rows) is not list or not 0 < len(rows) <= self._parser.max_rows:
            return None
        return self._plain.read(rows, header)

    def predict(self, rows: Rows, accept: str, content_type: str) -> Answer:
        """Raises BadRows when a row has no finite score."""
        scores, unscored = finite(rows.score)
        if self._batch and media_type(content_type)[0] in _BY_LINE:
            errors = dict.fromkeys(unscored, NOT_FINITE) | dict(rows.errors)
            return Answer(200, self._renderer.render(scores, accept, errors), accept)
        if unscored:
            raise BadRows([Complaint(row, None, NOT_FINITE) for row in unscored[:100]], len(unscored))
        return Answer(200, self._renderer.render(scores, accept), accept)


class ModelServer:
    """The application. Answers 503 until `model` is set."""

    def __init__(self, *, max_waiting: int = MAX_WAITING) -> None:
        self.model: LoadedModel | None = None
        self._scoring = ThreadPoolExecutor(1, thread_name_prefix="scoring")
        self._max_waiting = max_waiting
        self._waiting = 0
        self._routes: dict[str, tuple[str, Callable[[Request], Answer | Awaitable[Answer]]]] = {
            "/invocations": ("POST", self._invocations),
            "/ping": ("GET", self._ping),
            "/execution-parameters": ("GET", self._execution_parameters),
        }

    def close(self) -> None:
        """Let the scoring thread end; requests it has not begun are dropped."""
        self._scoring.shutdown(wait=False, cancel_futures=True)

    # ---- the queue

    def admit(self, method: str, headers: dict[bytes, bytes]) -> Answer | None:
        """Only what has a body waits in the queue: /ping answers whatever the load."""
        if method == "POST" and self._waiting >= self._max_waiting:
            return error_answer(503, f"{self._waiting} requests are waiting already; try again", {"Retry-After": "1"})
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > MAX_BODY:
            return too_large()
        encoding = headers.get(b"content-encoding", b"identity")
        if encoding not in (b"", b"identity"):
            text = f"content encoding {encoding.decode('latin-1')!r} is not supported; send the body as it is"
            return error_answer(415, text)
        self._waiting += 1
        return None

    def leave(self) -> None:
        self._waiting -= 1

    # ---- answers

    def handle(self, request: Request) -> Answer | Awaitable[Answer]:
        """The answer, or what gives it once a thread has it. Faults become answers too."""
        try:
            return self._routed(request)
        except Exception as error:  # noqa: BLE001 - one failing request must not end the server; the log has the trace
            return _failure(error)

    def _routed(self, request: Request) -> Answer | Awaitable[Answer]:
        method, handler = self._routes.get(request.path, ("", None))
        if handler is None:
            raise Refused(404, f"no such path; there are: {', '.join(self._routes)}")
        if request.method != method:
            raise Refused(405, f"use {method}", {"Allow": method})
        return handler(request)

    def _ping(self, _request: Request) -> Answer:
        self._loaded()
        return Answer(200, b'{"status":"ready"}')

    def _execution_parameters(self, _request: Request) -> Answer:
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

    def _invocations(self, request: Request) -> Answer | Awaitable[Answer]:
        model = self._loaded()
        content_type = request.header(b"content-type")
        accept = model.accepted(request.header(b"accept"), content_type)
        if len(request.body) > INLINE_BYTES:
            return self._in_thread(lambda: model.predict(model.read(request.body, content_type), accept, content_type))
        rows = model.read(request.body, content_type)
        if rows.count > INLINE_ROWS:
            return self._in_thread(lambda: model.predict(rows, accept, content_type))
        return model.predict(rows, accept, content_type)

    async def _in_thread(self, predict: Callable[[], Answer]) -> Answer:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._scoring, predict)
        except Exception as error:  # noqa: BLE001 - as in `handle`
            return _failure(error)


def _failure(error: Exception) -> Answer:
    """What the caller is told; a fault of this program is written to the log with its trace."""
    if isinstance(error, RequestError):
        return refusal(error)
    if isinstance(error, NotAcceptable):
        return error_answer(406, str(error))
    if isinstance(error, Refused):
        return refused(error)
    traceback.print_exception(error)
    return error_answer(500, f"scoring failed: {type(error).__name__}; the log of the model server says why")
