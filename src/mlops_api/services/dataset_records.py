"""The record of a dataset version, and the keys of its files.

datasets/{name}/{number}/raw      the file as it came (kept when rejected, for inspection)
datasets/{name}/{number}/table/   dataset.json, profile.json, preview.json, data.parquet
"""

import re
from collections.abc import Mapping

from pydantic import BaseModel

from mlops_api.domain.datasets import DatasetSummary
from mlops_api.domain.errors import NotFound
from mlops_api.domain.names import version_id
from mlops_api.ports import Index, ObjectStore, Place, RecordStore
from mlops_api.services.collection import Collection
from mlops_api.services.tally import Card, Counts, Tally, attention
from mlops_contracts.dataset import DatasetReport

DATASETS = "dataset"
_RAW = re.compile(r"datasets/(?P<name>[^/:]+)/(?P<number>[1-9][0-9]{0,8})/raw", re.ASCII)


class Dropped(BaseModel):
    """The file of the inbox that a version was made of; `object_version`: the store's id of its content."""

    key: str
    object_version: str


class StoredDataset(DatasetSummary):
    """The record: the summary and what clients do not see. `upload_id` is empty for a dropped file."""

    upload_id: str
    dropped: Dropped | None = None

    def used_by(self, job: str) -> "StoredDataset":
        """To be written with the job: the new revision makes a deletion that did not see the job fail."""
        return self.model_copy(update={"last_used_by": job})


def raw_key(name: str, number: int) -> str:
    return f"datasets/{name}/{number}/raw"


def version_of_raw(key: str) -> str | None:
    """The version whose file has this key; None for other keys."""
    match = _RAW.fullmatch(key)
    return version_id(match["name"], int(match["number"])) if match else None


def table_prefix(name: str, number: int) -> str:
    return f"datasets/{name}/{number}/table"


def dataset_collection(records: RecordStore) -> Collection[StoredDataset]:
    def places(value: StoredDataset) -> Mapping[Index, Place]:
        return {
            "all": Place(DATASETS, value.created_at),
            "group": Place(f"{DATASETS}/{value.name}", f"{value.number:09d}"),
            "status": Place(f"{DATASETS}/{value.status}", value.created_at),
        }

    return Collection(
        records,
        "dataset",
        StoredDataset,
        what="dataset version",
        key=lambda value: value.version,
        places=places,
        tally=Tally(_counts, _card),
    )


def _counts(value: StoredDataset) -> Counts:
    return {"datasets": 1, f"datasets/{value.status}": 1, "dataset_bytes": value.size_bytes}


def _card(value: StoredDataset) -> Card | None:
    if value.status != "Rejected":
        return None
    message = value.failure_reason or f"{value.violation_count} violations"
    return attention(
        "rejected_dataset", value.version, message, value.created_at, f"/datasets/{value.version}/quality", days=7
    )


class DatasetFiles:
    """The files of a dataset version."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    def has_raw(self, dataset: StoredDataset) -> bool:
        try:
            self._objects.info(raw_key(dataset.name, dataset.number))
        except NotFound:
            return False
        return True

    def table_file(self, dataset: StoredDataset, name: str) -> bytes:
        return self._objects.read(f"{table_prefix(dataset.name, dataset.number)}/{name}")

    def report(self, dataset: StoredDataset) -> DatasetReport:
        """What validation found out about its columns."""
        return DatasetReport.model_validate_json(self.table_file(dataset, "dataset.json"))

    def delete(self, dataset: StoredDataset) -> None:
        self._objects.delete(raw_key(dataset.name, dataset.number))
        for info in self._objects.list(table_prefix(dataset.name, dataset.number) + "/").objects:
            self._objects.delete(info.key)
