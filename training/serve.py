"""`python -m training serve`: answer for the model in `model/` over HTTP, by SageMaker's serving contract.

    SAGEMAKER_BIND_TO_PORT   port, 8080 by default
    MLOPS_BIND_HOST          address, 0.0.0.0 by default: a container is reached from outside
    MLOPS_LISTEN_FD          a listening socket that was inherited; the two above are not looked at then
    SAGEMAKER_BATCH          true: a bad line is answered with its error instead of failing the request

SIGTERM: no new connections, what is under way is answered, exit 0. A model that cannot be loaded: exit 1, with
the file at fault on stderr and in output/failure.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn

from training.bundle import BundleError, load
from training.failure import JobError, fail
from training.paths import MlPaths
from training.serving_app import LoadedModel, ModelServer

DEFAULT_PORT: Final = "8080"
DRAIN_SECONDS: Final = 25
"""SageMaker kills 30 s after SIGTERM."""

_BACKLOG: Final = 2048


def main(_argv: Sequence[str]) -> int:
    """Serve until SIGTERM; returns 0, or 1 when the socket or the model cannot be opened."""
    paths = MlPaths.from_env()
    try:
        with open_socket(os.environ) as listening:
            serve(paths.model, listening, batch=os.environ.get("SAGEMAKER_BATCH", "").lower() == "true")
    except Exception as error:  # noqa: BLE001 - the last resort: whatever it is becomes the failure reason
        fail(paths, error)
        return 1
    return 0


def open_socket(environ: Mapping[str, str]) -> socket.socket:
    """The inherited or a new listening socket. Raises JobError when it cannot be had."""
    inherited = environ.get("MLOPS_LISTEN_FD")
    try:
        if inherited:
            return socket.socket(fileno=int(inherited))
        host, port = environ.get("MLOPS_BIND_HOST") or "0.0.0.0", environ.get("SAGEMAKER_BIND_TO_PORT")  # noqa: S104 - documented
        return socket.create_server((host, int(port or DEFAULT_PORT)), backlog=_BACKLOG)
    except (OSError, ValueError, OverflowError) as error:
        raise JobError(
            f"cannot listen: {error}; set SAGEMAKER_BIND_TO_PORT to a free port and MLOPS_BIND_HOST to an address"
        ) from error


def serve(model: Path, listening: socket.socket, *, batch: bool = False) -> None:
    """Serve the bundle in `model` until SIGTERM or SIGINT. Raises JobError when it cannot be loaded."""
    app = ModelServer()
    server = uvicorn.Server(_config(app))
    with _stopping(server), asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        try:
            runner.run(_serve(server, app, model, listening, batch))
        finally:
            app.close()


def _config(app: ModelServer) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


@contextmanager
def _stopping(server: uvicorn.Server) -> Iterator[None]:
    """SIGTERM ends the server also before uvicorn listens to it; afterwards uvicorn raises it again, to no effect."""

    def stop(_signum: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


async def _serve(server: uvicorn.Server, app: ModelServer, model: Path, listening: socket.socket, batch: bool) -> None:
    """Answer /ping while the model is loaded in a thread; end when that fails."""
    loading = asyncio.ensure_future(asyncio.to_thread(_load, model, batch))
    loading.add_done_callback(lambda done: _loaded(done, server, app))
    await server.serve(sockets=[listening])
    await loading


def _loaded(done: "asyncio.Future[LoadedModel]", server: uvicorn.Server, app: ModelServer) -> None:
    if done.cancelled() or done.exception() is not None:
        server.should_exit = True
        return
    app.model = done.result()
    print("phase=serving", file=sys.stdout, flush=True)


def _load(model: Path, batch: bool) -> LoadedModel:
    try:
        # One thread: waking a second one for a row costs 48 ms, and the event loop needs the other core.
        loaded = LoadedModel(load(model, threads=1), batch=batch)
    except BundleError as error:
        raise JobError(f"the model cannot be loaded: {error}") from error
    loaded.warm_up()
    return loaded
