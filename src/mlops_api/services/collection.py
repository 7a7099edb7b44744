"""One kind of record, typed: what services use instead of raw Records."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import BaseModel

from mlops_api.domain.errors import NotFound
from mlops_api.ports import Count, Delete, Index, Place, Put, Record, RecordName, RecordStore
from mlops_api.services.tally import Tally, counted_delete, counted_put

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Stored(Generic[M]):
    """A value and the revision it was read at (0: not stored yet). `before`: the value that stands there."""

    value: M
    revision: int
    before: M | None = None

    def with_value(self, value: M) -> "Stored[M]":
        return Stored(value, self.revision, self.before)

    def written(self) -> "Stored[M]":
        """As it stands once the write that stores it has returned."""
        return Stored(self.value, self.revision + 1, self.value)


@dataclass(frozen=True)
class ValuePage(Generic[M]):
    values: Sequence[M]
    next_token: str | None


class Collection(Generic[M]):
    """`what` names a thing in messages; `places` says where a value stands in the indexes; `tally` what it counts."""

    def __init__(
        self,
        records: RecordStore,
        kind: str,
        model: type[M],
        *,
        what: str,
        key: Callable[[M], str],
        places: Callable[[M], Mapping[Index, Place]],
        tally: Tally[M] | None = None,
    ) -> None:
        self._records = records
        self.kind = kind
        self._model = model
        self._what = what
        self._key = key
        self._places = places
        self.tally = tally

    def get(self, key: str) -> Stored[M]:
        """Raises NotFound saying what is missing."""
        found = self.find(key)
        if found is None:
            raise self.missing(key)
        return found

    def find(self, key: str) -> Stored[M] | None:
        try:
            return self.read(self._records.get(self.kind, key))
        except NotFound:
            return None

    def name_of(self, key: str) -> RecordName:
        """For reading records of several kinds at once (found.Found)."""
        return self.kind, key

    def key_of(self, value: M) -> str:
        return self._key(value)

    def missing(self, key: str) -> NotFound:
        return NotFound(f"There is no {self._what} {key!r}.")

    def find_many(self, keys: Sequence[str]) -> dict[str, M]:
        """Those that exist, by key; any number of keys."""
        return {key: stored.value for key, stored in self.find_stored(keys).items()}

    def find_stored(self, keys: Sequence[str]) -> dict[str, Stored[M]]:
        """As find_many, with their revisions."""
        found: dict[str, Stored[M]] = {}
        unique = list(dict.fromkeys(keys))
        for start in range(0, len(unique), 100):
            batch = self._records.get_many([(self.kind, key) for key in unique[start : start + 100]])
            found |= {key: self.read(record) for (_, key), record in batch.items()}
        return found

    def to_put(self, stored: Stored[M], *, expires_at: int | None = None) -> Put:
        """The write that stores this value, on condition that the record still is as it was read."""
        record = Record(
            kind=self.kind,
            key=self._key(stored.value),
            data=stored.value.model_dump(mode="json"),
            indexes=self._places(stored.value),
            revision=stored.revision,
            expires_at=expires_at,
        )
        return Put(record) if self.tally is None else counted_put(self.tally, record, stored.before, stored.value)

    def save(self, stored: Stored[M]) -> Stored[M]:
        self._records.write([self.to_put(stored)])
        return stored.written()

    def to_delete(self, stored: Stored[M]) -> Delete:
        """The write that removes this value, on condition that the record still is as it was read."""
        delete = Delete(self.kind, self._key(stored.value), stored.revision)
        return delete if self.tally is None else counted_delete(self.tally, delete, stored.before or stored.value)

    def page(
        self,
        index: Index,
        partition: str,
        *,
        descending: bool = True,
        limit: int = 100,
        token: str | None = None,
        after: str | None = None,
    ) -> ValuePage[M]:
        page = self._records.query(index, partition, descending=descending, limit=limit, token=token, after=after)
        return ValuePage([self.read(record).value for record in page.records], page.next_token)

    def every(self, index: Index, partition: str) -> Iterator[M]:
        """All of them, oldest first, page by page."""
        return (stored.value for stored in self.every_stored(index, partition))

    def every_stored(self, index: Index, partition: str) -> Iterator[Stored[M]]:
        """As every, with the revisions that the index shows, which may be behind."""
        token: str | None = None
        while True:
            page = self._records.query(index, partition, limit=200, token=token)
            yield from map(self.read, page.records)
            token = page.next_token
            if token is None:
                return

    def count(self, index: Index, partition: str) -> Count:
        return self._records.count(index, partition)

    def read(self, record: Record) -> Stored[M]:
        value = self._model.model_validate(record.data)
        return Stored(value, record.revision, value)
