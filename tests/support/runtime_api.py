"""Lambda for tests: the Runtime API, and the function's process under awslambdaric, AWS's own runtime client.

One process, one invocation at a time, as Lambda does; the next caller waits for it.
"""

import http.server
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_NEXT = "/2018-06-01/runtime/invocation/next"
_STOP_SECONDS = 10


class FunctionError(Exception):
    """The handler raised, or the process could not start: what the runtime reported."""

    def __init__(self, report: Mapping[str, Any]) -> None:
        super().__init__(f"{report.get('errorType')}: {report.get('errorMessage')}")
        self.report = report


@dataclass
class _Invocation:
    event: bytes
    number: int
    done: threading.Event = field(default_factory=threading.Event)
    answer: Any = None
    error: Mapping[str, Any] | None = None


class LambdaFunction:
    """`environment` is all the function sees beside the path; `handler` as Lambda names it. `log` takes its output."""

    def __init__(
        self, environment: Mapping[str, str], log: Path, handler: str = "mlops_api.lambda_handler.handler"
    ) -> None:
        self._environment = dict(environment)
        self._handler = handler
        self._log = log
        self._waiting: queue.Queue[_Invocation | None] = queue.Queue()
        self._running: dict[str, _Invocation] = {}
        self._lock = threading.Lock()
        self._count = 0

    def __enter__(self) -> Self:
        self._http = _RuntimeApi(self)
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "awslambdaric", self._handler],
                env=self._whole_environment(),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()  # as Lambda ends a process: it has no say
        self.process.wait(_STOP_SECONDS)
        self._waiting.put(None)
        self._http.shutdown()
        self._http.server_close()

    def _whole_environment(self) -> dict[str, str]:
        own = {
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._http.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "mlops-api",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.11",
        }
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        return kept | self._environment | own

    def invoke(self, event: Any, timeout: float = 60) -> Any:
        """What the handler answered. Raises FunctionError, TimeoutError."""
        with self._lock:
            self._count += 1
            invocation = _Invocation(json.dumps(event).encode(), self._count)
        self._waiting.put(invocation)
        deadline = time.monotonic() + timeout
        while not invocation.done.wait(0.2):
            if self.process.poll() is not None:
                raise FunctionError({"errorType": "Runtime.ExitError", "errorMessage": self.log()})
            if time.monotonic() > deadline:
                raise TimeoutError(f"no answer in {timeout} s:\n{self.log()}")
        if invocation.error is not None:
            raise FunctionError(invocation.error)
        return invocation.answer

    def log(self) -> str:
        return self._log.read_text(errors="replace")[-8000:]

    # ---- for the Runtime API

    def next(self) -> _Invocation | None:
        invocation = self._waiting.get()
        if invocation is not None:
            self._running[str(invocation.number)] = invocation
        return invocation

    def finish(self, number: str, *, answer: Any = None, error: Mapping[str, Any] | None = None) -> None:
        invocation = self._running.pop(number)
        invocation.answer, invocation.error = answer, error
        invocation.done.set()

    def failed_to_start(self, report: Mapping[str, Any]) -> None:
        invocation = self._waiting.get()
        if invocation is not None:
            invocation.error = report
            invocation.done.set()


class EndedFunctionsServer(http.server.ThreadingHTTPServer):
    """Its clients are ended without a word, and take their connections with them: that is no error."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _RuntimeApi(EndedFunctionsServer):
    def __init__(self, function: LambdaFunction) -> None:
        self.function = function
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes: 40 ms each otherwise
    server: _RuntimeApi

    def do_GET(self) -> None:
        if self.path != _NEXT:
            self._send(404)
            return
        invocation = self.server.function.next()
        if invocation is None:
            self.close_connection = True
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": str(invocation.number),
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 30) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:mlops-api",
            "Content-Type": "application/json",
        }
        self._send(200, invocation.event, headers)

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")
        *_, number, what = self.path.split("/")
        if what == "response":
            self.server.function.finish(number, answer=content)
        elif number == "init":
            self._send(202)
            self.server.function.failed_to_start(content)
            return
        else:
            self.server.function.finish(number, error=content)
        self._send(202)

    def _send(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Requests are no news."""
