"""Reading datasets: versions, pages, and what their validation has found."""

from pydantic import BaseModel

from mlops_api.domain.contract_suggestion import suggest
from mlops_api.domain.datasets import DatasetPage, DatasetStatus, DatasetSummary, DatasetVersion
from mlops_api.domain.errors import Conflict, NotFound
from mlops_api.domain.models import DownloadUrl
from mlops_api.domain.names import parse_version
from mlops_api.ports import ObjectStore, RecordStore
from mlops_api.services.collection import Stored
from mlops_api.services.dataset_comparison import DatasetComparison
from mlops_api.services.dataset_records import DATASETS, DatasetFiles, StoredDataset, dataset_collection, raw_key
from mlops_api.services.dataset_versions import DatasetResolver
from mlops_api.services.policy import Policy
from mlops_contracts.comparison import DatasetDifference
from mlops_contracts.data_contract import DataContract
from mlops_contracts.dataset import DatasetReport, Finding, Preview, Profile, Quality


class DatasetReading:
    def __init__(
        self, records: RecordStore, objects: ObjectStore, policy: Policy, comparison: DatasetComparison
    ) -> None:
        self._objects = objects
        self._policy = policy
        self._comparison = comparison
        self._datasets = dataset_collection(records)
        self._files = DatasetFiles(objects)
        self.resolver = DatasetResolver(records)

    def get(self, version: str) -> DatasetVersion:
        dataset = self._get(version).value
        if dataset.failure_reason is not None:
            finding = Finding(code="could_not_read", message=dataset.failure_reason)
            quality = Quality(violations=(finding,), violation_count=1)
            return DatasetVersion(**dataset.model_dump(), quality=quality)
        if dataset.status not in ("Ready", "Rejected"):
            return DatasetVersion(**dataset.model_dump())
        report = self._files.report(dataset)
        quality = self._with_what_changed(dataset, report.quality)
        return DatasetVersion(**dataset.model_dump(), columns=list(report.columns), quality=quality)

    def _with_what_changed(self, dataset: StoredDataset, quality: Quality) -> Quality:
        if dataset.compared_with is None:
            return quality
        found = self._comparison.kept(dataset).findings
        return quality.model_copy(update={"warnings": (*quality.warnings, *found)})

    def compare(self, version: str, other: str | None) -> DatasetDifference:
        """What has changed since `other`, by default since the version before it. Raises NotFound, Conflict."""
        after = self.ready(version).value
        if other is not None:
            return self._comparison.of(self.ready(other).value, after)
        if after.compared_with is None:
            raise NotFound(f"No version before {after.version} was Ready. Name one to compare with: ?with=NAME:NUMBER")
        return self._comparison.kept(after)

    def page(self, *, name: str | None, status: DatasetStatus | None, limit: int, token: str | None) -> DatasetPage:
        """Newest first. `name` and `status` cannot be combined: the name's versions are few, filter them there."""
        if name is not None:
            page = self._datasets.page("group", f"{DATASETS}/{name}", limit=limit, token=token)
        elif status is not None:
            page = self._datasets.page("status", f"{DATASETS}/{status}", limit=limit, token=token)
        else:
            page = self._datasets.page("all", DATASETS, limit=limit, token=token)
        kept = [value for value in page.values if status in (None, value.status)]
        return DatasetPage(datasets=[summary(value) for value in kept], next_token=page.next_token)

    def profile(self, version: str) -> Profile:
        return Profile.model_validate_json(self._files.table_file(self.ready(version).value, "profile.json"))

    def suggest_contract(self, version: str) -> DataContract:
        """A data contract that this version keeps."""
        return suggest(self.profile(version))

    def preview(self, version: str) -> Preview:
        return Preview.model_validate_json(self._files.table_file(self.ready(version).value, "preview.json"))

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
        check_ready(stored.value)
        return stored

    def stored(self, version: str) -> StoredDataset:
        """The record of a version. Raises NotFound."""
        return self._get(version).value

    def find(self, version: str) -> StoredDataset | None:
        found = self._datasets.find(version)
        return found.value if found else None

    def report(self, dataset: StoredDataset) -> DatasetReport:
        """What validation found out about its columns."""
        return self._files.report(dataset)

    def _get(self, version: str) -> Stored[StoredDataset]:
        return self.resolver.version(parse_version(version, what="dataset version"))


def check_ready(dataset: StoredDataset) -> None:
    """Raises Conflict unless jobs may use it."""
    if dataset.status != "Ready":
        raise Conflict(
            f"{dataset.version} is {dataset.status}, not Ready. See GET /datasets/{dataset.version}/quality.",
            status_now=dataset.status,
        )


def summary(dataset: BaseModel) -> DatasetSummary:
    return DatasetSummary.model_validate(dataset.model_dump())
