"""Making good what crashes left undone: one broken item must not keep the others waiting."""

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from mlops_api.domain.errors import PlatformError

T = TypeVar("T")

_LOG = logging.getLogger(__name__)


def begin(action: Callable[[], T], subject: str) -> T | None:
    """Act on what is recorded already; None when that failed, which is not the caller's fault: the record stands, and
    reconcile tries again."""
    try:
        return action()
    except PlatformError as error:
        _LOG.warning("%s is recorded but could not be begun; it will be tried again: %s", subject, error.detail)
        return None


def each(items: Iterable[T], action: Callable[[T], object]) -> None:
    """Do it for every item, then raise an ExceptionGroup of what some of them raised, if any."""
    errors: list[Exception] = []
    for item in items:
        try:
            action(item)
        except Exception as error:  # noqa: BLE001 - kept and raised below, once every item had its turn
            errors.append(error)
    if errors:
        raise ExceptionGroup("some could not be repaired; the next run tries again", errors)
