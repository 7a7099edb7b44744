"""Files of a watched folder: each content becomes one version of the dataset that the file's name says, once.

    content --taken: a version AwaitingUpload, in the write that says so--> raw --> as after an upload

What was taken is a record, by dataset and SHA-256: the same content is not taken twice, under whatever file name, and
a version whose file a crash kept from the store gets it when the folder is looked at again.
"""

from pydantic import BaseModel, ValidationError

from mlops_api.domain.datasets import CreateDataset, DatasetVersion
from mlops_api.domain.errors import BadRequest
from mlops_api.domain.names import version_id
from mlops_api.domain.naming import NAME_RULE, dataset_name
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import ObjectStore, RecordStore, WatchedFile
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.dataset_records import StoredDataset, dataset_collection, raw_key
from mlops_api.services.dataset_versions import DatasetNames
from mlops_api.services.datasets import DatasetService
from mlops_api.services.policy import Policy
from mlops_api.services.principal import PLATFORM


class TakenContent(BaseModel):
    """`stored`: the version has had its file; when it is gone after that, somebody deleted it."""

    id: str
    filename: str
    version: str
    stored: bool = False


class FolderIntake:
    def __init__(
        self,
        *,
        records: RecordStore,
        objects: ObjectStore,
        datasets: DatasetService,
        activity: ActivityLog,
        policy: Policy,
        clock: Clock,
    ) -> None:
        self._records = records
        self._objects = objects
        self._service = datasets
        self._activity = activity
        self._policy = policy
        self._clock = clock
        self._datasets = dataset_collection(records)
        self._names = DatasetNames(records)
        self._taken = Collection(
            records, "watched-content", TakenContent, what="content", key=lambda taken: taken.id, places=lambda _: {}
        )

    def take(self, file: WatchedFile) -> str:
        """The version this content is, new or not. Harmless when repeated.

        Raises BadRequest or TooLarge for a file that cannot become a version; Invalid when it changed meanwhile.
        """
        request = self._request(file)
        taken = until_unbeaten(lambda: self._record(request), what=f"dataset {request.name}")
        if not taken.value.stored:
            self._store(taken.value.version, file)
            self._taken.save(taken.with_value(taken.value.model_copy(update={"stored": True})))
        return taken.value.version

    def verdict(self, version: str) -> DatasetVersion | None:
        """The version once it is Ready or Rejected; None until then. Raises NotFound when it was deleted."""
        found = self._service.get(version)
        return found if found.status in ("Ready", "Rejected") else None

    def _request(self, file: WatchedFile) -> CreateDataset:
        name = dataset_name(file.filename)
        try:
            request = CreateDataset(name=name, filename=file.filename, size_bytes=file.size, sha256=file.sha256)
        except ValidationError as error:
            reasons = "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors(include_input=False))
            raise BadRequest(f"{file.filename} cannot become a dataset: {reasons} ({NAME_RULE}).") from error
        self._policy.check_upload(request.filename, request.size_bytes)
        return request

    def _record(self, request: CreateDataset) -> Stored[TakenContent]:
        """Raises AlreadyExists or RevisionMismatch when another took the number first."""
        key = f"{request.name}/{request.sha256}"
        found = self._taken.find(key)
        if found is not None and (found.value.stored or self._datasets.find(found.value.version) is not None):
            return found
        number, take_number = self._names.next(request.name)
        dataset = StoredDataset(
            **request.model_dump(),
            version=version_id(request.name, number),
            number=number,
            status="AwaitingUpload",
            created_at=rfc3339(self._clock()),
            created_by=PLATFORM.name,
            upload_id="",
        )
        version = dataset.version
        taken = Stored(TakenContent(id=key, filename=request.filename, version=version), found.revision if found else 0)
        detail = f"from the watched folder: {request.filename}"
        entry = self._activity.entry(PLATFORM, "dataset.create", version, detail=detail, path=f"/datasets/{version}")
        new = [self._taken.to_put(taken), self._datasets.to_put(Stored(dataset, 0))]
        self._records.write([*new, take_number, entry])
        return taken.written()

    def _store(self, version: str, file: WatchedFile) -> None:
        dataset = self._datasets.get(version).value
        if dataset.status != "AwaitingUpload":
            return
        key = raw_key(dataset.name, dataset.number)
        with file.open() as content:
            self._objects.put(key, content, sha256=file.sha256)
        self._service.on_uploaded(key)
