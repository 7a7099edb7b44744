"""Each method is written once, as a flow; the descriptors here make it blocking or awaitable.

    class Datasets(Resource[M]):
        @operation
        def get(self, version: str) -> Flow[DatasetVersion]: ...

`MLOps().datasets.get("flights:1")` is a DatasetVersion; `await AsyncMLOps().datasets.get("flights:1")` too, and
a type checker knows both.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import cached_property
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, get_args, get_origin, overload

from mlops_api.client.drivers import Awaiting, Blocking
from mlops_api.client.effects import Flow, Item, Items

M = TypeVar("M", bound=Blocking | Awaiting)
P = ParamSpec("P")
T = TypeVar("T")


class Resource(Generic[M]):
    def __init__(self, driver: M) -> None:
        self._driver = driver


def _documented(descriptor: Any, make: Callable[..., Any]) -> None:
    """Let help() and editors take the descriptor for the method it stands for."""
    for name in ("__doc__", "__name__", "__qualname__", "__module__"):
        setattr(descriptor, name, getattr(make, name))


def _answering(make: Callable[..., Any], answer: Any) -> inspect.Signature:
    """The signature without the generator, which is no caller's business."""
    return inspect.signature(make).replace(return_annotation=answer)


def _signed(call: Any, signature: inspect.Signature) -> Any:
    _, *parameters = signature.parameters.values()
    call.__signature__ = signature.replace(parameters=parameters)
    return call


class operation(Generic[P, T]):  # noqa: N801 - used as a decorator, like property
    """A method that answers with one value."""

    def __init__(self, make: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        _documented(self, make)
        self._make = make

    @cached_property
    def __signature__(self) -> inspect.Signature:
        return _answering(self._make, get_args(self._make.__annotations__["return"])[2])

    def __call__(self, instance: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
        """As any function of a class: `Datasets.get(client.datasets, "flights:1")`."""
        return self.__get__(instance, type(instance))(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Resource[Blocking], owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, instance: Resource[Awaiting], owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        return _signed(instance._driver.bound(MethodType(self._make, instance)), self.__signature__)


class listing(Generic[P, T]):  # noqa: N801 - used as a decorator, like property
    """A method that the caller iterates."""

    def __init__(self, make: Callable[Concatenate[Any, P], Items[T]]) -> None:
        _documented(self, make)
        self._make = make

    @cached_property
    def __signature__(self) -> inspect.Signature:
        return _answering(self._make, Iterator[self._item])  # type: ignore[name-defined]  # a type known when run

    @cached_property
    def _item(self) -> Any:
        effects, _, _ = get_args(self._make.__annotations__["return"])
        return next(get_args(one)[0] for one in get_args(effects) if get_origin(one) is Item)

    def __call__(self, instance: Any, *args: P.args, **kwargs: P.kwargs) -> Any:
        """As any function of a class."""
        return self.__get__(instance, type(instance))(*args, **kwargs)

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Resource[Blocking], owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, instance: Resource[Awaiting], owner: type) -> Callable[P, AsyncIterator[T]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        awaiting = isinstance(instance._driver, Awaiting)
        signature = self.__signature__
        if awaiting:
            signature = signature.replace(return_annotation=AsyncIterator[self._item])  # type: ignore[name-defined]  # as above
        return _signed(instance._driver.bound_items(MethodType(self._make, instance)), signature)
