"""EndpointHost on this machine: `serve` programs under shepherds, requests sent to them over unix sockets.

    deploy --> Creating | Updating --> InService          all new servers answer /ping; then the routes change
                                  '--> InService + why    a new one failed: the old ones never stopped serving
                                  '--> Failed             a new one failed and there was no old one

A server that dies is started again with a growing pause. When the API is killed its servers live on and the
next start adopts them, found through endpoint.json; those that endpoint.json does not name are ended. A server
whose API does not come back ends itself: its shepherd sees that nobody holds the host's lock (10 minutes).
"""

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mlops_api.adapters.local import procs
from mlops_api.adapters.local.endpoint_folder import EndpointFolder, EndpointRecord, Serving
from mlops_api.adapters.local.events import endpoint_event
from mlops_api.adapters.local.fork_client import ForkServer
from mlops_api.adapters.local.job_folder import checked
from mlops_api.adapters.local.ml_layout import LocalObjects
from mlops_api.adapters.local.model_cache import ModelCache
from mlops_api.adapters.local.model_server import LoadFailed, ModelServer
from mlops_api.adapters.local.routing import Route, Seat
from mlops_api.adapters.local.server_keeper import Endpoint, HostLimits, ServerKeeper
from mlops_api.adapters.local.watcher import Watcher
from mlops_api.adapters.variants import checked_header, checked_variants
from mlops_api.domain.errors import Conflict, NotFound, PlatformError, StorageFull, TooLarge, Unavailable
from mlops_api.domain.times import rfc3339, utc_now
from mlops_api.ports import EndpointState, Invocation, StateChange, VariantSpec

_log = logging.getLogger(__name__)

MAX_BODY = 6 * 1024 * 1024
_AGAIN = 30.0


class LocalEndpointHost:
    """ports.EndpointHost. Call start() once; then close(), or be killed."""

    def __init__(
        self,
        root: Path,
        forks: ForkServer,
        objects: LocalObjects,
        tell: StateChange,
        *,
        limits: HostLimits | None = None,
        adopt: bool = True,
    ) -> None:
        self._root = root
        self._models = ModelCache(root / "models", objects)
        self._tell = tell
        self._limits = limits or HostLimits()
        self._adopt = adopt
        self._endpoints: dict[str, Endpoint] = {}
        self._lock = threading.Lock()
        self._watcher = Watcher("endpoints", workers=8)
        self._keeper = ServerKeeper(forks, self._models, self._watcher, self._owner_lock, self._limits)
        self._owner: int | None = None

    # ------------------------------------------------------------------ life

    def start(self) -> None:
        """Take over what the last host left: adopt or start its servers, go on with its deployments.

        Raises Conflict when another host holds this folder.
        """
        (self._root / "names").mkdir(parents=True, exist_ok=True, mode=0o700)
        self._owner = procs.try_lock(self._owner_lock)
        if self._owner is None:
            raise Conflict(f"Another server is using {self._root}.")
        for path in sorted((self._root / "names").iterdir()):
            self._take_over(EndpointFolder(path))
        self._models.keep_only(self._model_keys())

    def close(self) -> None:
        """End every model server. They are started again by the next start()."""
        self._keeper.closed = True
        self._watcher.close()
        self._keeper.close()
        if self._owner is not None:
            os.close(self._owner)
            self._owner = None

    # ------------------------------------------------------------------ the port

    def deploy(self, endpoint: str, variants: Sequence[VariantSpec]) -> None:
        wanted = checked_variants(variants)
        with self._lock:
            found = self._endpoints.get(endpoint) or self._new_endpoint(endpoint)
        with found.lock:
            record = found.record
            if record.deleting:
                raise Conflict(f"Endpoint {endpoint} is being deleted; try again in a moment.")
            if record.pending == wanted or (not record.pending and record.specs == wanted):
                return
            generation = record.generation + 1
            found.save(replace(record, generation=generation, pending=wanted, failure_reason=None, changed_at=_now()))
        self._watcher.submit(lambda: self._deploy(found, generation))

    def describe(self, endpoint: str) -> EndpointState:
        record = self._find(endpoint).record
        return EndpointState(
            record.status, record.specs, record.pending, record.failure_reason, changed_at=record.changed_at
        )

    def invoke(
        self, endpoint: str, body: bytes, *, content_type: str, accept: str, variant: str | None = None
    ) -> Invocation:
        if len(body) > MAX_BODY:
            raise TooLarge(f"A request may hold {MAX_BODY} bytes, this one has {len(body)}. Use batch scoring.")
        checked_header(content_type)
        checked_header(accept)
        seat, server = self._enter(endpoint, variant)
        try:
            reply = server.invoke(body, content_type, accept)
        finally:
            server.leave()
        if reply.status == 503:
            raise Unavailable(
                "The model server has too many requests; try again.", retry_after=_whole(reply.retry_after)
            )
        return Invocation(reply.status, reply.body, reply.content_type, seat.spec.variant, seat.spec.model_version)

    def delete(self, endpoint: str) -> None:
        with self._lock:
            found = self._endpoints.get(endpoint)
        if found is None:
            return
        with found.lock:
            if found.record.deleting:
                return
            found.save(replace(found.record, deleting=True, generation=found.record.generation + 1, pending=()))
        self._watcher.submit(lambda: self._remove(found))

    # ------------------------------------------------------------------ requests

    def _enter(self, endpoint: str, variant: str | None) -> tuple[Seat, ModelServer]:
        """A server that has counted this request in."""
        while True:
            found = self._find(endpoint)
            route = found.route
            if not route.seats:
                self._not_in_service(found)
            seat = route.draw(variant)
            if seat is None:
                names = ", ".join(each.spec.variant for each in route.seats)
                raise NotFound(f"Endpoint {endpoint} has no variant {variant!r}; it has {names}.")
            server = seat.server
            if server is None or not server.loaded:
                raise Unavailable(f"Variant {seat.spec.variant} of {endpoint} is being started; try again.")
            if server.enter():
                return seat, server
            if found.route is route and seat.server is server:
                raise Unavailable(f"Endpoint {endpoint} is shutting down.")

    def _not_in_service(self, endpoint: Endpoint) -> None:
        status, reason = endpoint.record.status, endpoint.record.failure_reason
        why = f" Its last deployment failed: {reason}" if reason else ""
        raise Conflict(
            f"Endpoint {endpoint.folder.name} is {status}; nothing is in service yet.{why}", status_now=status
        )

    # ------------------------------------------------------------------ deployment

    def _deploy(self, endpoint: Endpoint, generation: int) -> None:
        with endpoint.deploying:
            if self._outdated(endpoint, generation):
                return
            seats: list[Seat] = []
            try:
                for spec in endpoint.record.pending:
                    seats.append(self._seated(endpoint, spec))
                self._wait_loaded(endpoint, seats, generation)
                self._switch(endpoint, seats, generation)
            except Exception as error:  # noqa: BLE001 - whatever it is, it becomes this deployment's failure
                self._failed(endpoint, seats, generation, error)
        self._tell_end(endpoint)

    def _seated(self, endpoint: Endpoint, spec: VariantSpec) -> Seat:
        """A seat with the server that runs already when only the weight is new, else with one that is loading."""
        old = endpoint.route.draw(spec.variant) if endpoint.route.seats else None
        if old is not None and old.same_model(spec):
            return old.reweighted(spec)
        return Seat(spec, self._keeper.launch(endpoint, spec), new=True)

    def _wait_loaded(self, endpoint: Endpoint, seats: Sequence[Seat], generation: int) -> None:
        for seat in seats:
            if seat.server is not None and not seat.server.loaded:
                seat.server.wait_loaded(self._limits.load, lambda: self._outdated(endpoint, generation))

    def _switch(self, endpoint: Endpoint, seats: Sequence[Seat], generation: int) -> None:
        """From here on the new servers answer. The record is durable before a request can meet the new route."""
        with endpoint.lock:
            if self._outdated(endpoint, generation):
                raise LoadFailed("The deployment was given up for a newer one.")
            serving = tuple(Serving(seat.spec, seat.server.id if seat.server else None) for seat in seats)
            endpoint.save(replace(endpoint.record, serving=serving, pending=(), failure_reason=None, changed_at=_now()))
            old, endpoint.route = endpoint.route, Route(tuple(seats))
        self._keeper.after_switch(endpoint)
        kept = set(endpoint.route.servers())
        for server in old.servers():
            if server not in kept:
                self._watcher.submit(lambda server=server: self._retire(server))  # type: ignore[misc] # binds now

    def _retire(self, server: ModelServer) -> None:
        self._keeper.retire(server)
        self._models.keep_only(self._model_keys())

    def _failed(self, endpoint: Endpoint, seats: Sequence[Seat], generation: int, error: Exception) -> None:
        for seat in seats:
            if seat.new and seat.server is not None:
                seat.server.stop()
        if not isinstance(error, PlatformError | OSError):
            _log.error("endpoint %s: its deployment failed", endpoint.folder.name, exc_info=error)
        reason = error.detail if isinstance(error, PlatformError) else f"{type(error).__name__}: {error}"
        with endpoint.lock:
            if self._outdated(endpoint, generation):
                return
            try:
                endpoint.save(replace(endpoint.record, pending=(), failure_reason=reason, changed_at=_now()))
            except StorageFull:
                self._watcher.later(_AGAIN, lambda: self._deploy(endpoint, generation))

    def _outdated(self, endpoint: Endpoint, generation: int) -> bool:
        return self._keeper.closed or endpoint.record.generation != generation

    def _tell_end(self, endpoint: Endpoint) -> None:
        """Hand over the event of a deployment that has ended; again later when the receiver raises."""
        record = endpoint.record
        if record.pending or record.deleting or record.told == record.generation or self._keeper.closed:
            return
        try:
            name, status = endpoint.folder.name, record.status
            self._tell(endpoint_event(name, status, record.generation, record.changed_at, record.failure_reason))
        except Exception:  # noqa: BLE001 - whatever the receiver raises, the event is still owed
            _log.exception("endpoint %s: its event was not taken", endpoint.folder.name)
            self._watcher.later(_AGAIN, lambda: self._tell_end(endpoint))
            return
        with endpoint.lock:
            if not endpoint.record.deleting:
                endpoint.save(replace(endpoint.record, told=record.generation))

    # ------------------------------------------------------------------ taking over, removing

    def _new_endpoint(self, name: str) -> Endpoint:
        folder = EndpointFolder(self._root / "names" / checked(name))
        folder.make()
        endpoint = self._endpoints[name] = Endpoint(folder, EndpointRecord(changed_at=_now()))
        return endpoint

    def _take_over(self, folder: EndpointFolder) -> None:
        record = folder.read()
        if record is None:
            self._clear(folder)
            return
        endpoint = self._endpoints[folder.name] = Endpoint(folder, record)
        if record.deleting:
            # Under its name, so that a deployment does not move into the folder that is being removed.
            self._watcher.submit(lambda: self._remove(endpoint))
            return
        endpoint.route = Route([Seat(each.spec, None) for each in record.serving])
        self._watcher.submit(lambda: self._resume(endpoint))

    def _resume(self, endpoint: Endpoint) -> None:
        """Adopt what serves, end what nobody names, go on with a deployment that was cut off."""
        with endpoint.deploying:
            named = {each.spec: each.server for each in endpoint.record.serving} if self._adopt else {}
            self._keeper.end([path for path in endpoint.folder.servers() if path.name not in named.values()])
            for seat in endpoint.route.seats:
                self._keeper.adopt_or_start(endpoint, seat, named.get(seat.spec))
        if endpoint.record.pending:
            self._deploy(endpoint, endpoint.record.generation)
        else:
            self._tell_end(endpoint)

    def _remove(self, endpoint: Endpoint) -> None:
        with endpoint.deploying:
            old, endpoint.route = endpoint.route, Route(())
            for server in old.servers():
                server.retire(self._limits.drain)
            self._clear(endpoint.folder)
        with self._lock:
            self._endpoints.pop(endpoint.folder.name, None)
        self._models.keep_only(self._model_keys())
        self._tell_removed(endpoint)

    def _tell_removed(self, endpoint: Endpoint) -> None:
        """Told once, because nothing durable is left that could owe it; who misses it asks describe()."""
        try:
            self._tell(endpoint_event(endpoint.folder.name, "Deleting", endpoint.record.generation, _now(), None))
        except Exception:  # noqa: BLE001 - whatever the receiver raises, the removal is done
            _log.exception("endpoint %s: the event of its removal was not taken", endpoint.folder.name)

    def _clear(self, folder: EndpointFolder) -> None:
        self._keeper.end(folder.servers())
        folder.remove()

    def _model_keys(self) -> set[str]:
        with self._lock:
            records = [endpoint.record for endpoint in self._endpoints.values()]
        return {spec.model_key for record in records for spec in (*record.specs, *record.pending)}

    def _find(self, endpoint: str) -> Endpoint:
        found = self._endpoints.get(endpoint)
        if found is None or found.record.generation == 0:
            raise NotFound(f"There is no endpoint {endpoint[:80]}.")
        return found

    @property
    def _owner_lock(self) -> Path:
        return self._root / "lock"


def _whole(seconds: str | None) -> int:
    return int(seconds) if seconds and seconds.isdigit() else 1


def _now() -> str:
    return rfc3339(utc_now())
