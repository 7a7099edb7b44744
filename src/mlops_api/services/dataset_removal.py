"""Removing a dataset version's files after its record is gone, whatever happens in between.

A note of what is left to remove is written in the write that deletes the record. The next reconcile deletes it when
nothing is left, so that the request itself need not.
"""

from mlops_api.domain.errors import NotFound
from mlops_api.domain.training import TERMINAL
from mlops_api.ports import ObjectStore, Place, ProcessingRunner, Put, RecordStore
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.dataset_records import DatasetFiles, StoredDataset
from mlops_api.services.dataset_validation import processing_job
from mlops_api.services.repair import each

_KIND = "dataset-removal"


class DatasetRemoval:
    def __init__(self, records: RecordStore, objects: ObjectStore, processing: ProcessingRunner) -> None:
        self._records = records
        self._objects = objects
        self._processing = processing
        self._files = DatasetFiles(objects)
        self._notes = Collection(
            records,
            _KIND,
            StoredDataset,
            what="dataset removal",
            key=lambda dataset: dataset.version,
            places=lambda dataset: {"all": Place(_KIND, dataset.created_at)},
        )

    def note(self, dataset: StoredDataset) -> Put:
        """The write that goes with the record's deletion."""
        return self._notes.to_put(Stored(dataset, 0))

    def remove_files(self, dataset: StoredDataset) -> bool:
        """Remove upload and files. While the version's validation still runs, it is stopped and the rest left to the
        next reconcile, False: it would write files anew."""
        self._objects.abort_upload(dataset.upload_id)
        if self._is_validating(dataset):
            self._processing.stop(processing_job(dataset))
            return False
        self._files.delete(dataset)
        return True

    def reconcile(self) -> None:
        """Drop the notes, and finish what a crash or a running validation left."""
        each(list(self._notes.every("all", _KIND)), self._finish)

    def _finish(self, dataset: StoredDataset) -> None:
        if self.remove_files(dataset):
            self._records.delete(_KIND, dataset.version)

    def _is_validating(self, dataset: StoredDataset) -> bool:
        try:
            return self._processing.describe(processing_job(dataset)).status not in TERMINAL
        except NotFound:
            return False
