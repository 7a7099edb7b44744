"""One POST to an address the operator chose, and to no other: no proxy, no redirect, no address inside.

A name is resolved once and judged; the connection goes to the address that was judged, so a name that resolves
otherwise a moment later changes nothing (DNS rebinding). The certificate is checked against the name.
"""

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from urllib.parse import SplitResult

from mlops_api.domain.errors import Invalid

Resolve = Callable[[str, int], Sequence[str]]
"""Host and port to addresses. Raises OSError."""

_STEP_SECONDS = 5.0
"""For connecting, sending and each read; resolving the name has the resolver's own limit."""

_MOST_SECONDS = 20.0
"""For all of it: a receiver may be slow at each read."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_TRANSLATING = tuple(ipaddress.ip_network(net) for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))
"""IPv6 that may lead to an IPv4 address inside: NAT64, 6to4, Teredo."""


def resolve(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class PinnedPost:
    """`loopback`: this machine may be reached too. `context`: the certificates that are trusted; None: the system's.
    `seconds`: after so many the connection is cut."""

    def __init__(
        self,
        *,
        loopback: bool = False,
        resolve: Resolve = resolve,
        context: ssl.SSLContext | None = None,
        seconds: float = _MOST_SECONDS,
    ) -> None:
        self._seconds = seconds
        self._loopback = loopback
        self._resolve = resolve
        self._context = context or ssl.create_default_context()

    def __call__(self, url: SplitResult, body: bytes, headers: Mapping[str, str]) -> int:
        """Send it; the answer's status. Raises Invalid for an address that is not public; OSError and
        http.client.HTTPException when nobody answers as HTTP wants it."""
        host = url.hostname or ""
        port = url.port or (443 if url.scheme == "https" else 80)
        connection = _Connection(
            host, port, self._address(host, port), self._context if url.scheme == "https" else None
        )
        cut = threading.Timer(self._seconds, connection.cut)
        cut.start()
        try:
            target = (url.path or "/") + (f"?{url.query}" if url.query else "")
            connection.request("POST", target, body, dict(headers))
            return connection.getresponse().status
        finally:
            cut.cancel()
            connection.close()

    def _address(self, host: str, port: int) -> str:
        """The first of the host's addresses. All must be allowed: which one is first is the resolver's whim."""
        addresses = self._resolve(host, port)
        for address in addresses:
            if not self._allowed(ipaddress.ip_address(address.partition("%")[0])):
                raise Invalid(
                    f"{host} is {address}, which is no public address. Name a public host in MLOPS_WEBHOOK_URL."
                )
        if not addresses:
            raise OSError(f"{host} has no address")
        return addresses[0]

    def _allowed(self, address: _Address) -> bool:
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            return self._allowed(address.ipv4_mapped)
        if address.is_loopback:
            return self._loopback
        translated = any(address in network for network in _TRANSLATING if network.version == address.version)
        return address.is_global and not address.is_multicast and not translated


class _Connection(http.client.HTTPConnection):
    """To `address`, whatever `host` resolves to now. `context` None: without TLS."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=_STEP_SECONDS)
        self.default_port = http.client.HTTPS_PORT if context else http.client.HTTP_PORT  # left out of the Host header
        self._address = address
        self._tls = context

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), _STEP_SECONDS)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock.do_handshake()

    def cut(self) -> None:
        """From another thread: whatever waits for the other side gets an end of file."""
        with suppress(OSError):
            # The base class's: that of a TLS socket would pull away what its reader still uses.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
