"""Datasets: upload, validation by a processing job, immutable versions.

The file goes from the client to the object store by signed URLs; the `preprocess` program reads it there and
writes its verdict next to it. Keys, all made here:

    datasets/{name}/{number}/raw      the file as it came (kept when rejected, for inspection)
    datasets/{name}/{number}/table/   dataset.json, profile.json, preview.json, data.parquet
"""

from collections.abc import Callable, Mapping
from datetime import timedelta

from pydantic import BaseModel

from mlops_api.domain.datasets import (
    CompleteUpload,
    CreateDataset,
    CreatedDataset,
    DatasetPage,
    DatasetStatus,
    DatasetSummary,
    DatasetVersion,
    Upload,
    UploadPart,
)
from mlops_api.domain.errors import AlreadyExists, Conflict, NotFound, RevisionMismatch, TooLarge
from mlops_api.domain.models import DownloadUrl
from mlops_api.domain.names import parse_version, version_id
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.domain.training import TERMINAL
from mlops_api.ports import (
    Delete,
    Index,
    ObjectStore,
    Place,
    ProcessingRunner,
    ProcessingSpec,
    Put,
    RecordStore,
    SignedUpload,
)
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.idempotency import Idempotency
from mlops_api.services.policy import Policy
from mlops_api.services.principal import PLATFORM, Principal
from mlops_api.services.sequences import Sequences
from mlops_contracts.dataset import DatasetReport, Finding, Preview, Profile, Quality

_ALL = "dataset"
_ATTEMPTS = 20


class StoredDataset(DatasetSummary):
    """The record: the summary and what clients do not see."""

    upload_id: str

    def used_by(self, job: str) -> "StoredDataset":
        """To be written with the job: the new revision makes a deletion that did not see the job fail."""
        return self.model_copy(update={"last_used_by": job})


def raw_key(name: str, number: int) -> str:
    return f"datasets/{name}/{number}/raw"


def table_prefix(name: str, number: int) -> str:
    return f"datasets/{name}/{number}/table"


def dataset_collection(records: RecordStore) -> Collection[StoredDataset]:
    def places(value: StoredDataset) -> Mapping[Index, Place]:
        return {
            "all": Place(_ALL, value.created_at),
            "group": Place(f"{_ALL}/{value.name}", f"{value.number:09d}"),
            "status": Place(f"{_ALL}/{value.status}", value.created_at),
        }

    return Collection(
        records, "dataset", StoredDataset, what="dataset version", key=lambda value: value.version, places=places
    )


class DatasetService:
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
    ) -> None:
        self._records = records
        self._objects = objects
        self._processing = processing
        self._activity = activity
        self._idempotency = idempotency
        self._policy = policy
        self._clock = clock
        self._datasets = dataset_collection(records)
        self._sequences = Sequences(records, "dataset-name")

    # ---- upload

    def create(self, by: Principal, request: CreateDataset, idempotency_key: str | None) -> CreatedDataset:
        """Take the next number and hand out the upload URLs. Raises TooLarge over max_upload_bytes."""
        if request.size_bytes > self._policy.max_upload_bytes:
            raise TooLarge(
                f"{request.filename} has {request.size_bytes} bytes; at most {self._policy.max_upload_bytes} "
                "are taken (setting MLOPS_MAX_UPLOAD_BYTES)."
            )
        call = self._idempotency.call(by, "create-dataset", idempotency_key, request.model_dump_json())
        for _ in range(_ATTEMPTS):
            earlier = call.earlier_result()
            if earlier is not None:
                return self._created(self._datasets.get(earlier).value)
            try:
                return self._create_once(by, request, call.writes)
            except (AlreadyExists, RevisionMismatch):
                continue  # another request took the number, or claimed the same key: look again
        raise Conflict(f"Too many uploads to {request.name} at once. Try again.")

    def _create_once(self, by: Principal, request: CreateDataset, claim: Callable[[str], list[Put]]) -> CreatedDataset:
        number, take_number = self._sequences.next(request.name)
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
            self._records.write([take_number, self._datasets.to_put(Stored(dataset, 0)), entry, *claim(version)])
        except Conflict:
            self._objects.abort_upload(upload.upload_id)
            raise
        return CreatedDataset(**dataset.model_dump(), upload=_upload(upload))

    def _created(self, dataset: StoredDataset) -> CreatedDataset:
        upload = self.upload(dataset.version) if dataset.status == "AwaitingUpload" else None
        return CreatedDataset(**dataset.model_dump(), upload=upload)

    def upload(self, version: str) -> Upload:
        """Fresh URLs for an upload under way; parts that arrived carry their etag.

        Raises Conflict when the version does not wait for its file.
        """
        dataset = self._get(version).value
        if dataset.status != "AwaitingUpload":
            raise Conflict(f"{version} is {dataset.status}: it has its file already.", status_now=dataset.status)
        return _upload(self._objects.resume_upload(dataset.upload_id, expires_in=self._policy.upload_seconds))

    def complete(self, by: Principal, version: str, request: CompleteUpload) -> DatasetSummary:
        """Make the file visible and start validation. A repeat answers the state it led to."""
        stored = self._get(version)
        if stored.value.status != "AwaitingUpload":
            return _summary(stored.value)
        self._assemble(stored.value, [(part.part_number, part.etag) for part in request.parts])
        dataset = self._move(stored, "Validating")
        entry = self._activity.entry(by, "dataset.complete", version, path=f"/datasets/{version}")
        try:
            self._records.write([self._datasets.to_put(stored.with_value(dataset)), entry])
        except RevisionMismatch:
            return _summary(self._get(version).value)
        self._start_validation(dataset)
        return _summary(dataset)

    def _assemble(self, dataset: StoredDataset, parts: list[tuple[int, str]]) -> None:
        try:
            self._objects.complete_upload(dataset.upload_id, parts)
        except NotFound:
            # Completed by an earlier call that died before it could write the record: then the file is there.
            try:
                self._objects.info(raw_key(dataset.name, dataset.number))
            except NotFound as error:
                raise Conflict(
                    f"The upload of {dataset.version} has expired. Create a new version and send the file again."
                ) from error

    # ---- validation

    def _start_validation(self, dataset: StoredDataset) -> None:
        self._processing.start(
            ProcessingSpec(
                job=_job(dataset),
                input_key=raw_key(dataset.name, dataset.number),
                filename=dataset.filename,
                sha256=dataset.sha256,
                output_prefix=table_prefix(dataset.name, dataset.number),
                max_runtime_seconds=self._policy.processing_seconds,
            )
        )

    def on_processing_change(self, job: str) -> None:
        """React to a processing job's event: once it has ended, write the verdict. Repeats change nothing."""
        name, _, number = job.rpartition("-v")
        self._settle(version_id(name, int(number)))

    def reconcile(self) -> None:
        """Make good what a crash left undone: every Validating version has a job, every ended job its verdict."""
        for dataset in list(self._datasets.every("status", f"{_ALL}/Validating")):
            self._start_validation(dataset)
            self._settle(dataset.version)

    def sweep(self) -> int:
        """Drop uploads that were not completed in time, with their versions; the number dropped."""
        oldest = rfc3339(self._clock() - timedelta(seconds=self._policy.upload_seconds))
        self._objects.sweep_uploads(self._policy.upload_seconds)
        dropped = 0
        for dataset in list(self._datasets.every("status", f"{_ALL}/AwaitingUpload")):
            if dataset.created_at >= oldest:
                break
            self._records.write([Delete("dataset", dataset.version)])
            self._objects.abort_upload(dataset.upload_id)
            dropped += 1
        return dropped

    def _settle(self, version: str) -> None:
        stored = self._datasets.find(version)
        if stored is None or stored.value.status != "Validating":
            return
        state = self._processing.describe(_job(stored.value))
        if state.status not in TERMINAL:
            return
        dataset = self._verdict(stored.value, state.status == "Completed", state.failure_reason)
        entry = self._activity.entry(
            PLATFORM, f"dataset.{dataset.status.lower()}", version, path=f"/datasets/{version}"
        )
        try:
            self._records.write([self._datasets.to_put(stored.with_value(dataset)), entry])
        except RevisionMismatch:
            return  # the same event, delivered twice at once: the other delivery wrote the verdict

    def _verdict(self, dataset: StoredDataset, completed: bool, failure_reason: str | None) -> StoredDataset:
        if not completed:
            reason = failure_reason or "validation was stopped"
            return dataset.model_copy(update={"status": "Rejected", "failure_reason": reason, "violation_count": 1})
        report = self.report(dataset)
        return dataset.model_copy(
            update={
                "status": "Rejected" if report.quality.violations else "Ready",
                "rows": report.rows,
                "column_count": len(report.columns),
                "violation_count": report.quality.violation_count,
                "warning_count": len(report.quality.warnings),
            }
        )

    # ---- reading

    def get(self, version: str) -> DatasetVersion:
        dataset = self._get(version).value
        if dataset.failure_reason is not None:
            finding = Finding(code="could_not_read", message=dataset.failure_reason)
            quality = Quality(violations=(finding,), violation_count=1)
            return DatasetVersion(**dataset.model_dump(), quality=quality)
        if dataset.status not in ("Ready", "Rejected"):
            return DatasetVersion(**dataset.model_dump())
        report = self.report(dataset)
        return DatasetVersion(**dataset.model_dump(), columns=list(report.columns), quality=report.quality)

    def page(self, *, name: str | None, status: DatasetStatus | None, limit: int, token: str | None) -> DatasetPage:
        """Newest first. `name` and `status` cannot be combined: the name's versions are few, filter them there."""
        if name is not None:
            page = self._datasets.page("group", f"{_ALL}/{name}", limit=limit, token=token)
        elif status is not None:
            page = self._datasets.page("status", f"{_ALL}/{status}", limit=limit, token=token)
        else:
            page = self._datasets.page("all", _ALL, limit=limit, token=token)
        kept = [value for value in page.values if status in (None, value.status)]
        return DatasetPage(datasets=[_summary(value) for value in kept], next_token=page.next_token)

    def profile(self, version: str) -> Profile:
        return Profile.model_validate_json(self._table_file(self.ready(version).value, "profile.json"))

    def preview(self, version: str) -> Preview:
        return Preview.model_validate_json(self._table_file(self.ready(version).value, "preview.json"))

    def quality(self, version: str) -> Quality:
        return self.get(version).quality

    def download(self, version: str) -> DownloadUrl:
        """The file as it was uploaded, rejected ones too."""
        dataset = self._get(version).value
        key = raw_key(dataset.name, dataset.number)
        url, expires_at = self._objects.download_url(
            key, filename=dataset.filename, expires_in=self._policy.download_seconds
        )
        return DownloadUrl(url=url, expires_at=expires_at, size_bytes=dataset.size_bytes, sha256=dataset.sha256)

    def ready(self, version: str) -> Stored[StoredDataset]:
        """A version that jobs may use; `name:latest` stands for the newest Ready one.

        Raises NotFound or Conflict naming the status.
        """
        stored = self._get(version)
        _check_ready(stored.value)
        return stored

    def report(self, dataset: StoredDataset) -> DatasetReport:
        """What validation found out about its columns."""
        return DatasetReport.model_validate_json(self._table_file(dataset, "dataset.json"))

    def use(self, stored: Stored[StoredDataset], job: str) -> Put:
        """The write that goes with a new job's own, so that the version cannot be deleted unseen."""
        return self._datasets.to_put(stored.with_value(stored.value.used_by(job)))

    # ---- deleting

    def delete(self, by: Principal, version: str) -> None:
        """Remove a version and its files. Raises Conflict while a job was made from it, naming some."""
        stored = self._get(version)
        users = [
            *self._records.query("related", f"dataset/{stored.value.version}", limit=5).records,
            *self._records.query("group", f"transform-job/{stored.value.version}", limit=5).records,
        ]
        if users:
            names = ", ".join(record.key for record in users)
            raise Conflict(
                f"{version} is used by {names}: lineage would break. Versions that no job used can be deleted.",
                used_by=[record.key for record in users],
            )
        if stored.value.status == "Validating":
            self._processing.stop(_job(stored.value))
        entry = self._activity.entry(by, "dataset.delete", version)
        self._records.write([Delete("dataset", stored.value.version, stored.revision), entry])
        self._objects.abort_upload(stored.value.upload_id)
        self._delete_files(stored.value)

    def _delete_files(self, dataset: StoredDataset) -> None:
        self._objects.delete(raw_key(dataset.name, dataset.number))
        for info in self._objects.list(table_prefix(dataset.name, dataset.number) + "/").objects:
            self._objects.delete(info.key)

    # ---- helpers

    def _get(self, version: str) -> Stored[StoredDataset]:
        reference = parse_version(version, what="dataset version")
        if reference.alias == "latest":
            return self._latest(reference.name)
        return self._datasets.get(version)

    def _latest(self, name: str) -> Stored[StoredDataset]:
        newest = self._datasets.page("group", f"{_ALL}/{name}", limit=20).values
        for value in newest:
            if value.status == "Ready":
                return self._datasets.get(value.version)
        raise NotFound(f"No version of dataset {name!r} is Ready. Upload one: mlops data upload FILE --name {name}")

    def _table_file(self, dataset: StoredDataset, name: str) -> bytes:
        return self._objects.read(f"{table_prefix(dataset.name, dataset.number)}/{name}")

    @staticmethod
    def _move(stored: Stored[StoredDataset], status: DatasetStatus) -> StoredDataset:
        return stored.value.model_copy(update={"status": status})


def _check_ready(dataset: StoredDataset) -> None:
    if dataset.status != "Ready":
        raise Conflict(
            f"{dataset.version} is {dataset.status}, not Ready. See GET /datasets/{dataset.version}/quality.",
            status_now=dataset.status,
        )


def _job(dataset: StoredDataset) -> str:
    return f"{dataset.name}-v{dataset.number}"


def _summary(dataset: BaseModel) -> DatasetSummary:
    return DatasetSummary.model_validate(dataset.model_dump())


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
