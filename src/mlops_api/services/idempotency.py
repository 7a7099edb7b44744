"""Idempotency-Key: the second request with the same key gets the first one's result, and has no second effect.

The key is claimed in the same all-or-nothing write as the change itself, so there is no moment at which a
change is made and its key forgotten.
"""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from pydantic import BaseModel

from mlops_api.domain.errors import Conflict
from mlops_api.domain.times import Clock
from mlops_api.ports import Put, RecordName, RecordStore
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.found import Found
from mlops_api.services.principal import Principal

T = TypeVar("T")

_KEPT = timedelta(hours=24)


class Claim(BaseModel):
    id: str
    fingerprint: str
    result: str


class IdempotentCall:
    """One call under one key. Without a key every method is a no-op."""

    def __init__(self, claims: Collection[Claim], clock: Clock, claim_id: str | None, fingerprint: str) -> None:
        self._claims = claims
        self._clock = clock
        self._id = claim_id
        self._fingerprint = fingerprint

    @property
    def names(self) -> list[RecordName]:
        """The record to read with what the call needs, for `earlier_result`."""
        return [self._claims.name_of(self._id)] if self._id else []

    def earlier_result(self, read: Found) -> str | None:
        """The id an earlier call with this key made. Raises Conflict when that call asked for something else.

        `read`: among others, `names`.
        """
        found = read.find(self._claims, self._id) if self._id else None
        if found is None:
            return None
        if found.value.fingerprint != self._fingerprint:
            raise Conflict("This Idempotency-Key was used for another request. Use a new key for a new request.")
        return found.value.result

    def once(self, attempt: Callable[[], T], *, what: str) -> T:
        """What `attempt` returns, which looks for an earlier result and adds `writes` to its own; again when beaten.

        A refusal may come of what a call with the same key did between two reads: then its result is looked for once
        more.
        """
        try:
            return until_unbeaten(attempt, what=what)
        except Conflict:
            if self._id is None or self._claims.find(self._id) is None:
                raise
            return until_unbeaten(attempt, what=what)

    def writes(self, result: str) -> list[Put]:
        """The write that claims the key, to be added to the change's own."""
        if self._id is None:
            return []
        claim = Claim(id=self._id, fingerprint=self._fingerprint, result=result)
        expires = int((self._clock() + _KEPT).timestamp())
        return [self._claims.to_put(Stored(claim, 0), expires_at=expires)]


class Idempotency:
    def __init__(self, records: RecordStore, clock: Clock) -> None:
        self._clock = clock
        self._claims = Collection(
            records, "idempotency", Claim, what="idempotency key", key=lambda claim: claim.id, places=lambda _: {}
        )

    def call(self, by: Principal, action: str, key: str | None, request: str) -> IdempotentCall:
        """`request`: the request's content as text; a repeat must have the same."""
        claim_id = _digest(f"{by.name}\n{action}\n{key}") if key else None
        return IdempotentCall(self._claims, self._clock, claim_id, _digest(request))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
