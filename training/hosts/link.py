"""The connections on which the hosts of a job meet and notice each other's end.

    member                        coordinator, the first host
      | -- {"host": "algo-2"} ------> |      waits for all
      | <----- {"tracker": [...]} --- |
      | -- {"end": "done"} ---------> |      before either side closes

A connection that closes without an `end` is a host that died; the kernel closes it, or finds out by its own probes that
the machine is gone. Whoever notices ends itself, and so the news reaches every host. xgboost.collective alone would
notice at the next exchange only, which may be hours away.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

from training.failure import JobError
from training.hosts.place import Place

End = Literal["done", "stopped", "failed"]

RETRY_SECONDS: Final = 0.2
HELLO_SECONDS: Final = 10.0
"""For whoever connects to say which host he is."""
LONGEST_LINE: Final = 65_536
_PROBES: Final = {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 4}
"""Seconds and number: a machine that vanished is found out within half a minute."""


@dataclass(frozen=True)
class Loss:
    """How another host ended, other than well."""

    host: str
    end: End
    reason: str

    def __str__(self) -> str:
        if self.end == "failed" and self.reason:
            return f"Host {self.host} failed: {self.reason}"
        return f"Host {self.host} of this job ended early or cannot be reached; its own log says why."


class Peer:
    """One connection, line by line."""

    def __init__(self, connection: socket.socket, host: str = "") -> None:
        self.host = host
        self._connection = connection
        self._lines = connection.makefile("rb")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _PROBES.items():
            connection.setsockopt(socket.IPPROTO_TCP, option, value)

    def tell(self, message: Mapping[str, Any]) -> None:
        """Raises OSError when the other side is gone."""
        self._connection.sendall(json.dumps(message).encode() + b"\n")

    def hear(self, seconds: float | None = None) -> dict[str, Any] | None:
        """The next message; None at the end, for nonsense, and after that time."""
        self._connection.settimeout(seconds)
        with suppress(OSError, ValueError):
            message = json.loads(self._lines.readline(LONGEST_LINE))
            return message if isinstance(message, dict) else None
        return None

    def close(self) -> None:
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._lines.close()
        self._connection.close()


class Link:
    """The connections of this host, watched from `watch` on; `on_loss` is called once, in a thread, for the first host
    that is lost."""

    def __init__(self, peers: list[Peer], on_loss: Callable[[Loss], None]) -> None:
        self._peers = peers
        self._on_loss = on_loss
        self._lock = threading.Lock()
        self._lost = threading.Event()
        self._left = False
        self.loss: Loss | None = None

    def watch(self) -> None:
        for peer in self._peers:
            threading.Thread(target=self._follow, args=(peer,), name=f"link-{peer.host}", daemon=True).start()

    def wait_for_loss(self, seconds: float) -> Loss | None:
        """Which host was lost, if that is known within that time."""
        self._lost.wait(seconds)
        return self.loss

    def leave(self, end: End, reason: str = "") -> None:
        """Tell the others how this host ends, and hang up."""
        with self._lock:
            self._left = True
        for peer in self._peers:
            with suppress(OSError):
                peer.tell({"end": end, "reason": reason})

    def _follow(self, peer: Peer) -> None:
        message = peer.hear() or {}
        end: Any = message.get("end")
        if end == "done":
            return
        loss = Loss(peer.host, end if end in ("stopped", "failed") else "failed", str(message.get("reason", "")))
        with self._lock:
            if self._left or self.loss is not None:
                return
            self.loss = loss
        self._lost.set()
        self._on_loss(loss)


# --------------------------------------------------------------------------- meeting


def meet(place: Place, open_tracker: Callable[[str], tuple[str, int]], seconds: float) -> tuple[list[Peer], str, int]:
    """All hosts are there: (connections, address and port of the tracker). The first host opens it, given its own
    address, once it is known where to listen. Raises JobError naming the hosts that did not come in time."""
    address, port = place.coordinator()
    deadline = time.monotonic() + seconds
    if place.first:
        return _receive(place, address, port, open_tracker, deadline)
    peer = _report(place, address, port, deadline)
    answer = peer.hear(max(0.1, deadline - time.monotonic()))
    if answer is None or "tracker" not in answer:
        peer.close()
        raise JobError(f"The first host, {place.hosts[0]}, did not get all hosts together; its log says why.")
    host, number = answer["tracker"]
    return [peer], str(host), int(number)


def _receive(
    place: Place, address: str, port: int, open_tracker: Callable[[str], tuple[str, int]], deadline: float
) -> tuple[list[Peer], str, int]:
    own = _resolved(address)
    with socket.create_server((own, port), backlog=128) as server:
        peers = {peer.host: peer for peer in _arrivals(server, place, deadline)}
    host, number = open_tracker(own)
    ordered = [peers[name] for name in place.hosts[1:]]
    for peer in ordered:
        with suppress(OSError):  # gone already: its watcher says so
            peer.tell({"tracker": [host, number]})
    return ordered, host, number


def _arrivals(server: socket.socket, place: Place, deadline: float) -> Iterator[Peer]:
    """Each of the other hosts once; whoever else connects is sent away."""
    missing = set(place.hosts[1:])
    while missing:
        server.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            connection, _ = server.accept()
        except TimeoutError as error:
            raise JobError(f"Hosts that did not report in time: {', '.join(sorted(missing))}.") from error
        peer = Peer(connection)
        peer.host = str((peer.hear(HELLO_SECONDS) or {}).get("host"))
        if peer.host in missing:
            missing.remove(peer.host)
            yield peer
        else:
            peer.close()


def _report(place: Place, address: str, port: int, deadline: float) -> Peer:
    """Connect as soon as the first host listens; it may start minutes later."""
    while True:
        try:
            peer = Peer(socket.create_connection((address, port), timeout=HELLO_SECONDS), place.hosts[0])
            peer.tell({"host": place.current})
        except OSError as error:
            if time.monotonic() >= deadline:
                raise JobError(f"{place.hosts[0]} cannot be reached at {address}:{port}: {error}.") from error
            time.sleep(RETRY_SECONDS)
        else:
            return peer


def _resolved(name: str) -> str:
    try:
        return socket.gethostbyname(name)
    except OSError as error:
        raise JobError(f"The name of the first host, {name}, has no address: {error}.") from error


def end_process(code: int) -> None:
    """At once: a communicator that was not finished would wait for the others when the process ends by itself."""
    os._exit(code)
