"""Page tokens: opaque, and good only for the query that gave them.

A token holds the position behind which the next page begins, and a digest over that position and the query.
It is no secret: it says nothing that its holder was not shown.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence

import orjson

from mlops_api.domain.errors import BadRequest

_DIGEST_CHARACTERS = 16


def write_token(query: Sequence[str], position: Sequence[str]) -> str:
    """The token for going on behind `position`; `query` is everything that must be the same next time."""
    packed = orjson.dumps([_digest(query, position), *position])
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def read_token(query: Sequence[str], token: str, *, length: int) -> list[str]:
    """The position of `length` texts that write_token was given.

    Raises BadRequest when `token` was not made for this query.
    """
    digest, *position = _unpack(token)
    if len(position) != length or digest != _digest(query, position):
        raise _refusal()
    return position


def _unpack(token: str) -> list[str]:
    try:
        packed = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        parts = orjson.loads(packed)
    except (UnicodeEncodeError, binascii.Error, orjson.JSONDecodeError) as error:
        raise _refusal() from error
    if not isinstance(parts, list) or not parts or not all(isinstance(part, str) for part in parts):
        raise _refusal()
    return parts


def _digest(query: Sequence[str], position: Sequence[str]) -> str:
    return hashlib.sha256(orjson.dumps([list(query), list(position)])).hexdigest()[:_DIGEST_CHARACTERS]


def _refusal() -> BadRequest:
    return BadRequest(
        "next_token does not belong to this query. Pass it back unchanged with the same filters, or leave it out "
        "to start at the first page."
    )
