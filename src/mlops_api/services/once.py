"""A member that is made at the first look at it."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class once(Generic[T]):  # noqa: N801 - used as a decorator, as property is
    """As functools.cached_property, and once also when threads look at the same time. Its class has a `_making`: a
    reentrant lock of the object, because what is made may look at other members."""

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, owner: Any, kind: type[Any]) -> T:
        members: dict[str, T] = vars(owner)
        with owner._making:
            if self._name not in members:
                members[self._name] = self._make(owner)
        return members[self._name]
