"""`mlops up`: the platform on this machine, in this process, until it is told to end."""

import json
import os
import socket
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import uvicorn

from mlops_api.adapters.local.data_folder import DataFolder
from mlops_api.app import create_app
from mlops_api.bootstrap import local_platform
from mlops_api.cli.logs import log_to
from mlops_api.settings import Settings

_HOST = "127.0.0.1"
_TRIES = 20
_MOST_REQUESTS = 1000
_DRAIN_SECONDS = 10


def run_up(data_dir: Path | None = None, port: int | None = None, *, as_json: bool = False) -> int:
    """Serve on 127.0.0.1 until SIGINT or SIGTERM. `port` None: 8000 or the next free one; 0: any free one.

    Returns the exit code. Raises Conflict when another server has the data folder.
    """
    settings = Settings() if data_dir is None else Settings(data_dir=data_dir)
    with DataFolder.open(settings.data_dir) as folder, closing(_listen(port)) as listener:
        url = f"http://{_HOST}:{listener.getsockname()[1]}"
        log_to(folder.path, [folder.token])
        app = create_app(local_platform(settings, folder, url), settings)
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=_MOST_REQUESTS,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
        server = _Server(config, lambda: _announce(folder, url, as_json))
        server.run(sockets=[listener])
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


def _listen(port: int | None) -> socket.socket:
    candidates = [port] if port is not None else range(8000, 8000 + _TRIES)
    for candidate in candidates:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, candidate))
        except OSError:
            listener.close()
            continue
        return listener
    raise OSError(f"Port {port or 8000} is taken. Choose another: mlops up --port 0 takes any free one.")


def _announce(folder: DataFolder, url: str, as_json: bool) -> None:
    folder.write_server_info(url, folder.token, os.getpid())
    if as_json:
        data = {"url": url, "token": folder.token, "pid": os.getpid(), "data_dir": str(folder.path)}
        print(json.dumps({"schema_version": 1, "command": "up", "data": data}), flush=True)
        return
    link = f"{url}/?token={folder.token}"
    print(f"Serving {folder.path} at {url}\n\n  Open      {link}\n  API docs  {url}/docs\n", file=sys.stderr)
    print(
        "Press Ctrl-C to end. Training jobs under way go on, and are picked up at the next start.",
        file=sys.stderr,
        flush=True,
    )
