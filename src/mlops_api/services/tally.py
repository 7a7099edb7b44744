"""What a record adds to the dashboard's figures, and the card it shows there.

A Tally is a function of the record alone. A write that changes a tallied record carries what it takes back and what it
adds; the ledger puts that into the same all-or-nothing write. So the figures are a recount of the records at every
moment, however writes race and wherever a process dies.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from mlops_api.ports import Delete, Put, Record, RecordName

M = TypeVar("M")

COUNTED_KINDS = frozenset(
    {"dataset", "pipeline-execution", "training-job", "model", "model-version", "endpoint", "transform-job"}
)
"""Only CountedPut and CountedDelete change these."""

LONGEST_MESSAGE = 300

Side = Literal["now", "attention"]


@dataclass(frozen=True)
class Card:
    """What the dashboard shows of a record: small, because hundreds are read at once.

    `now`: cards by `section` and `sort`, there as long as the record says so. `attention`: by `sort`, a time, for
    `days` from then (None: as long as the record says so).
    """

    side: Side
    sort: str
    data: Mapping[str, Any]
    days: int | None = None


def attention(kind: str, id_: str, message: str, at: str, path: str, *, days: int | None = None) -> Card:
    """Something that a person has to look at."""
    shown = {"kind": kind, "id": id_, "message": message[:LONGEST_MESSAGE], "at": at, "path": path}
    return Card("attention", at, shown, days)


Counts = Mapping[str, int]
"""By figure: `name`, or `name@2026-11-25` for one that is kept by day."""


def nothing(_: object) -> None:
    return None


@dataclass(frozen=True)
class Tally(Generic[M]):
    counts: Callable[[M], Counts]
    card: Callable[[M], Card | None] = nothing


@dataclass(frozen=True)
class CountedPut(Put):
    counts: Counts = field(default_factory=dict)
    cards: tuple[Card | None, Card | None] = (None, None)
    """Before and after."""

    @property
    def name(self) -> RecordName:
        return self.record.kind, self.record.key


@dataclass(frozen=True)
class CountedDelete(Delete):
    counts: Counts = field(default_factory=dict)
    cards: tuple[Card | None, Card | None] = (None, None)

    @property
    def name(self) -> RecordName:
        return self.kind, self.key


Counted = CountedPut | CountedDelete


def counted_put(tally: Tally[M], record: Record, before: M | None, after: M) -> CountedPut:
    if record.revision and before is None:
        raise TypeError(f"{record.kind} {record.key} is replaced without having been read: it cannot be counted")
    return CountedPut(record, counts=_change(tally, before, after), cards=_cards(tally, before, after))


def counted_delete(tally: Tally[M], delete: Delete, before: M) -> CountedDelete:
    return CountedDelete(
        delete.kind,
        delete.key,
        delete.revision,
        counts=_change(tally, before, None),
        cards=_cards(tally, before, None),
    )


def total(counts: Counts, more: Counts, *, sign: int = 1) -> dict[str, int]:
    """`counts` and, `sign` times, `more`; zeros left out."""
    sums = Counter(counts)
    for name, number in more.items():
        sums[name] += sign * number
    return {name: number for name, number in sums.items() if number}


def _change(tally: Tally[M], before: M | None, after: M | None) -> Counts:
    added = tally.counts(after) if after is not None else {}
    return total(added, tally.counts(before) if before is not None else {}, sign=-1)


def _cards(tally: Tally[M], before: M | None, after: M | None) -> tuple[Card | None, Card | None]:
    return (
        tally.card(before) if before is not None else None,
        tally.card(after) if after is not None else None,
    )
