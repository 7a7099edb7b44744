"""Where alerts may be posted to, and the key they are signed with: the operator's settings, judged before any use."""

import base64
import binascii
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - it begins every secret
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_VISIBLE = re.compile(r"[!-~]+")
_LEAST_BYTES = 24
_MOST_BYTES = 64


def parse_webhook_url(url: str, *, loopback: bool = False) -> SplitResult:
    """The parts of an https address. `loopback`: also http, to this machine.

    Raises ValueError saying what is expected.
    """
    parts = urlsplit(url)
    try:
        sound = bool(parts.hostname) and "@" not in parts.netloc and not parts.fragment and parts.port != 0
    except ValueError as error:
        raise ValueError(f"The webhook's address has no valid port: {error}") from error
    plain = loopback and parts.scheme == "http" and parts.hostname in LOOPBACK
    if not sound or (parts.scheme != "https" and not plain) or not _VISIBLE.fullmatch(url):
        raise ValueError("A webhook's address is https://host/path, without user, password or fragment.")
    return parts


def parse_webhook_secret(secret: str) -> bytes:
    """The key in a Standard Webhooks secret, `whsec_` and base64 of 24 to 64 bytes.

    Raises ValueError saying how to make one.
    """
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not _LEAST_BYTES <= len(key) <= _MOST_BYTES:
        raise ValueError(
            f"A webhook's secret is {SECRET_PREFIX} and base64 of {_LEAST_BYTES} to {_MOST_BYTES} random bytes. "
            f'Make one: echo "{SECRET_PREFIX}$(openssl rand -base64 32)"'
        )
    return key
