"""Numbers without gaps: the number is taken in the same write that creates what it numbers."""

from mlops_api.domain.errors import NotFound
from mlops_api.ports import Put, Record, RecordStore


class Sequences:
    """One counter per name, as records of `kind`."""

    def __init__(self, records: RecordStore, kind: str) -> None:
        self._records = records
        self._kind = kind

    def next(self, name: str) -> tuple[int, Put]:
        """The next number (from 1) and the write that takes it; the write fails when another took it first."""
        try:
            record = self._records.get(self._kind, name)
        except NotFound:
            record = Record(self._kind, name, {"last": 0})
        number = int(record.data["last"]) + 1
        return number, Put(Record(self._kind, name, {"last": number}, revision=record.revision))
