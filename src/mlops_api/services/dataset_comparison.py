"""Comparison of dataset versions: with the one before when a version becomes Ready, and of any two when asked.

The first is kept as comparison.json next to the version's dataset.json, and its findings are among the warnings.
"""

import logging

from pydantic import ValidationError

from mlops_api.domain.dataset_comparison import Table, compare_tables
from mlops_api.domain.errors import NotFound
from mlops_api.domain.names import version_id
from mlops_api.ports import ObjectStore, RecordStore
from mlops_api.services.dataset_records import DatasetFiles, StoredDataset, dataset_collection, table_prefix
from mlops_api.services.dataset_versions import DatasetNames
from mlops_contracts.comparison import COMPARISON, DatasetDifference
from mlops_contracts.statistics import STATISTICS, Statistics

_LOG = logging.getLogger(__name__)


class DatasetComparison:
    def __init__(self, records: RecordStore, objects: ObjectStore) -> None:
        self._datasets = dataset_collection(records)
        self._names = DatasetNames(records)
        self._objects = objects
        self._files = DatasetFiles(objects)

    def with_the_one_before(self, dataset: StoredDataset) -> DatasetDifference | None:
        """Compare a version that has just been read with the newest Ready one before it, and keep what was found.

        None when there is none, or its files cannot be read: a verdict does not wait for a comparison.
        """
        before = self._before(dataset)
        if before is None:
            return None
        try:
            found = self.of(before, dataset)
        except (NotFound, ValidationError) as error:
            _LOG.warning("%s could not be compared with %s: %s", dataset.version, before.version, error)
            return None
        self._objects.put(_key(dataset), found.model_dump_json(exclude_defaults=True).encode())
        return found

    def _before(self, dataset: StoredDataset) -> StoredDataset | None:
        number = self._names.ready_before(dataset.name, dataset.number)
        found = self._datasets.find(version_id(dataset.name, number)) if number else None
        return found.value if found else None

    def of(self, before: StoredDataset, after: StoredDataset) -> DatasetDifference:
        """Raises NotFound, ValidationError when a report cannot be read."""
        return compare_tables(self._table(before), self._table(after))

    def kept(self, dataset: StoredDataset) -> DatasetDifference:
        """What with_the_one_before found. Raises NotFound."""
        return DatasetDifference.model_validate_json(self._objects.read(_key(dataset)))

    def _table(self, dataset: StoredDataset) -> Table:
        return Table(dataset.version, self._files.report(dataset), self._statistics(dataset))

    def _statistics(self, dataset: StoredDataset) -> Statistics | None:
        """None for versions that were validated before there were any."""
        try:
            return Statistics.model_validate_json(self._files.table_file(dataset, STATISTICS))
        except NotFound:
            return None


def _key(dataset: StoredDataset) -> str:
    return f"{table_prefix(dataset.name, dataset.number)}/{COMPARISON}"
