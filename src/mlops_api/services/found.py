"""Records of several kinds, read at once: what a decision needs, in as few reads as can be."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

from pydantic import BaseModel

from mlops_api.ports import Record, RecordName, RecordStore
from mlops_api.services.collection import Collection, Stored

M = TypeVar("M", bound=BaseModel)


class Found:
    """What there is of the records that were asked for, at most 100.

    Each was current at some moment of the reading, not all at the same: a write that rests on several checks them.
    """

    def __init__(self, records: RecordStore, known: Mapping[RecordName, Record | None]) -> None:
        self._records = records
        self._known = known

    @classmethod
    def read(cls, records: RecordStore, names: Iterable[RecordName]) -> "Found":
        return cls(records, {}).and_also(names)

    def and_also(self, names: Iterable[RecordName]) -> "Found":
        """These too; those that were asked for before are not read again."""
        new = [name for name in dict.fromkeys(names) if name not in self._known]
        if not new:
            return self
        found = self._records.get_many(new)
        return Found(self._records, {**self._known, **{name: found.get(name) for name in new}})

    def find(self, collection: Collection[M], key: str) -> Stored[M] | None:
        record = self._known[collection.name_of(key)]
        return collection.read(record) if record is not None else None

    def get(self, collection: Collection[M], key: str) -> Stored[M]:
        """Raises NotFound saying what is missing."""
        found = self.find(collection, key)
        if found is None:
            raise collection.missing(key)
        return found
