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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import uvloop

from training.bundle import BundleError, load
from training.failure import JobError, fail
from training.paths import MlPaths
from training.serving.app import LoadedModel, ModelServer
from training.serving.server import HttpServer

DEFAULT_PORT: Final = "8080"
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
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(_serve(app, model, listening, batch))
        finally:
            app.close()


async def _serve(app: ModelServer, model: Path, listening: socket.socket, batch: bool) -> None:
    """Answer /ping while the model is loaded in a thread; end when that fails."""
    loop, server = asyncio.get_running_loop(), HttpServer(app)
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, server.stop)
    loading = asyncio.ensure_future(asyncio.to_thread(_load, model, batch))
    loading.add_done_callback(lambda done: _loaded(done, server, app))
    await server.serve(listening)
    await loading


def _loaded(done: "asyncio.Future[LoadedModel]", server: HttpServer, app: ModelServer) -> None:
    if done.cancelled() or done.exception() is not None:
        server.stop()
        return
    app.model = done.result()
    print("phase=serving", file=sys.stdout, flush=True)


def _load(model: Path, batch: bool) -> LoadedModel:
    try:
        # One thread: waking a second one for a row costs 48 ms, and the event loop needs the other core.
        loaded = LoadedModel(load(model, threads=1, small_requests=not batch), batch=batch)
    except BundleError as error:
        raise JobError(f"the model cannot be loaded: {error}") from error
    loaded.warm_up()
    return loaded
