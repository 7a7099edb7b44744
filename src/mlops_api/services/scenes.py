"""What decisions about a model rest on: the model, its endpoint and the versions in question, read together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mlops_api.domain.names import VersionRef
from mlops_api.ports import RecordName, RecordStore
from mlops_api.services.collection import Stored
from mlops_api.services.endpoint_records import StoredEndpoint, endpoint_collection
from mlops_api.services.found import Found
from mlops_api.services.model_records import ModelRecord, ModelResolver, StoredVersion


@dataclass(frozen=True)
class Scene:
    """As they were read or, after a write, as they were written. `versions`: by id, those that were asked for."""

    model: Stored[ModelRecord]
    endpoint: Stored[StoredEndpoint] | None
    versions: Mapping[str, Stored[StoredVersion]]

    def with_version(self, version: Stored[StoredVersion]) -> "Scene":
        return replace(self, versions={**self.versions, version.value.version: version})

    def bundle_keys(self) -> Mapping[str, str]:
        return {version: stored.value.bundle_key for version, stored in self.versions.items()}


class Scenes:
    def __init__(self, records: RecordStore) -> None:
        self._records = records
        self._endpoints = endpoint_collection(records)
        self.resolver = ModelResolver(records)

    def begun(self, model: str, references: Sequence[VersionRef] = (), others: Sequence[RecordName] = ()) -> Found:
        """The first of at most two reads: the model, its endpoint, versions that are named by number, and `others`."""
        firsts = [self.resolver.first(reference) for reference in references]
        names = [self.resolver.models.name_of(model), self._endpoints.name_of(model)]
        return Found.read(self._records, [*names, *firsts, *others])

    def of(self, model: str, references: Sequence[VersionRef], read: Found | None = None) -> Scene:
        """The scene of versions of this model. `read`: what `begun` has read already. Raises NotFound."""
        read = read or self.begun(model, references)
        read = read.and_also([self.resolver.target(read, reference) for reference in references])
        versions = [self.resolver.version_in(read, reference) for reference in references]
        return Scene(
            model=read.get(self.resolver.models, model),
            endpoint=read.find(self._endpoints, model),
            versions={stored.value.version: stored for stored in versions},
        )

    def with_numbers(self, model: str, numbers: Sequence[int], read: Found) -> Scene:
        """As `of`; of these versions those that there are."""
        ids = [f"{model}:{number}" for number in numbers]
        read = read.and_also([self.resolver.versions.name_of(each) for each in ids])
        found = {each: read.find(self.resolver.versions, each) for each in ids}
        scene = self.of(model, (), read)
        return replace(scene, versions={each: stored for each, stored in found.items() if stored is not None})
