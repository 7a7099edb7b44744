"""Keeps model servers alive: launches, adopts, starts again what dies, puts away what is replaced."""

import logging
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mlops_api.adapters.local.endpoint_folder import EndpointFolder, EndpointRecord
from mlops_api.adapters.local.fork_client import ForkServer
from mlops_api.adapters.local.model_cache import ModelCache
from mlops_api.adapters.local.model_server import LoadFailed, ModelServer
from mlops_api.adapters.local.routing import Route, Seat
from mlops_api.adapters.local.watcher import Watcher
from mlops_api.domain.errors import PlatformError
from mlops_api.ports import VariantSpec

_log = logging.getLogger(__name__)

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 30.0
_HEALTHY_SECONDS = 60.0


@dataclass(frozen=True)
class HostLimits:
    """Seconds: until a server must have loaded, for one answer, for requests under way when a server is
    replaced, between SIGTERM and SIGKILL."""

    load: float = 60.0
    answer: float = 60.0
    drain: float = 60.0
    grace: float = 30.0


class Endpoint:
    """One endpoint in memory. `record` is what endpoint.json says; both change under `lock` only.

    `deploying` is held while servers are exchanged.
    """

    def __init__(self, folder: EndpointFolder, record: EndpointRecord) -> None:
        self.folder = folder
        self.record = record
        self.route = Route(())
        self.lock = threading.RLock()
        self.deploying = threading.Lock()

    def save(self, record: EndpointRecord) -> None:
        self.folder.write(record)
        self.record = record


class ServerKeeper:
    def __init__(
        self, forks: ForkServer, models: ModelCache, watcher: Watcher, owner_lock: Path, limits: HostLimits
    ) -> None:
        self._forks = forks
        self._models = models
        self._watcher = watcher
        self._owner_lock = owner_lock
        self._limits = limits
        self.closed = False
        self._known: set[ModelServer] = set()

    def close(self) -> None:
        """End every server there is. The watcher must be closed, so that nothing is started meanwhile."""
        self._end_all(list(self._known))

    def launch(self, endpoint: Endpoint, spec: VariantSpec) -> ModelServer:
        """A server that is loading. Raises PlatformError."""
        folder = endpoint.folder.server(f"{spec.variant[:40]}-{secrets.token_hex(6)}")
        model = self._models.folder(spec.model_key)
        limits = self._limits
        server, pidfd = ModelServer.launch(
            folder, model, self._forks, self._owner_lock, grace=limits.grace, timeout=limits.answer
        )
        self._watch(endpoint, server, pidfd)
        return server

    def adopt_or_start(self, endpoint: Endpoint, seat: Seat, server_id: str | None) -> None:
        """Give the seat the server it had before this host started, or a new one."""
        path = endpoint.folder.server(server_id) if server_id else None
        if path is not None and path.exists():
            server = ModelServer(path, timeout=self._limits.answer)
            pidfd = server.pidfd()
            if pidfd is not None and self._adopted(endpoint, seat, server, pidfd):
                return
            if pidfd is None:
                self.put_away(server)
        self.restart(endpoint, seat)

    def after_switch(self, endpoint: Endpoint) -> None:
        """What died, or was being started again, while the route changed."""
        for seat in endpoint.route.seats:
            if seat.server is None:
                self._watcher.submit(lambda seat=seat: self.restart(endpoint, seat))  # type: ignore[misc] # binds now
            elif seat.server.ended.is_set():
                self._ended(endpoint, seat.server)

    def restart(self, endpoint: Endpoint, seat: Seat) -> None:
        """Nothing to do when the seat is no longer routed to, or has a server."""
        with seat.restarting:
            if self._idle(endpoint, seat):
                return
            server: ModelServer | None = None
            try:
                server = self.launch(endpoint, seat.spec)
                server.wait_loaded(self._limits.load, lambda: self._idle(endpoint, seat))
                self._seat(endpoint, seat, server)
            except (PlatformError, OSError) as error:
                _log.warning("endpoint %s: %s did not start: %s", endpoint.folder.name, seat.spec.variant, error)
                if server is not None:
                    server.stop()
                seat.failures += 1
                self._restart_later(endpoint, seat)

    def retire(self, server: ModelServer) -> None:
        """Let it finish what is under way, then end it."""
        server.retire(self._limits.drain)
        server.stop()

    def put_away(self, server: ModelServer) -> None:
        """Remove what is left of a server that has ended, or is about to."""
        server.retire(self._limits.drain)
        server.wait_ended(self._limits.grace)
        server.remove()
        self._known.discard(server)

    def end(self, folders: Sequence[Path]) -> None:
        """End these servers, whoever started them, and remove their folders."""
        self._end_all([ModelServer(path) for path in folders])

    def _end_all(self, servers: Sequence[ModelServer]) -> None:
        for server in servers:
            server.retire(0)
            server.stop()
        for server in servers:
            server.wait_ended(self._limits.grace + 5)
            server.remove()
            self._known.discard(server)

    def _adopted(self, endpoint: Endpoint, seat: Seat, server: ModelServer, pidfd: int) -> bool:
        self._watch(endpoint, server, pidfd)
        try:
            server.wait_loaded(self._limits.load, lambda: self.closed)
        except LoadFailed:
            server.stop()
            return False
        seat.seat(server)
        if server.ended.is_set():
            self._ended(endpoint, server)
        return True

    def _seat(self, endpoint: Endpoint, seat: Seat, server: ModelServer) -> None:
        with endpoint.lock:
            if seat not in endpoint.route.seats:
                raise LoadFailed("The variant was replaced meanwhile.")
            endpoint.save(endpoint.record.with_server(seat.spec, server.id))
            seat.seat(server)
        if server.ended.is_set():  # between /ping and now, when it was in no seat
            self._ended(endpoint, server)

    def _idle(self, endpoint: Endpoint, seat: Seat) -> bool:
        return self.closed or seat.server is not None or seat not in endpoint.route.seats

    def _watch(self, endpoint: Endpoint, server: ModelServer, pidfd: int) -> None:
        self._known.add(server)
        self._watcher.on_end(pidfd, lambda: self._ended(endpoint, server))

    def _ended(self, endpoint: Endpoint, server: ModelServer) -> None:
        """Start a server again that died while it served; put away one that was to end."""
        server.mark_ended()
        seat = endpoint.route.seat_of(server)
        if seat is not None and not self.closed:
            _log.warning(
                "endpoint %s: the server of %s died: %s", endpoint.folder.name, seat.spec.variant, server.last_words()
            )
            seat.lost(server, healthy=_HEALTHY_SECONDS)
            self._restart_later(endpoint, seat)
        self.put_away(server)

    def _restart_later(self, endpoint: Endpoint, seat: Seat) -> None:
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(seat.failures - 1, 20))
        self._watcher.later(pause, lambda: self.restart(endpoint, seat))
