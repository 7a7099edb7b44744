"""The record store as services see it: what a write changes of the dashboard's figures goes with it.

Figures are kept in a few records of sums that are added to, never replaced, so writers do not wait for one another; a
write takes one of them at random, and readers add them up. Cards are entries of a record of their own.

    figures   `sums/0` ... `sums/7`, and for each day `2026-11-25/0`, `2026-11-25/1`
    card      `{kind}/{key}` of the record it shows
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from mlops_api.domain.times import parse_rfc3339
from mlops_api.ports import (
    Add,
    Count,
    Delete,
    Index,
    Overwrite,
    Place,
    Put,
    Record,
    RecordName,
    RecordPage,
    RecordStore,
    Write,
)
from mlops_api.services.tally import COUNTED_KINDS, Card, Counted, CountedDelete, CountedPut, Counts, total

FIGURES = "figures"
CARDS = "card"
NOW = "dashboard/now"
ATTENTION = "dashboard/attention"
FIRST = "0"
"""Sorts before every section of cards."""

SHARDS = 8
DAY_SHARDS = 2
_SUMS = "sums"


class Ledger:
    """As ports.RecordStore promises. Raises TypeError for a write that changes a tallied record and does not say what
    it counts."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def get(self, kind: str, key: str) -> Record:
        return self._store.get(kind, key)

    def get_many(self, names: Sequence[RecordName]) -> Mapping[RecordName, Record]:
        return self._store.get_many(names)

    def put(self, record: Record) -> Record:
        self.write([Put(record)])
        return replace(record, revision=record.revision + 1)

    def delete(self, kind: str, key: str, revision: int | None = None) -> None:
        self.write([Delete(kind, key, revision)])

    def write(self, writes: Sequence[Write]) -> None:
        counted = [write for write in writes if isinstance(write, CountedPut | CountedDelete)]
        for write in writes:
            _check_counted(write)
        cards = [note for write in counted for note in card_writes(write.name, write.cards)]
        self._store.write([*writes, *additions(_sum(counted)), *cards])

    def query(
        self,
        index: Index,
        partition: str,
        *,
        descending: bool = False,
        limit: int = 100,
        token: str | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> RecordPage:
        return self._store.query(
            index, partition, descending=descending, limit=limit, token=token, after=after, before=before
        )

    def count(self, index: Index, partition: str, *, cap: int = 10_000) -> Count:
        return self._store.count(index, partition, cap=cap)

    def ready(self) -> None:
        self._store.ready()


def additions(counts: Counts) -> list[Add]:
    """The writes that add these to the figures."""
    groups: dict[str, dict[str, int]] = {}
    for figure, number in counts.items():
        name, _, day = figure.partition("@")
        groups.setdefault(day or _SUMS, {})[name] = number
    return [_addition(group, numbers) for group, numbers in groups.items()]


def figures_in(record: Record) -> dict[str, int]:
    """What a record of sums holds, by the names that counts have."""
    group = record.key.partition("/")[0]
    suffix = "" if group == _SUMS else f"@{group}"
    return {f"{name}{suffix}": int(number) for name, number in record.data.items()}


def every_figure(records: Iterable[Record]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for record in records:
        sums = total(sums, figures_in(record))
    return sums


def card_writes(owner: RecordName, cards: tuple[Card | None, Card | None]) -> list[Write]:
    """What turns the first card into the second."""
    before, after = cards
    if before == after:
        return []
    key = "/".join(owner)
    return [Delete(CARDS, key)] if after is None else [Overwrite(card_record(key, after))]


def card_record(key: str, card: Card) -> Record:
    ends = parse_rfc3339(card.sort) + timedelta(days=card.days) if card.days is not None else None
    place = Place(NOW if card.side == "now" else ATTENTION, card.sort)
    return Record(CARDS, key, card.data, {"all": place}, expires_at=int(ends.timestamp()) if ends else None)


def _addition(group: str, numbers: Mapping[str, int]) -> Add:
    shard = secrets.randbelow(SHARDS if group == _SUMS else DAY_SHARDS)
    return Add(FIGURES, f"{group}/{shard}", numbers, {"all": Place(NOW, FIRST)})


def _sum(counted: Iterable[Counted]) -> Counts:
    sums: Counts = {}
    for write in counted:
        sums = total(sums, write.counts)
    return sums


def _check_counted(write: Write) -> None:
    subject = write.record if isinstance(write, Put | Overwrite) else write
    changes = isinstance(write, Put | Overwrite | Add | Delete) and subject.kind in COUNTED_KINDS
    if changes and not isinstance(write, CountedPut | CountedDelete):
        raise TypeError(f"a write of {subject.kind} {subject.key} does not say what it counts")
