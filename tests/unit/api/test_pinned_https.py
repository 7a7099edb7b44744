"""Where a webhook may lead, and where it may not."""

import datetime
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mlops_api.adapters.local.pinned_https import PinnedPost
from mlops_api.domain.errors import Invalid
from tests.support.notifiers import WebhookReceiver, webhook_receiver

HOST = "hooks.example.com"


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with webhook_receiver() as receiver:
        yield receiver


def post(url: str, post: PinnedPost) -> int:
    return post(urlsplit(url), b"{}", {"Content-Type": "application/json"})


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104 - refused
        "224.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "127.0.0.1",
        "127.8.9.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "2001:db8::1",
        "2001:0:a00:1::1",
    ],
)
def test_no_address_inside_is_ever_connected_to(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: pytest.fail("it connected"))
    with pytest.raises(Invalid, match="MLOPS_WEBHOOK_URL"):
        post(f"https://{HOST}/", PinnedPost(resolve=lambda *_: [address]))


def test_one_address_inside_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.create_connection", lambda *_, **__: pytest.fail("it connected"))
    with pytest.raises(Invalid, match="is 10"):
        post(f"https://{HOST}/", PinnedPost(resolve=lambda *_: ["93.184.216.34", "10.0.0.1"]))


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "::ffff:192.168.0.1", "fe80::1"])
def test_loopback_opens_this_machine_only(address: str) -> None:
    with pytest.raises(Invalid):
        post(f"https://{HOST}/", PinnedPost(loopback=True, resolve=lambda *_: [address]))


def test_the_address_that_was_judged_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resolves to this machine at the second look: DNS rebinding."""
    connected: list[Any] = []

    def connect(address: tuple[str, int], *_: Any) -> None:
        connected.append(address)
        raise ConnectionRefusedError

    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    monkeypatch.setattr("socket.create_connection", connect)
    with pytest.raises(ConnectionRefusedError):
        post(f"https://{HOST}/", PinnedPost(resolve=lambda *_: next(answers)))
    assert connected == [("93.184.216.34", 443)]


def test_a_name_without_address_is_an_error_to_try_again() -> None:
    with pytest.raises(OSError, match="no address"):
        post(f"https://{HOST}/", PinnedPost(resolve=lambda *_: []))


def test_a_redirect_is_answered_not_followed(receiver: WebhookReceiver) -> None:
    with webhook_receiver() as other, receiver.answering(307, other.url):
        assert post(receiver.url, PinnedPost(loopback=True)) == 307
        assert other.requests == []


def test_proxies_of_the_environment_are_not_used(receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert post(receiver.url, PinnedPost(loopback=True)) == 204


def test_the_whole_target_and_the_name_are_sent(receiver: WebhookReceiver) -> None:
    assert post(receiver.url, PinnedPost(loopback=True)) == 204
    [(headers, body)] = receiver.requests
    assert headers["host"] == urlsplit(receiver.url).netloc
    assert body == b"{}"


def test_what_is_no_http_is_an_error_to_try_again() -> None:
    with _raw_server(b"SSH-2.0-OpenSSH_9.6\r\n") as port, pytest.raises(http.client.HTTPException):
        post(f"http://127.0.0.1:{port}/", PinnedPost(loopback=True))


def test_a_receiver_that_never_comes_to_its_status_is_cut_off() -> None:
    began = time.monotonic()
    with _raw_server(b"", drips=True) as port, pytest.raises((OSError, http.client.HTTPException)):
        post(f"http://127.0.0.1:{port}/", PinnedPost(loopback=True, seconds=0.5))
    assert time.monotonic() - began < 4


def test_one_that_has_said_its_status_is_not_waited_for_longer() -> None:
    began = time.monotonic()
    with _raw_server(b"HTTP/1.1 204 No Content\r\nX: ", drips=True) as port:
        assert post(f"http://127.0.0.1:{port}/", PinnedPost(loopback=True, seconds=0.5)) == 204
    assert time.monotonic() - began < 4


def test_a_handshake_that_is_not_answered_is_cut_off() -> None:
    began = time.monotonic()
    with _raw_server(b"") as port, pytest.raises(OSError):  # noqa: PT011 - any of its kinds
        post(f"https://{HOST}:{port}/", _post(ssl.create_default_context(), seconds=0.5))
    assert time.monotonic() - began < 4


class TestCertificates:
    def test_a_certificate_of_the_name_is_taken(self, tmp_path: Path) -> None:
        with _tls_server(tmp_path, HOST) as (port, trusted):
            assert post(f"https://{HOST}:{port}/hook", _post(trusted)) == 204

    def test_one_of_another_name_is_not(self, tmp_path: Path) -> None:
        with _tls_server(tmp_path, "other.example.com") as (port, trusted), pytest.raises(ssl.SSLCertVerificationError):
            post(f"https://{HOST}:{port}/hook", _post(trusted))

    def test_one_of_an_unknown_authority_is_not(self, tmp_path: Path) -> None:
        with _tls_server(tmp_path, HOST) as (port, _), pytest.raises(ssl.SSLCertVerificationError):
            post(f"https://{HOST}:{port}/hook", _post(ssl.create_default_context()))


# ---- servers


def _post(context: ssl.SSLContext, **options: float) -> PinnedPost:
    return PinnedPost(loopback=True, resolve=lambda *_: ["127.0.0.1"], context=context, **options)


class _Quiet(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return None


class _TlsServer(HTTPServer):
    def handle_error(self, *_: Any) -> None:
        """A client that does not trust it goes away."""


class _tls_server:  # noqa: N801 - used as a context manager
    def __init__(self, folder: Path, name: str) -> None:
        certificate, key = _certificate(folder, name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server = _TlsServer(("127.0.0.1", 0), _Quiet)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=True, suppress_ragged_eofs=True
        )
        self._trusted = ssl.create_default_context(cafile=str(certificate))
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> tuple[int, ssl.SSLContext]:
        self._thread.start()
        return int(self._server.server_address[1]), self._trusted

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """One that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


class _raw_server:  # noqa: N801 - used as a context manager
    """Says one thing to the first who connects; one that `drips` goes on with a byte now and then, until he is gone."""

    def __init__(self, says: bytes, *, drips: bool = False) -> None:
        self._drips = drips
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._says = says
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> int:
        self._thread.start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.sendall(self._says)
            with suppress(OSError):
                while connection.recv(65536) and not self._drips:
                    pass
                while self._drips:
                    connection.sendall(b"x")
                    time.sleep(0.05)
