"""Notifier that posts to a webhook, signed as Standard Webhooks (standardwebhooks.com) has it:

    webhook-id: <key>     webhook-timestamp: <epoch seconds>     webhook-signature: v1,<base64>
    {"type": <kind>, "timestamp": <at>, "data": {...}}

The signature is HMAC-SHA256 over `id.timestamp.body`; the timestamp is of this attempt. The id is that of the first.
"""

import base64
import hashlib
import hmac
import http.client
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult

import orjson

from mlops_api.adapters.local.pinned_https import PinnedPost
from mlops_api.adapters.notice_rules import check_notice
from mlops_api.domain.errors import Unavailable
from mlops_api.domain.times import Clock, utc_now
from mlops_api.ports import Notice, Receipt


class Webhook:
    """As ports.Notifier promises. `url` and `key` as domain.webhooks parses them."""

    def __init__(self, url: SplitResult, key: bytes, post: PinnedPost, *, clock: Clock = utc_now) -> None:
        self._url = url
        self._key = key
        self._post = post
        self._clock = clock

    def send(self, notice: Notice) -> Receipt:
        check_notice(notice)
        body = orjson.dumps({"type": notice.kind, "timestamp": notice.at, "data": _data(notice)})
        headers = signed_headers(self._key, notice.key, int(self._clock().timestamp()), body)
        try:
            status = self._post(self._url, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise self._not_taken(f"{type(error).__name__}: {error}") from error
        if not 200 <= status < 300:
            hint = "; redirects are not followed" if 300 <= status < 400 else ""
            raise self._not_taken(f"it answered {status}{hint}")
        return Receipt("webhook", f"{status} from {self._url.hostname}")

    def _not_taken(self, reason: str) -> Unavailable:
        """Its path and query may hold a secret: only the host is named."""
        return Unavailable(f"The webhook at {self._url.hostname} did not take the notice: {reason}.")


def signed_headers(key: bytes, identifier: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The headers of one attempt."""
    content = f"{identifier}.{timestamp}.".encode() + body
    signature = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "mlops-api",
        "webhook-id": identifier,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


def _data(notice: Notice) -> Mapping[str, Any]:
    return {
        "alert": notice.key,
        "severity": notice.severity,
        "subject": notice.subject,
        "body": notice.body,
        "path": notice.path,
    }
