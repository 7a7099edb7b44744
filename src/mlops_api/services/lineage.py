"""What a model version was made from, and what was made with it."""

import itertools

from mlops_api.domain.models import Lineage, LineageEdge, LineageNode
from mlops_api.domain.names import parse_version
from mlops_api.ports import RecordStore
from mlops_api.services.batch import transform_collection
from mlops_api.services.dataset_records import dataset_collection
from mlops_api.services.endpoints import endpoint_collection
from mlops_api.services.model_records import ModelResolver, StoredVersion
from mlops_api.services.training_records import job_collection


class LineageService:
    def __init__(self, records: RecordStore) -> None:
        self._resolver = ModelResolver(records)
        self._datasets = dataset_collection(records)
        self._jobs = job_collection(records)
        self._endpoints = endpoint_collection(records)
        self._transforms = transform_collection(records)

    def of(self, version: str) -> Lineage:
        """Dataset -> training job -> version -> endpoint and transform jobs (the 100 newest)."""
        stored = self._resolver.version(parse_version(version, what="model version")).value
        before = [self._dataset(stored), self._job(stored)]
        own = LineageNode(
            id=stored.version,
            kind="model_version",
            status=stored.approval_status,
            path=f"/models/{stored.version}",
        )
        after = self._endpoint(stored) + self._batches(stored)
        chain = [*before, own]
        edges = [LineageEdge(source=left.path, target=right.path) for left, right in itertools.pairwise(chain)]
        edges += [LineageEdge(source=own.path, target=node.path) for node in after]
        return Lineage(nodes=[*chain, *after], edges=edges)

    def _dataset(self, version: StoredVersion) -> LineageNode:
        found = self._datasets.find(version.dataset)
        status = found.value.status if found else "Deleted"
        return LineageNode(id=version.dataset, kind="dataset", status=status, path=f"/datasets/{version.dataset}")

    def _job(self, version: StoredVersion) -> LineageNode:
        job = self._jobs.get(version.training_job).value
        return LineageNode(id=job.job, kind="training_job", status=job.status, path=f"/training/jobs/{job.job}")

    def _endpoint(self, version: StoredVersion) -> list[LineageNode]:
        found = self._endpoints.find(version.model)
        if found is None or version.version not in {item.model_version for item in found.value.variants}:
            return []
        path = f"/inference/endpoints/{version.model}"
        return [LineageNode(id=version.model, kind="endpoint", status=found.value.status, path=path)]

    def _batches(self, version: StoredVersion) -> list[LineageNode]:
        page = self._transforms.page("related", f"model/{version.version}", limit=100)
        return [
            LineageNode(
                id=job.transform_job,
                kind="transform_job",
                status=job.status,
                path=f"/inference/batch/{job.transform_job}",
            )
            for job in page.values
        ]
