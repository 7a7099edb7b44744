"""A folder of objects behind a real HTTP server, so that signed URLs can be used as a client uses them."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from mlops_api.adapters.local.file_objects import MOUNT, FileObjects
from mlops_api.adapters.local.signing import UrlSigner
from mlops_api.adapters.local.storage_app import StorageApp
from mlops_api.domain.times import Clock, utc_now

SECRET = b"a secret that only this test knows"


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Run an ASGI app on a free port of 127.0.0.1; its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level="warning", lifespan="off", timeout_graceful_shutdown=2)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            wait_for(lambda: server.started)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=10)


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


@contextmanager
def served_objects(
    folder: Path, *, part_size: int = 64 << 10, clock: Clock = utc_now, idle_seconds: float = 10
) -> Iterator[FileObjects]:
    """Parts are small, so that tests with several of them are quick."""
    signer = UrlSigner(SECRET, clock=clock)
    with ExitStack() as stack:
        app: Any = None
        # Most tests need no server, and starting one takes longer than they do.
        url = cache(lambda: stack.enter_context(serving(app)))
        objects = FileObjects(folder / "store", signer, url, part_size=part_size, clock=clock)
        app = Starlette(routes=[Mount(MOUNT, StorageApp(objects, signer, idle_seconds=idle_seconds))])
        yield objects
