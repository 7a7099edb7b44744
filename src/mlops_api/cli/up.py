"""`mlops up`: the platform on this machine, in this process, until it is told to end."""

import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import uvicorn

from mlops_api.adapters.local.data_folder import DataFolder
from mlops_api.app import create_app
from mlops_api.bootstrap import local_platform
from mlops_api.cli.errors import UsageProblem
from mlops_api.cli.http_protocol import HeadTimeoutProtocol
from mlops_api.cli.logs import log_to
from mlops_api.settings import Settings

_HOST = "127.0.0.1"
_PORT = 8000
_TRIES = 20
_MOST_REQUESTS = 1000
_DRAIN_SECONDS = 10
_PRIVATE = 0o077
"""Logs, records and what jobs write are this user's alone, wherever the data folder lies."""


def run_up(
    data_dir: Path | None = None, port: int | None = None, *, watch: Path | None = None, as_json: bool = False
) -> int:
    """Serve on 127.0.0.1 until SIGINT or SIGTERM. `port` None: 8000 or the next free one; 0: any free one. `watch`: a
    folder whose tables become dataset versions.

    Returns the exit code. Raises Conflict when another server has the data folder, UsageProblem when the folder or the
    port cannot be had.
    """
    os.umask(_PRIVATE)
    given: dict[str, Any] = {"data_dir": data_dir, "watch_dir": watch}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    with _opened(settings.data_dir) as folder, closing(_listen(port)) as listener:
        url = f"http://{_HOST}:{listener.getsockname()[1]}"
        log_to(folder.path, [folder.token, settings.webhook_secret.get_secret_value()])
        app = create_app(local_platform(settings, folder, url), settings)
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=HeadTimeoutProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=_MOST_REQUESTS,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
        server = _Server(config, lambda: _announce(folder, url, settings.watch_dir, as_json))
        server.run(sockets=[listener])
    if not as_json:
        print("Stopped.", file=sys.stderr, flush=True)
    return 0


class _Server(uvicorn.Server):
    """Tells once it accepts requests."""

    def __init__(self, config: uvicorn.Config, accepting: Callable[[], None]) -> None:
        super().__init__(config)
        self._accepting = accepting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._accepting()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        # uvicorn's own raises the signal again after the shutdown; to end on request is no failure here.
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def _opened(path: Path) -> DataFolder:
    try:
        return DataFolder.open(path)
    except (FileExistsError, NotADirectoryError, PermissionError) as error:
        raise UsageProblem(
            f"{path} cannot be the data folder ({error.strerror}). Name another with --data-dir."
        ) from error


def _listen(port: int | None) -> socket.socket:
    if port is not None:
        return _bound(port) or _refused(port)
    for candidate in range(_PORT, _PORT + _TRIES):
        listener = _bound(candidate)
        if listener is not None:
            return listener
    raise UsageProblem(f"Ports {_PORT} to {_PORT + _TRIES - 1} are taken. mlops up --port 0 takes any free one.")


def _bound(port: int) -> socket.socket | None:
    """None: the port is taken. Raises UsageProblem when this user may not have it."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
    except OSError as error:
        listener.close()
        if error.errno != errno.EADDRINUSE:
            raise UsageProblem(f"Port {port} cannot be used: {error.strerror}. Choose one above 1023.") from error
        return None
    return listener


def _refused(port: int) -> NoReturn:
    with closing(_bound(0) or _refused(0)) as free:
        other = free.getsockname()[1]
    raise UsageProblem(f"Port {port} is taken. {other} is free: mlops up --port {other}")


def _announce(folder: DataFolder, url: str, watched: Path | None, as_json: bool) -> None:
    folder.write_server_info(url, folder.token, os.getpid())
    if as_json:
        data = {"url": url, "token": folder.token, "pid": os.getpid(), "data_dir": str(folder.path)}
        print(json.dumps({"schema_version": 1, "command": "up", "data": data}), flush=True)
        return
    link = f"{url}/docs?token={folder.token}"
    print(f"Serving {folder.path} at {url}\n\n  Open the API docs  {link}\n", file=sys.stderr)
    if watched is not None:
        print(f"Watching {watched}: a table dropped there becomes a version of a dataset.\n", file=sys.stderr)
    print(
        "Training jobs under way outlive the server and are picked up at the next start.\nPress Ctrl-C to end.",
        file=sys.stderr,
        flush=True,
    )
