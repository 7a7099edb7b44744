"""Datasets: upload, validation by a processing job, immutable versions.

The file goes from the client to the object store by signed URLs; the `preprocess` program reads it there and
writes its verdict next to it (see dataset_validation).
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_api.domain.datasets import (
    CompleteUpload,
    CreateDataset,
    CreatedDataset,
    DatasetStatus,
    DatasetSummary,
    Upload,
    UploadPart,
)
from mlops_api.domain.errors import Conflict, NotFound, RevisionMismatch
from mlops_api.domain.names import VersionRef, parse_version, version_id
from mlops_api.domain.times import Clock, parse_rfc3339, rfc3339
from mlops_api.ports import ObjectStore, ProcessingRunner, Put, RecordStore, SignedUpload
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.contracts import ContractService
from mlops_api.services.dataset_measurements import DatasetMeasurements
from mlops_api.services.dataset_reading import DatasetReading, summary
from mlops_api.services.dataset_records import (
    DATASETS,
    StoredDataset,
    raw_key,
    version_of_raw,
)
from mlops_api.services.dataset_removal import DatasetRemoval
from mlops_api.services.dataset_validation import DatasetValidation
from mlops_api.services.found import Found
from mlops_api.services.idempotency import Idempotency, IdempotentCall
from mlops_api.services.pipeline_records import PipelineLaunch
from mlops_api.services.policy import Policy
from mlops_api.services.principal import PLATFORM, Principal
from mlops_api.services.repair import begin, each

if TYPE_CHECKING:
    from mlops_api.services.recipes import RecipeService


class DatasetService(DatasetReading):
    """Uploads, validation and removal; reading is inherited."""

    def __init__(
        self,
        *,
        records: RecordStore,
        objects: ObjectStore,
        processing: ProcessingRunner,
        activity: ActivityLog,
        idempotency: Idempotency,
        policy: Policy,
        clock: Clock,
        contracts: ContractService,
        recipes: Callable[[], "RecipeService"],
        pipelines: PipelineLaunch,
        measurements: DatasetMeasurements,
    ) -> None:
        self._pipelines = pipelines
        self._records = records
        self._activity = activity
        self._idempotency = idempotency
        self._clock = clock
        self._removal = DatasetRemoval(records, objects, processing)
        self.validation = DatasetValidation(
            records=records,
            objects=objects,
            processing=processing,
            activity=activity,
            policy=policy,
            contracts=contracts,
            recipes=recipes,
            measurements=measurements,
        )
        super().__init__(records, objects, policy, self.validation.comparison)

    # ---- upload

    def create(self, by: Principal, request: CreateDataset, idempotency_key: str | None) -> CreatedDataset:
        """Take the next number and hand out the upload URLs. Raises TooLarge over max_upload_bytes."""
        self._policy.check_upload(request.filename, request.size_bytes)
        call = self._idempotency.call(by, "create-dataset", idempotency_key, request.model_dump_json())
        # Another request may take the number, or claim the same key.
        return call.once(lambda: self._create_once(by, request, call), what=f"dataset {request.name}")

    def _create_once(self, by: Principal, request: CreateDataset, call: IdempotentCall) -> CreatedDataset:
        names = self.resolver.names
        read = Found.read(self._records, [*call.names, names.name_of(request.name)])
        earlier = call.earlier_result(read)
        if earlier is not None:
            return self._created(self._datasets.get(earlier).value)
        number, take_number = names.taking(names.of(read, request.name))
        version = version_id(request.name, number)
        upload = self._objects.start_upload(
            raw_key(request.name, number), size=request.size_bytes, expires_in=self._policy.upload_seconds
        )
        dataset = StoredDataset(
            **request.model_dump(),
            version=version,
            number=number,
            status="AwaitingUpload",
            created_at=rfc3339(self._clock()),
            created_by=by.name,
            upload_id=upload.upload_id,
        )
        entry = self._activity.entry(by, "dataset.create", version, path=f"/datasets/{version}")
        try:
            self._records.write([take_number, self._datasets.to_put(Stored(dataset, 0)), entry, *call.writes(version)])
        except Conflict:
            self._objects.abort_upload(upload.upload_id)
            raise
        return CreatedDataset(**dataset.model_dump(), upload=_upload(upload))

    def _created(self, dataset: StoredDataset) -> CreatedDataset:
        waits = dataset.status == "AwaitingUpload" and not self._files.has_raw(dataset)
        return CreatedDataset(**dataset.model_dump(), upload=self._resumed(dataset) if waits else None)

    def upload(self, version: str) -> Upload:
        """Fresh URLs for an upload under way; parts that arrived carry their etag.

        Raises Conflict when the version does not wait for its file.
        """
        dataset = self._get(version).value
        if dataset.status != "AwaitingUpload":
            raise Conflict(f"{version} is {dataset.status}: it has its file already.", status_now=dataset.status)
        if self._files.has_raw(dataset):
            raise Conflict(f"All parts have arrived: POST /datasets/{dataset.version}/complete once more.")
        return self._resumed(dataset)

    def _resumed(self, dataset: StoredDataset) -> Upload:
        try:
            return _upload(self._objects.resume_upload(dataset.upload_id, expires_in=self._seconds_left(dataset)))
        except NotFound as error:
            raise _expired(dataset) from error

    def _seconds_left(self, dataset: StoredDataset) -> int:
        """Until the sweep takes the upload: no URL outlives it."""
        age = self._clock() - parse_rfc3339(dataset.created_at)
        return max(1, self._policy.upload_seconds - int(age.total_seconds()))

    def complete(self, by: Principal, version: str, request: CompleteUpload) -> DatasetSummary:
        """Make the file visible and start its pipeline. A repeat answers the state it led to."""
        stored = self._get(version)
        if stored.value.status != "AwaitingUpload":
            return summary(stored.value)
        self._assemble(stored.value, [(part.part_number, part.etag) for part in request.parts])
        return self._validate(by, stored)

    def on_uploaded(self, key: str) -> None:
        """React to a file that appeared: go on where a completion ended before its record was written.

        Repeats and other keys change nothing.
        """
        version = version_of_raw(key)
        stored = self._datasets.find(version) if version else None
        if stored is not None and stored.value.status == "AwaitingUpload" and self._files.has_raw(stored.value):
            self._validate(PLATFORM, stored)

    def _validate(self, by: Principal, stored: Stored[StoredDataset]) -> DatasetSummary:
        version = stored.value.version
        dataset = self._move(stored, "Validating")
        entry = self._activity.entry(by, "dataset.complete", version, path=f"/datasets/{version}")
        execution = self._pipelines.plan(by, dataset)
        try:
            put = self._datasets.to_put(stored.with_value(dataset))
            self._records.write([put, self._pipelines.put(execution), entry])
        except RevisionMismatch:
            return summary(self._get(version).value)
        begin(lambda: self._pipelines.launch(execution), version)
        return summary(dataset)

    def _assemble(self, dataset: StoredDataset, parts: list[tuple[int, str]]) -> None:
        try:
            self._objects.complete_upload(dataset.upload_id, parts)
        except NotFound:
            # Completed by an earlier call that died before it could write the record: then the file is there.
            if not self._files.has_raw(dataset):
                raise _expired(dataset) from None

    def reconcile(self) -> None:
        """Make good what crashes left undone."""
        each((self.validation.reconcile, self._removal.reconcile), lambda repair: repair())

    def sweep(self) -> int:
        """Drop uploads that were not completed in time, with their versions; the number dropped."""
        oldest = rfc3339(self._clock() - timedelta(seconds=self._policy.upload_seconds))
        self._objects.sweep_uploads(self._policy.upload_seconds)
        waiting = list(self._datasets.every("status", f"{DATASETS}/AwaitingUpload"))
        old = [dataset.version for dataset in waiting if dataset.created_at < oldest]
        dropped: list[str] = []
        each(old, lambda version: self._drop(version, dropped))
        return len(dropped)

    def _drop(self, version: str, dropped: list[str]) -> None:
        try:
            read, stored = self._with_name(parse_version(version))
            if stored.value.status == "AwaitingUpload":
                self._remove(read, stored, [])
                dropped.append(version)
        except (NotFound, RevisionMismatch):
            return  # it was deleted or completed at the last moment
        begin(lambda: self._removal.remove_files(stored.value), version)

    # ---- jobs

    def use(self, stored: Stored[StoredDataset], job: str) -> Put:
        """The write that goes with a new job's own, so that the version cannot be deleted unseen."""
        return self._datasets.to_put(stored.with_value(stored.value.used_by(job)))

    # ---- deleting

    def delete(self, by: Principal, version: str) -> None:
        """Remove a version and its files. Raises Conflict when a job was made from it, naming the last one."""
        # A job that begins, or another version of this name, may come between.
        removed = until_unbeaten(lambda: self._delete_once(by, version), what=version)
        begin(lambda: self._removal.remove_files(removed), removed.version)

    def _delete_once(self, by: Principal, version: str) -> StoredDataset:
        read, stored = self._with_name(parse_version(version, what="dataset version"))
        user = stored.value.last_used_by
        if user is not None:
            raise Conflict(
                f"{version} is used by {user}: lineage would break. Versions that no job used can be deleted.",
                used_by=[user],
            )
        self._remove(read, stored, [self._activity.entry(by, "dataset.delete", stored.value.version)])
        return stored.value

    def _remove(self, read: Found, stored: Stored[StoredDataset], others: list[Put]) -> None:
        """The writes of a removal; its files are left to `removal`. Raises RevisionMismatch."""
        names = self.resolver.names
        name = names.without(names.of(read, stored.value.name), stored.value.number)
        note = self._removal.note(stored.value)
        self._records.write([self._datasets.to_delete(stored), note, *name, *others])

    def _with_name(self, reference: VersionRef) -> tuple[Found, Stored[StoredDataset]]:
        """A version, read together with its name's record. Raises NotFound."""
        read = Found.read(self._records, [self.resolver.first(reference), self.resolver.names.name_of(reference.name)])
        read = read.and_also([self.resolver.target(read, reference)])
        return read, self.resolver.version_in(read, reference)

    # ---- helpers

    @staticmethod
    def _move(stored: Stored[StoredDataset], status: DatasetStatus) -> StoredDataset:
        return stored.value.model_copy(update={"status": status})


def _expired(dataset: StoredDataset) -> Conflict:
    return Conflict(f"The upload of {dataset.version} has expired. Create a new version and send the file again.")


def _upload(signed: SignedUpload) -> Upload:
    return Upload(
        part_size=signed.part_size,
        expires_at=signed.expires_at,
        parts=[
            UploadPart(
                part_number=part.part_number,
                url=part.url,
                headers=dict(part.headers),
                size_bytes=part.size,
                etag=part.etag,
            )
            for part in signed.parts
        ],
    )
