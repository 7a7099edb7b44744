"""Signed URLs: HMAC-SHA256 (RFC 2104) over the method and every byte of the path and query before the signature.

    /uploads/3f2a.../7?expires=1790000000&size=8388608&signature=9c1d...

Nothing is parsed before the signature is found right, so there is no second spelling of a signed URL.
"""

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

from mlops_api.domain.errors import Forbidden
from mlops_api.domain.times import Clock, utc_now

_MARK = "&signature="


class UrlSigner:
    """`secret`: random bytes that only this server knows."""

    def __init__(self, secret: bytes, *, clock: Clock = utc_now) -> None:
        self._secret = secret
        self._clock = clock

    def expiry(self, expires_in: int) -> int:
        """The moment `expires_in` seconds from now, in epoch seconds."""
        return int(self._clock().timestamp()) + expires_in

    def sign(self, method: str, path: str, parameters: Mapping[str, str], *, expires: int) -> str:
        """`path` (percent-encoded) with a query that is good for `method` until `expires` (epoch seconds)."""
        target = f"{path}?{urlencode({'expires': str(expires), **parameters})}"
        return target + _MARK + self._signature(method, target)

    def verify(self, method: str, target: str) -> dict[str, str]:
        """The query of a signed path. Raises Forbidden when it was changed, or is too old."""
        signed, _, signature = target.rpartition(_MARK)
        wanted = self._signature(method, signed)
        if not hmac.compare_digest(wanted.encode(), signature.encode(errors="replace")):
            raise Forbidden("This URL was not signed by this server for this use. Ask for a new one, use it unchanged.")
        query = dict(parse_qsl(urlsplit(signed).query, keep_blank_values=True))
        if int(query["expires"]) <= self._clock().timestamp():
            raise Forbidden("This URL has expired. Ask for a new one; parts of an upload that arrived are kept.")
        return query

    def _signature(self, method: str, target: str) -> str:
        return hmac.digest(self._secret, f"{method}\n{target}".encode(errors="surrogateescape"), hashlib.sha256).hex()
