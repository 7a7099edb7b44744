"""Reading model versions: lists, one version with all that is known of it, its files, and two of them compared."""

from mlops_api.domain.comparison import compare
from mlops_api.domain.errors import NotFound
from mlops_api.domain.models import (
    ApprovalStatus,
    Card,
    Comparison,
    DownloadUrl,
    ModelVersion,
    ModelVersionPage,
    ModelVersionSummary,
)
from mlops_api.domain.names import CHAMPION, VersionRef, parse_version
from mlops_api.ports import ObjectStore, RecordStore
from mlops_api.services.listing import listed
from mlops_api.services.model_records import VERSIONS, ModelRecord, StoredVersion
from mlops_api.services.policy import Policy
from mlops_api.services.scenes import Scene, Scenes
from mlops_contracts.bundle import EVALUATION, MANIFEST, MODEL_CARD, Manifest
from mlops_contracts.evaluation import Evaluation


class ModelReading:
    def __init__(self, *, records: RecordStore, objects: ObjectStore, policy: Policy) -> None:
        self._objects = objects
        self._policy = policy
        self._scenes = Scenes(records)
        self.resolver = self._scenes.resolver

    def get(self, version: str) -> ModelVersion:
        reference = _parsed(version)
        return self._shown(self._scenes.of(reference.name, [reference]))

    def page(
        self,
        *,
        model: str | None,
        status: ApprovalStatus | None,
        by_metric: bool,
        descending: bool,
        limit: int,
        token: str | None,
    ) -> ModelVersionPage:
        """By time, or by the objective metric of one model's versions; descending is newest or best first."""
        index, partition = listed(VERSIONS, model, status, ranked="versions" if by_metric else None)
        page = self.resolver.versions.page(index, partition, descending=descending, limit=limit, token=token)
        groups = self.resolver.models.find_many([value.model for value in page.values])
        summaries = [_summary(value, groups.get(value.model)) for value in page.values]
        return ModelVersionPage(models=summaries, next_token=page.next_token)

    def evaluation(self, version: str) -> Evaluation:
        return Evaluation.model_validate_json(self._file(self._version(version), EVALUATION))

    def card(self, version: str) -> Card:
        stored = self._version(version)
        return Card(version=stored.version, markdown=self._file(stored, MODEL_CARD).decode())

    def bundle(self, version: str) -> DownloadUrl:
        stored = self._version(version)
        url, expires_at = self._objects.download_url(
            stored.bundle_key,
            filename=f"{stored.model}-{stored.number}.tar.gz",
            expires_in=self._policy.download_seconds,
        )
        return DownloadUrl(url=url, expires_at=expires_at, size_bytes=stored.size_bytes, sha256=stored.bundle_sha256)

    def compare(self, left: str, right: str) -> Comparison:
        found = self.resolver.every_version([_parsed(left), _parsed(right)])
        one, other = (stored.value for stored in found)
        return compare(one.version, self._manifest(one), other.version, self._manifest(other))

    def version_for(self, reference: VersionRef) -> str:
        """The id of the version a reference means. Raises NotFound."""
        return self.resolver.version(reference).value.version

    def champion(self, model: str) -> StoredVersion | None:
        try:
            return self.resolver.version(VersionRef(model, None, CHAMPION)).value
        except NotFound:
            return None

    def bundle_key(self, version: str) -> str:
        """Where its bundle lies. Raises NotFound."""
        return self.resolver.versions.get(version).value.bundle_key

    def _shown(self, scene: Scene) -> ModelVersion:
        """The one version of the scene, with what its files say."""
        [stored] = (version.value for version in scene.versions.values())
        manifest = self._manifest(stored)
        endpoint = scene.endpoint.value if scene.endpoint else None
        return ModelVersion(
            **(stored.model_dump() | {"aliases": scene.model.value.names_of(stored.number)}),
            signature=list(manifest.features),
            classes=list(manifest.classes),
            threshold=manifest.threshold,
            hyperparameters=manifest.hyperparameters,
            importance=manifest.importance,
            deployment=endpoint.status if endpoint and stored.version in endpoint.versions else None,
        )

    def _version(self, version: str) -> StoredVersion:
        return self.resolver.version(_parsed(version)).value

    def _manifest(self, version: StoredVersion) -> Manifest:
        return Manifest.model_validate_json(self._file(version, MANIFEST))

    def _file(self, version: StoredVersion, name: str) -> bytes:
        return self._objects.read(f"{version.report_prefix}/{name}")


def _parsed(version: str) -> VersionRef:
    return parse_version(version, what="model version")


def _summary(version: StoredVersion, group: ModelRecord | None) -> ModelVersionSummary:
    aliases = group.names_of(version.number) if group else []
    return ModelVersionSummary.model_validate(version.model_dump() | {"aliases": aliases})
