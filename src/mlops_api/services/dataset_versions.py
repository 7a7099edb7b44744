"""Which dataset version a reference means, and the record of each name that `latest` is decided on.

The record of a name takes part in every write that numbers a version, finds it Ready or removes it: so `latest` is
the newest Ready version that any finished write has left, not what an index shows by now.
"""

from collections.abc import Iterator

from pydantic import BaseModel

from mlops_api.domain.errors import NotFound
from mlops_api.domain.names import VersionRef, version_id
from mlops_api.ports import Put, RecordName, RecordStore
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.dataset_records import DATASETS, StoredDataset, dataset_collection
from mlops_api.services.found import Found

LATEST = "latest"
_KEPT = 1000


class DatasetName(BaseModel):
    """`ready`: numbers of Ready versions, oldest first, the newest thousand; None: not known, see the index."""

    name: str = ""
    last: int = 0
    ready: list[int] | None = None


class DatasetNames:
    def __init__(self, records: RecordStore) -> None:
        self._records = records
        self._datasets = dataset_collection(records)
        self._names = Collection(
            records, "dataset-name", DatasetName, what="dataset", key=lambda value: value.name, places=lambda _: {}
        )

    def name_of(self, name: str) -> RecordName:
        return self._names.name_of(name)

    def of(self, read: Found, name: str) -> Stored[DatasetName]:
        """Of a name that no version has yet, too."""
        found = read.find(self._names, name) or Stored(DatasetName(ready=[]), 0)
        return found.with_value(found.value.model_copy(update={"name": name}))

    def next(self, name: str) -> tuple[int, Put]:
        """The next number (from 1) and the write that takes it; the write fails when another took it first."""
        return self.taking(self.of(Found.read(self._records, [self.name_of(name)]), name))

    def taking(self, stored: Stored[DatasetName]) -> tuple[int, Put]:
        number = stored.value.last + 1
        return number, self._names.to_put(stored.with_value(stored.value.model_copy(update={"last": number})))

    def with_ready(self, stored: Stored[DatasetName], number: int) -> Put:
        """The write that goes with the one that finds a version Ready."""
        before = stored.value.ready if stored.value.ready is not None else list(self._ready(stored.value.name))
        kept = sorted({*before, number})[-_KEPT:]
        return self._names.to_put(stored.with_value(stored.value.model_copy(update={"ready": kept})))

    def without(self, stored: Stored[DatasetName], number: int) -> list[Put]:
        """The write that goes with a version's removal."""
        before = stored.value.ready
        if before is None or number not in before:
            return []
        left = [each for each in before if each != number]
        known = left if left or len(before) < _KEPT else None
        return [self._names.to_put(stored.with_value(stored.value.model_copy(update={"ready": known})))]

    def latest(self, stored: Stored[DatasetName]) -> int:
        """Raises NotFound when no version is Ready."""
        name, ready = stored.value.name, stored.value.ready
        numbers = ready[-1:] if ready is not None else [max(self._ready(name), default=0)]
        if not any(numbers):
            raise NotFound(f"No version of dataset {name!r} is Ready. Upload one: mlops data upload FILE --name {name}")
        return numbers[0]

    def ready_before(self, name: str, number: int) -> int | None:
        """The newest Ready version before a number; None when there is none."""
        ready = self.of(Found.read(self._records, [self.name_of(name)]), name).value.ready
        return max((each for each in (self._ready(name) if ready is None else ready) if each < number), default=None)

    def _ready(self, name: str) -> Iterator[int]:
        versions = self._datasets.every("group", f"{DATASETS}/{name}")
        return (value.number for value in versions if value.status == "Ready")


class DatasetResolver:
    """From a reference to the version it means, in one read or, for `latest`, two."""

    def __init__(self, records: RecordStore) -> None:
        self._records = records
        self.versions = dataset_collection(records)
        self.names = DatasetNames(records)

    def first(self, reference: VersionRef) -> RecordName:
        """What has to be read first."""
        if reference.alias == LATEST:
            return self.names.name_of(reference.name)
        return self.versions.name_of(_id(reference))

    def target(self, read: Found, reference: VersionRef) -> RecordName:
        """The version's own record. Raises NotFound when there is no latest. `read`: among others, `first`."""
        return self.versions.name_of(self._meant(read, reference))

    def version_in(self, read: Found, reference: VersionRef) -> Stored[StoredDataset]:
        """Raises NotFound. `read`: among others, `first` and `target`."""
        return read.get(self.versions, self._meant(read, reference))

    def version(self, reference: VersionRef) -> Stored[StoredDataset]:
        """Raises NotFound."""
        read = Found.read(self._records, [self.first(reference)])
        return self.version_in(read.and_also([self.target(read, reference)]), reference)

    def _meant(self, read: Found, reference: VersionRef) -> str:
        if reference.alias == LATEST:
            return version_id(reference.name, self.names.latest(self.names.of(read, reference.name)))
        return _id(reference)


def _id(reference: VersionRef) -> str:
    return f"{reference.name}:{reference.number or reference.alias}"
