"""Making good what crashes left undone: one broken item must not keep the others waiting."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


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
