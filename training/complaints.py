"""What is wrong with a request or a table, by row and column, and the errors that carry it.

    RequestError
    ├── MalformedBody    400   the body is not what its content type says
    ├── TooManyRows      413
    ├── TooLarge         413
    ├── UnsupportedType  415
    └── BadRows          422   carries the complaints

Readers report into a `Sink`, so the same rules serve a request (the first complaints are kept, all are
counted) and batch scoring (every row keeps its own errors).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

KEPT = 100
_SHOWN = 60

Message = str | Callable[[], str]


class Complaint(NamedTuple):
    """`row` counts from 0; None: the whole table. `column` None: the whole row."""

    row: int | None
    column: str | None
    message: str


class RequestError(Exception):
    """Base of what reading a request raises; the text tells the caller what to do."""

    status = 400


class MalformedBody(RequestError):
    """The body is not what its content type says."""


class TooManyRows(RequestError):
    """More rows than one request may hold."""

    status = 413


class TooLarge(RequestError):
    """More bytes, once decompressed, than one request may hold."""

    status = 413


class UnsupportedType(RequestError):
    """No reader for this content type."""

    status = 415


class BadRows(RequestError):
    """`complaints` holds the first ones in row order, `total` counts all."""

    status = 422

    def __init__(self, complaints: Sequence[Complaint], total: int) -> None:
        first = complaints[0]
        place = "" if first.row is None else f"row {first.row}: "
        column = "" if first.column is None else f"column {shown(first.column)}: "
        more = "" if total == 1 else f" (and {total - 1} more)"
        super().__init__(f"{place}{column}{first.message}{more}")
        self.complaints = tuple(complaints)
        self.total = total


class Sink(Protocol):
    """Takes complaints as they are found."""

    def add(self, row: int | None, column: str | None, message: Message, *values: object) -> None:
        """Report a complaint; each `{}` in `message` shows one of `values`. A callable is asked only if it is kept."""

    def discard(self, row: int, message: str, *values: object) -> None:
        """Report that a row has the wrong shape; later complaints about its cells are left out."""


def shown(value: object) -> str:
    """Return a short JSON text of a value, without line breaks, fit for a message."""
    if isinstance(value, str):
        text = json.dumps(value[:_SHOWN], ensure_ascii=False)
        return text if len(value) <= _SHOWN else f'{text[:-1]}..."'
    for kind, name in ((dict, "an object"), (list, "a list")):
        if isinstance(value, kind):
            return name
    return json.dumps(value, default=str)[:_SHOWN]


def _filled(message: Message, values: Sequence[object]) -> str:
    if callable(message):
        return message()
    return message.format(*map(shown, values)) if values else message


class Complaints:
    """Sink of one request: keeps the first `KEPT` complaints in row order, counts all of them.

    A column keeps at most `KEPT`, so that a body of bad cells costs no memory to speak of.
    """

    def __init__(self, order: Mapping[str, int]) -> None:
        """`order` gives the place of each known column."""
        self.total = 0
        self._order = order
        self._kept: dict[str | None, list[Complaint]] = {}
        self._discarded: set[int] = set()

    def add(self, row: int | None, column: str | None, message: Message, *values: object) -> None:
        """See Sink."""
        if row is not None and row in self._discarded:
            return
        self.total += 1
        kept = self._kept.setdefault(column if column in self._order else None, [])
        if len(kept) < KEPT:
            kept.append(Complaint(row, column, _filled(message, values)))

    def discard(self, row: int, message: str, *values: object) -> None:
        """See Sink."""
        self.add(row, None, message, *values)
        self._discarded.add(row)

    def raise_if_any(self) -> None:
        """Raises BadRows when anything was reported."""
        if self.total:
            raise BadRows(self._sorted()[:KEPT], self.total)

    def _sorted(self) -> list[Complaint]:
        def place(complaint: Complaint) -> tuple[int, int]:
            column = self._order.get(complaint.column or "", -1)
            return (-1 if complaint.row is None else complaint.row, column)

        return sorted((each for kept in self._kept.values() for each in kept), key=place)


class RowErrors:
    """Sink of batch scoring: `errors[row]` is the text of all that is wrong with a row.

    A complaint about the whole table is raised at once: no row can be scored then.
    """

    def __init__(self) -> None:
        self.errors: dict[int, str] = {}
        self._discarded: set[int] = set()

    def add(self, row: int | None, column: str | None, message: Message, *values: object) -> None:
        """See Sink. Raises BadRows for a complaint about the whole table."""
        text = _filled(message, values)
        if row is None:
            raise BadRows([Complaint(None, column, text)], 1)
        if row in self._discarded:
            return
        own = text if column is None else f"{column}: {text}"
        before = self.errors.get(row)
        self.errors[row] = own if before is None else f"{before}; {own}"

    def discard(self, row: int, message: str, *values: object) -> None:
        """See Sink."""
        self.add(row, None, message, *values)
        self._discarded.add(row)
