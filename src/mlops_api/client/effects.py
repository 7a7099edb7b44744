"""What a call may ask of the outside world, as data.

Every method of the client is written once, as a generator that yields these and is resumed with the
outcome. drivers.py runs the same generator with blocking or with awaiting I/O:

    Send      -> Reply     one HTTP exchange, repeated where that is safe; raises a MLOpsError for 400 and more
    Exchange  -> Reply     one HTTP exchange, exactly once
    Fetch     -> None      stream an answer's body into a sink
    Sleep     -> None
    Work      -> Any       run something that blocks, such as reading a file
    Item                   hand one value to the caller, who iterates
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """`signed`: the URL carries its own authority, so the token is not sent along."""

    method: str
    url: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    signed: bool = False
    repeatable: bool = True
    """Doing it twice is the same as doing it once, by HTTP's rules or because it has an Idempotency-Key."""


@dataclass(frozen=True)
class Reply:
    """Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Sink(Protocol):
    def restart(self) -> None: ...

    def write(self, chunk: bytes) -> None: ...


@dataclass(frozen=True)
class Send:
    request: Request


@dataclass(frozen=True)
class Exchange:
    request: Request


@dataclass(frozen=True)
class Fetch:
    url: str
    sink: Sink


@dataclass(frozen=True)
class Sleep:
    seconds: float


@dataclass(frozen=True)
class Work:
    function: Callable[[], Any]


@dataclass(frozen=True)
class Item(Generic[T]):
    value: T


Effect = Send | Exchange | Fetch | Sleep | Work
Flow = Generator[Effect, Any, T]
"""Answers with one value."""
Items = Generator[Effect | Item[T], Any, None]
"""Hands out any number of values."""
