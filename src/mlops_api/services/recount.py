"""Making good the dashboard's figures and cards: for data that was written before they were kept, and for the case
that anything else than this platform has changed the records.

What is missing in the figures is the same at every moment, whatever is written meanwhile, because writes keep their own
part right. So the difference between a recount and the sums is simply added. It is taken only from a recount during
which nothing was counted; and, since an index may be behind, only when the next recount finds the same. The first one
of all is taken at once: its figures are better than none.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, Field

from mlops_api.domain.errors import AlreadyExists, RevisionMismatch
from mlops_api.domain.times import Clock, parse_rfc3339, rfc3339
from mlops_api.ports import Check, Delete, Overwrite, Place, Record, RecordStore
from mlops_api.services.batch import transform_collection
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.dataset_records import dataset_collection
from mlops_api.services.endpoint_records import endpoint_collection
from mlops_api.services.ledger import (
    ATTENTION,
    CARDS,
    FIGURES,
    FIRST,
    NOW,
    additions,
    card_record,
    every_figure,
)
from mlops_api.services.model_records import ModelResolver, with_scores
from mlops_api.services.pipeline_records import execution_collection
from mlops_api.services.tally import Card, total
from mlops_api.services.training_records import job_collection

RECOUNT = "recount"
_AGAIN_AFTER = timedelta(days=1)
_DAYS_KEPT = 40
_ATTEMPTS = 3


class LastRecount(BaseModel):
    """`sure`: nothing was missing then. `missing`: what was, to be believed when it is found again."""

    at: str
    sure: bool
    missing: dict[str, int] = Field(default_factory=dict)


class Recount:
    def __init__(self, records: RecordStore, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._resolver = ModelResolver(records)
        self._collections: list[Collection[Any]] = [
            dataset_collection(records),
            execution_collection(records),
            job_collection(records),
            self._resolver.versions,
            self._resolver.models,
            endpoint_collection(records),
            transform_collection(records),
        ]
        self._last = Collection(
            records,
            RECOUNT,
            LastRecount,
            what="recount",
            key=lambda _: RECOUNT,
            places=lambda _: {"all": Place(NOW, FIRST)},
        )

    def reconcile(self) -> None:
        """Recount and mend, when the last time was long ago or found something missing."""
        last = self._last.find(RECOUNT)
        if last is not None and last.value.sure and self._is_recent(last.value):
            return
        self._score_champions()
        self._mend_cards()
        self._mend_figures(last)

    def missing(self) -> dict[str, int] | None:
        """What the figures lack, by figure; empty: they are right. None: something was counted meanwhile."""
        before = self._figures()
        counted = self._counted()
        after = self._figures()
        if [(each.key, each.revision) for each in before] != [(each.key, each.revision) for each in after]:
            return None
        oldest = self._oldest_day()
        lacking = total(counted, every_figure(before), sign=-1)
        return {name: number for name, number in lacking.items() if _day(name) is None or (_day(name) or "") >= oldest}

    def wrong_cards(self) -> list[str]:
        """Keys of cards that are missing, out of date or of nothing."""
        stood = self._cards()
        wanted = {key: card_record(key, card) for key, _, card in self._wanted_cards()}
        out_of_date = [key for key, card in wanted.items() if not _shows(stood.get(key), card)]
        return out_of_date + [key for key in stood if key not in wanted]

    # ---- figures

    def _mend_figures(self, last: Stored[LastRecount] | None) -> None:
        missing = next((found for found in self._looks() if found is not None), None)
        if missing is None:
            return  # too much is going on; another time
        believed = last is None or missing == last.value.missing
        found = LastRecount(
            at=rfc3339(self._clock()), sure=not missing, missing={} if believed or not missing else missing
        )
        put = self._last.to_put(Stored(found, last.revision if last else 0))
        try:
            self._records.write([put, *(additions(missing) if believed else [])])
        except (AlreadyExists, RevisionMismatch):
            return  # somebody else recounts
        self._drop_old_days()

    def _looks(self) -> Iterator[dict[str, int] | None]:
        return (self.missing() for _ in range(_ATTEMPTS))

    def _figures(self) -> list[Record]:
        return [record for record in self._now() if record.kind == FIGURES]

    def _counted(self) -> dict[str, int]:
        sums: dict[str, int] = {}
        for collection in self._collections:
            for stored in self._every(collection):
                sums = total(sums, collection.tally.counts(stored.value) if collection.tally else {})
        return sums

    def _drop_old_days(self) -> None:
        oldest = (self._clock() - timedelta(days=_DAYS_KEPT)).date().isoformat()
        for record in self._figures():
            day = record.key.partition("/")[0]
            if day[:1].isdigit() and day < oldest:
                self._records.delete(FIGURES, record.key)

    def _oldest_day(self) -> str:
        """Days before it may be dropped already."""
        return (self._clock() - timedelta(days=_DAYS_KEPT - 1)).date().isoformat()

    # ---- cards

    def _mend_cards(self) -> None:
        stood = self._cards()
        wanted = set()
        for key, owner, card in self._wanted_cards():
            wanted.add(key)
            record = card_record(key, card)
            if not _shows(stood.get(key), record):
                self._write_card(owner, record)
        for key in stood.keys() - wanted:
            self._drop_card(key)

    def _write_card(self, owner: Check, card: Record) -> None:
        try:
            self._records.write([owner, Overwrite(card)])
        except RevisionMismatch:
            return  # it has changed, and its card with it

    def _drop_card(self, key: str) -> None:
        """Unless its record says that it is right after all: an index may be behind."""
        kind, _, name = key.partition("/")
        owner = next(each for each in self._collections if each.kind == kind)
        found = owner.find(name)
        if found is not None and owner.tally is not None and owner.tally.card(found.value) is not None:
            return
        try:
            self._records.write([Check(kind, name, found.revision if found else 0), Delete(CARDS, key)])
        except RevisionMismatch:
            return  # it has changed, and its card with it

    def _wanted_cards(self) -> Iterator[tuple[str, Check, Card]]:
        """(key, that its record is unchanged, the card)."""
        for collection in self._collections:
            for stored in self._every(collection):
                card = collection.tally.card(stored.value) if collection.tally else None
                if card is not None and not self._is_over(card):
                    key = collection.key_of(stored.value)
                    yield f"{collection.kind}/{key}", Check(collection.kind, key, stored.revision), card

    def _is_over(self, card: Card) -> bool:
        return card.days is not None and card.sort < rfc3339(self._clock() - timedelta(days=card.days))

    def _cards(self) -> dict[str, Record]:
        return {record.key: record for record in (*self._now(), *self._all(ATTENTION)) if record.kind == CARDS}

    # ---- champions of earlier versions

    def _score_champions(self) -> None:
        """Models that were crowned before their records kept what their champions reached."""
        for stored in self._resolver.models.every_stored("all", "model"):
            scored = with_scores(stored.value, self._resolver.versions)
            if scored != stored.value:
                try:
                    self._resolver.models.save(stored.with_value(scored))
                except RevisionMismatch:
                    continue  # crowned meanwhile

    # ---- reading

    def _every(self, collection: Collection[Any]) -> Iterator[Stored[Any]]:
        return collection.every_stored("all", collection.kind)

    def _now(self) -> list[Record]:
        return list(self._all(NOW))

    def _all(self, partition: str) -> Iterator[Record]:
        token: str | None = None
        while True:
            page = self._records.query("all", partition, limit=1000, token=token)
            yield from page.records
            token = page.next_token
            if token is None:
                return

    def _is_recent(self, last: LastRecount) -> bool:
        moment: datetime = parse_rfc3339(last.at)
        return self._clock() - moment < _AGAIN_AFTER


def _day(name: str) -> str | None:
    return name.partition("@")[2] or None


def _shows(stood: Record | None, wanted: Record) -> bool:
    return stood is not None and (stood.data, stood.indexes) == (wanted.data, wanted.indexes)
