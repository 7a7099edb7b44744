"""Writes that another writer may beat: look again, and try again."""

import secrets
import time
from collections.abc import Callable
from typing import TypeVar

from mlops_api.domain.errors import AlreadyExists, RevisionMismatch, Unavailable

T = TypeVar("T")

_ATTEMPTS = 25
_FIRST_PAUSE = 0.002
_LONGEST_PAUSE = 0.2
_RANDOM = secrets.SystemRandom()


def until_unbeaten(attempt: Callable[[], T], *, what: str) -> T:
    """Call `attempt`, which reads what it needs afresh, until its write is not beaten by another's.

    The pauses are random and grow, so that many writers on one record take turns. Raises Unavailable when it was
    beaten every time (about 3 s).
    """
    for number in range(_ATTEMPTS):
        try:
            return attempt()
        except (AlreadyExists, RevisionMismatch):
            time.sleep(_RANDOM.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**number)))
    raise Unavailable(f"Too many changes at once to {what}. Try again.")
