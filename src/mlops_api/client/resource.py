"""Each method is written once, as a flow; the descriptors here make it blocking or awaitable.

    class Datasets(Resource[M]):
        @operation
        def get(self, version: str) -> Flow[DatasetVersion]: ...

`MLOps().datasets.get("flights:1")` is a DatasetVersion; `await AsyncMLOps().datasets.get("flights:1")` too, and
a type checker knows both.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from mlops_api.client.drivers import Awaiting, Blocking
from mlops_api.client.effects import Flow, Items

M = TypeVar("M", bound=Blocking | Awaiting)
P = ParamSpec("P")
T = TypeVar("T")


class Resource(Generic[M]):
    def __init__(self, driver: M) -> None:
        self._driver = driver


class operation(Generic[P, T]):  # noqa: N801 - used as a decorator, like property
    """A method that answers with one value."""

    def __init__(self, make: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        self.__doc__ = make.__doc__
        self._make = make

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Resource[Blocking], owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, instance: Resource[Awaiting], owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else instance._driver.bound(MethodType(self._make, instance))


class listing(Generic[P, T]):  # noqa: N801 - used as a decorator, like property
    """A method that the caller iterates."""

    def __init__(self, make: Callable[Concatenate[Any, P], Items[T]]) -> None:
        self.__doc__ = make.__doc__
        self._make = make

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Resource[Blocking], owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, instance: Resource[Awaiting], owner: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else instance._driver.bound_items(MethodType(self._make, instance))
