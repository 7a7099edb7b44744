"""A served model: the container started with `serve`, pinged, invoked, kept alive, drained.

SageMaker gives every container its own port 8080. Here each listens on a free loopback port whose socket it inherits
(MLOPS_LISTEN_FD), so that no two servers can meet on one.
"""

import http.client
import shutil
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.sagemaker_server.containers import Container
from tests.sagemaker_server.log_groups import LogStream
from tests.sagemaker_server.s3 import S3Uri, unpack
from tests.sagemaker_server.world import World

_PING_SECONDS = 2.0
_PAUSE = 0.05
_RESTARTS = 3


class NotHealthy(Exception):
    """The container never answered /ping with 200. The message says why, for a FailureReason."""


class Gone(Exception):
    """Nobody answered: the container is down, or closed the connection."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]


class ModelServer:
    """One variant's container. `label` names it in the log; every (re)start is logged to the same stream."""

    def __init__(self, world: World, model: Mapping[str, Any], label: str, log: LogStream, **environment: str) -> None:
        self.world = world
        self.model = model
        self.log = log
        self._environment = {**model["PrimaryContainer"].get("Environment", {}), **environment}
        self._root = world.folder / "models" / f"{label}-{world.serial()}" / "ml"
        self._container: Container | None = None
        self._address: tuple[str, int] | None = None
        self._wanted = True
        self._busy = 0
        self._idle = threading.Condition()

    # ---------------------------------------------------------------- life

    def start(self, health_seconds: float) -> None:
        """Download the model, start the container and wait until it is healthy.

        Raises NotHealthy or TransferFailed; nothing runs then.
        """
        self._download()
        self._launch()
        try:
            self._wait_healthy(time.monotonic() + health_seconds)
        except NotHealthy:
            self.stop()
            raise
        self.world.spawn("keep-alive", self._keep_alive)

    def stop(self) -> None:
        """Answer what is under way, then SIGTERM, SIGKILL after the drain time; its files go."""
        self._wanted = False
        with self._idle:
            self._idle.wait_for(lambda: self._busy == 0 or self.world.closing.is_set(), self._drain)
        if self._container is not None:
            self._container.end(self._drain)
        shutil.rmtree(self._root.parent, ignore_errors=True)

    def abort(self, grace: float) -> None:
        """SIGTERM at once, SIGKILL after `grace` seconds; what is under way is not waited for."""
        self._wanted = False
        if self._container is not None:
            self._container.end(grace)

    @property
    def pid(self) -> int | None:
        return None if self._container is None else self._container.pid

    @property
    def _drain(self) -> float:
        return self.world.options.drain_seconds

    def _download(self) -> None:
        url = data_url(self.model)
        if url is None:
            (self._root / "model").mkdir(parents=True)
            return
        archive = self._root.parent / "model.tar.gz"
        self.world.storage.download(S3Uri.parse(url), archive)
        unpack(archive, self._root / "model")
        archive.unlink()

    def _launch(self) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
            self._address = listening.getsockname()
            environment = self._environment | {"MLOPS_LISTEN_FD": str(listening.fileno())}
            argv = [*self.world.options.entry_point, "serve"]
            self._container = self.world.launch(argv, self._root, environment, self.log, pass_fds=(listening.fileno(),))

    def _wait_healthy(self, deadline: float) -> None:
        while not self._healthy():
            assert self._container is not None
            if self._container.exit_code is not None:
                raise NotHealthy(f"the container exited with {self._container.exit_code}")
            if time.monotonic() >= deadline or self.world.closing.wait(_PAUSE):
                raise NotHealthy("/ping did not answer 200 in time")

    def _healthy(self) -> bool:
        try:
            return self._call("GET", "/ping", None, {}, _PING_SECONDS).status == 200
        except (Gone, TimeoutError):
            return False

    def _keep_alive(self) -> None:
        """Restart a container that ends by itself, a few times."""
        for _ in range(_RESTARTS):
            assert self._container is not None
            while not self._container.wait(0.2):
                if self.world.closing.is_set():
                    return
            if not self._wanted or self.world.closing.is_set():
                return
            self.log.append(f"The container exited with {self._container.exit_code} and is started again")
            self._launch()

    # ---------------------------------------------------------------- requests

    def invoke(self, body: bytes, headers: Mapping[str, str], seconds: float | None = None) -> Answer:
        """POST /invocations. Raises Gone or TimeoutError."""
        with self._idle:
            self._busy += 1
        try:
            return self._call("POST", "/invocations", body, headers, seconds or self.world.options.answer_seconds)
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def execution_parameters(self) -> Answer:
        """GET /execution-parameters, which a container need not have. Raises Gone or TimeoutError."""
        return self._call("GET", "/execution-parameters", None, {}, _PING_SECONDS)

    def _call(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], seconds: float) -> Answer:
        assert self._address is not None
        connection = http.client.HTTPConnection(*self._address, timeout=seconds)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), dict(answer.getheaders()))
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException) as error:
            raise Gone(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()


def data_url(model: Mapping[str, Any]) -> str | None:
    """Where a model's archive lies, given either way."""
    container = model["PrimaryContainer"]
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    url: str | None = source["S3Uri"] if source else container.get("ModelDataUrl")
    return url
