"""The server: HTTP on a free loopback port, one thread per connection.

with SageMakerServer(s3_client) as server:
    client = boto3.client("sagemaker", endpoint_url=server.url, ...)
"""

import contextlib
import http.server
import json
import shutil
import socket
import tempfile
import threading
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.sagemaker_server import wire
from tests.sagemaker_server.endpoints import Endpoints
from tests.sagemaker_server.faults import Faults
from tests.sagemaker_server.invocations import Invocations
from tests.sagemaker_server.log_groups import LogGroups
from tests.sagemaker_server.models import EndpointConfigs, Models
from tests.sagemaker_server.options import Options
from tests.sagemaker_server.packages import ModelPackages
from tests.sagemaker_server.processing import ProcessingJobs
from tests.sagemaker_server.refusals import NotServed, Refusal
from tests.sagemaker_server.training import TrainingJobs
from tests.sagemaker_server.transforms import TransformJobs
from tests.sagemaker_server.world import Operation, World

_MAX_BODY = 64 << 20


@dataclass(frozen=True)
class Request:
    """What was asked, for tests that look at it."""

    operation: str
    params: Mapping[str, Any]


class SageMakerServer:
    """Starts at `with`, and ends all it started when left. Leaving raises the server's own bugs, if there were any.

    `s3` is a boto3 client for the S3 that requests speak of. `url` serves sagemaker, sagemaker-runtime and logs.
    """

    def __init__(self, s3: Any, options: Options | None = None) -> None:
        self.options = options or Options()
        self.requests: list[Request] = []
        self._s3 = s3
        self._operations: dict[str, Operation] = {}

    # ---------------------------------------------------------------- for tests

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every event delivered so far, in order."""
        return list(self._world.events.sent)

    @property
    def faults(self) -> Faults:
        return self._world.faults

    @property
    def logs(self) -> LogGroups:
        return self._world.logs

    @property
    def pids(self) -> list[int]:
        """Of the containers that run now."""
        return self._world.pids()

    def settle(self) -> None:
        """Wait until the events of every change so far were delivered."""
        self._world.events.settle()

    def requests_of(self, operation: str) -> list[Mapping[str, Any]]:
        """The parameters of every call of an operation."""
        return [each.params for each in self.requests if each.operation == operation]

    # ---------------------------------------------------------------- life

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="sagemaker-"))
        self._world = world = World(self.options, self._s3, self._folder)
        models = Models(world)
        configs = EndpointConfigs(world, models)
        endpoints = Endpoints(world, models, configs)
        training, processing = TrainingJobs(world), ProcessingJobs(world)
        parts = (
            models, configs, endpoints, training, processing, TransformJobs(world, models), ModelPackages(world),
            world.tags, world.logs,
        )  # fmt: skip
        self._operations = {name: act for part in parts for name, act in part.operations.items()}
        self._operations["InvokeEndpoint"] = Invocations(world, endpoints).invoke
        world.faults.act_on_jobs(
            interrupt=lambda name: _named(training, name).interrupt(),
            kill=lambda name, host: _any_named((training, processing), name).kill(host),
        )
        self._http = _Http(self)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="sagemaker", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._world.close()
        self._http.server_close()
        self._thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._world.bugs and error is None:
            raise RuntimeError(f"the SageMaker server itself failed: {self._world.bugs}") from self._world.bugs[0]

    # ---------------------------------------------------------------- requests

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> wire.Reply:
        """The reply to one POST."""
        try:
            if path.startswith("/_control/"):
                return self._control(path.removeprefix("/_control/"), body)
            call = wire.read(path, headers, body, self.options.region)
            return wire.write(call, self._act(call))
        except Refusal as error:
            return wire.refuse(error)
        except Exception as error:  # noqa: BLE001 - the caller must get an answer; leaving the server raises it
            self._world.bug(error)
            return wire.refuse(Refusal("InternalFailure", f"the server failed: {error!r}", 500))

    def _act(self, call: wire.Call) -> dict[str, Any]:
        name = call.model.name
        self.requests.append(Request(name, call.params))
        self._world.faults.check(name)
        if name not in self._operations:
            raise NotServed(f"{call.service} {name}")
        answer = self._operations[name](call.params)
        self._world.faults.check_answer(name)
        return answer

    def _control(self, fault: str, body: bytes) -> wire.Reply:
        try:
            self._world.faults.control(fault, json.loads(body or b"{}"))
        except (ValueError, TypeError) as error:
            return wire.refuse(Refusal("BadControl", str(error)))
        return wire.Reply(200, {"Content-Type": "application/json"}, b"{}")


def _named(jobs: Any, name: str) -> Any:
    if name not in jobs.by_name:
        raise ValueError(f"no job {name!r}")
    return jobs.by_name[name]


def _any_named(kinds: tuple[Any, ...], name: str) -> Any:
    return _named(next((jobs for jobs in kinds if name in jobs.by_name), kinds[0]), name)


class _Http(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, owner: SageMakerServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """End idle connections too: their threads would wait for a next request."""
        super().server_close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 30
    server: _Http

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        if length > _MAX_BODY:
            self.close_connection = True
            self._send(wire.refuse(Refusal("RequestEntityTooLargeException", "the body is too large", 413)))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        self._send(self.server.owner.answer(path, headers, self.rfile.read(length)))

    def _send(self, reply: wire.Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Requests are kept in `SageMakerServer.requests` instead."""
