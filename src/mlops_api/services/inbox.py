"""Tables dropped into the store: `inbox/{dataset}/{filename}` becomes the next version of that dataset.

    file --Object Created--> taken: a version AwaitingUpload, in the write that says so --copy--> raw --> as an upload
                         '-> refused: said in the activity log

Once per content that the key has had, however often and in whatever order its events come: an event only says where
to look, and contents are taken in the order in which they were stored. What the platform writes goes elsewhere, so
that nothing it does comes back here. The file stays where it was dropped.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ValidationError

from mlops_api.domain.datasets import CreateDataset
from mlops_api.domain.errors import AlreadyExists, BadRequest, NotFound, TooLarge
from mlops_api.domain.names import version_id
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import ObjectStore, ObjectVersion, RecordStore
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.dataset_records import DATASETS, Dropped, StoredDataset, dataset_collection, raw_key
from mlops_api.services.dataset_versions import DatasetNames
from mlops_api.services.datasets import DatasetService
from mlops_api.services.policy import Policy
from mlops_api.services.principal import PLATFORM
from mlops_api.services.repair import each

PREFIX = "inbox/"
_PLACE = re.compile(r"inbox/(?P<name>[^/]+)/(?P<filename>[^/]+)")
_LOOKED_AT = 50
"""Contents of one key that are looked up at once, newest first."""


class Taken(BaseModel):
    """The record of a content that was taken or refused. It is kept, so that no event takes it again."""

    id: str
    key: str
    object_version: str
    dataset: str | None


class Inbox:
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
            records, "inbox", Taken, what="file of the inbox", key=lambda taken: taken.id, places=lambda _: {}
        )

    def on_created(self, key: str) -> None:
        """React to a file that appeared. Repeats, and the markers that consoles make of folders, change nothing."""
        if key.endswith("/"):
            return
        try:
            versions = self._objects.versions(key)
        except BadRequest as error:  # the store has it, but nothing of the platform can name it
            self._refuse(key, ObjectVersion("", 0), error.detail)
            return
        for version, taken in self._recent(key, versions):
            self._take(key, version, taken)

    def reconcile(self) -> None:
        """Make good what a crash between the record and the copy left undone."""
        waiting = self._datasets.every("status", f"{DATASETS}/AwaitingUpload")
        each([dataset for dataset in waiting if dataset.dropped is not None], self._copy)

    def _recent(self, key: str, versions: Sequence[ObjectVersion]) -> list[tuple[ObjectVersion, Taken | None]]:
        """Oldest first: what was not taken yet, and the last few that were, which a crash may have left half done."""
        found: list[tuple[ObjectVersion, Taken | None]] = []
        for end in range(len(versions), 0, -_LOOKED_AT):
            some = versions[max(0, end - _LOOKED_AT) : end]
            taken = self._taken.find_many([_id(key, each.id) for each in some])
            found[:0] = [(each, taken.get(_id(key, each.id))) for each in some]
            if taken:  # and then all older ones are too
                break
        return found

    def _take(self, key: str, version: ObjectVersion, taken: Taken | None) -> None:
        if taken is None:
            try:
                request = self._request(key, version)
            except (BadRequest, TooLarge) as error:
                self._refuse(key, version, error.detail)
                return
            taken = until_unbeaten(lambda: self._record(key, version, request), what=f"dataset {request['name']}")
        stored = self._datasets.find(taken.dataset) if taken.dataset else None
        if stored is not None and stored.value.status == "AwaitingUpload":
            self._copy(stored.value)

    def _request(self, key: str, version: ObjectVersion) -> Mapping[str, object]:
        """What StoredDataset needs of it. Raises BadRequest, TooLarge."""
        place = _PLACE.fullmatch(key)
        if place is None:
            raise BadRequest(f"{key} lies too deep. Put files at {PREFIX}DATASET/FILE.")
        try:
            request = CreateDataset(**place.groupdict(), size_bytes=version.size, sha256="0" * 64)
        except ValidationError as error:
            reasons = "; ".join(f"{item['loc'][0]}: {item['msg']}" for item in error.errors(include_input=False))
            raise BadRequest(f"{key} cannot become a dataset: {reasons}.") from error
        self._policy.check_upload(request.filename, request.size_bytes)
        return request.model_dump() | {"sha256": ""}  # nobody has said it; validation finds it out

    def _record(self, key: str, version: ObjectVersion, request: Mapping[str, object]) -> Taken:
        """Raises AlreadyExists or RevisionMismatch when another was faster: with this file, or with the number."""
        earlier = self._taken.find(_id(key, version.id))
        if earlier is not None:
            return earlier.value
        name = str(request["name"])
        number, take_number = self._names.next(name)
        dataset = StoredDataset(
            **request,
            version=version_id(name, number),
            number=number,
            status="AwaitingUpload",
            created_at=rfc3339(self._clock()),
            created_by=PLATFORM.name,
            upload_id="",
            dropped=Dropped(key=key, object_version=version.id),
        )
        taken = Taken(id=_id(key, version.id), key=key, object_version=version.id, dataset=dataset.version)
        entry = self._activity.entry(
            PLATFORM, "dataset.create", dataset.version, detail=f"from {key}", path=f"/datasets/{dataset.version}"
        )
        new = [self._taken.to_put(Stored(taken, 0)), self._datasets.to_put(Stored(dataset, 0))]
        self._records.write([*new, take_number, entry])
        return taken

    def _copy(self, dataset: StoredDataset) -> None:
        """Give the version its file, and begin as after an upload."""
        dropped, key = dataset.dropped, raw_key(dataset.name, dataset.number)
        if dropped is None:
            return
        try:
            self._objects.copy(dropped.key, key, version=dropped.object_version)
        except NotFound:  # deleted since: there is nothing to wait for
            self._service.delete(PLATFORM, dataset.version)
            return
        self._service.on_uploaded(key)

    def _refuse(self, key: str, version: ObjectVersion, reason: str) -> None:
        taken = Taken(id=_id(key, version.id), key=key, object_version=version.id, dataset=None)
        entry = self._activity.entry(PLATFORM, "inbox.refused", key[:200], detail=reason)
        try:
            self._records.write([self._taken.to_put(Stored(taken, 0)), entry])
        except AlreadyExists:
            return  # said before


def _id(key: str, version: str) -> str:
    return hashlib.sha256(f"{key}\n{version}".encode("utf-8", "surrogatepass")).hexdigest()
