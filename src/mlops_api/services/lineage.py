"""What a model version was made from, and what was made with it."""

import itertools
from collections.abc import Sequence

from mlops_api.domain.models import Lineage, LineageEdge, LineageNode
from mlops_api.domain.names import parse_version
from mlops_api.ports import Record, RecordStore
from mlops_api.services.batch import PATH as BATCH_PATH
from mlops_api.services.batch import transform_collection
from mlops_api.services.endpoint_records import PATH as ENDPOINT_PATH
from mlops_api.services.endpoint_records import StoredEndpoint, endpoint_collection
from mlops_api.services.found import Found
from mlops_api.services.model_records import ModelResolver, StoredVersion, relatives
from mlops_api.services.training_records import PATH as TRAINING_PATH

_NEWEST = 100


class LineageService:
    def __init__(self, records: RecordStore) -> None:
        self._records = records
        self._resolver = ModelResolver(records)
        self._endpoints = endpoint_collection(records)
        self._transforms = transform_collection(records)

    def of(self, version: str) -> Lineage:
        """Dataset -> training job -> version -> endpoint and transform jobs (the 100 newest)."""
        reference = parse_version(version, what="model version")
        read = Found.read(self._records, [self._resolver.first(reference), self._endpoints.name_of(reference.name)])
        kind, meant = self._resolver.target(read, reference)
        related = self._records.query("related", relatives(meant), descending=True, limit=1 + _NEWEST).records
        stored = next((each for each in related if each.kind == kind), None)
        if stored is None:  # the index is behind, or has it not: it was registered by an earlier version
            found = self._resolver.version_in(read.and_also([(kind, meant)]), reference).value
        else:
            found = self._resolver.versions.read(stored).value
        endpoint = read.find(self._endpoints, found.model)
        return _lineage(found, _serving(found, endpoint.value if endpoint else None) + self._batches(related))

    def _batches(self, related: Sequence[Record]) -> list[LineageNode]:
        jobs = [self._transforms.read(each).value for each in related if each.kind == self._transforms.kind]
        return [
            LineageNode(
                id=job.transform_job, kind="transform_job", status=job.status, path=f"{BATCH_PATH}/{job.transform_job}"
            )
            for job in jobs[:_NEWEST]
        ]


def _lineage(version: StoredVersion, after: Sequence[LineageNode]) -> Lineage:
    chain = _made_from(version)
    own = chain[-1].path
    edges = [LineageEdge(source=left.path, target=right.path) for left, right in itertools.pairwise(chain)]
    edges += [LineageEdge(source=own, target=node.path) for node in after]
    return Lineage(nodes=[*chain, *after], edges=edges)


def _made_from(version: StoredVersion) -> list[LineageNode]:
    """Up to the version itself. What a version was made from stays as it was: a dataset that a job used cannot be
    deleted, and the version was registered in the write that completed its job."""
    return [
        LineageNode(id=version.dataset, kind="dataset", status="Ready", path=f"/datasets/{version.dataset}"),
        LineageNode(
            id=version.training_job,
            kind="training_job",
            status="Completed",
            path=f"{TRAINING_PATH}/{version.training_job}",
        ),
        LineageNode(
            id=version.version,
            kind="model_version",
            status=version.approval_status,
            path=f"/models/{version.version}",
        ),
    ]


def _serving(version: StoredVersion, endpoint: StoredEndpoint | None) -> list[LineageNode]:
    if endpoint is None or version.version not in {item.model_version for item in endpoint.variants}:
        return []
    path = f"{ENDPOINT_PATH}/{version.model}"
    return [LineageNode(id=version.model, kind="endpoint", status=endpoint.status, path=path)]
