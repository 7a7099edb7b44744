"""The records of the registry: a model (its numbers and aliases) and its versions, and how references resolve."""

from collections.abc import Mapping

from pydantic import BaseModel, Field

from mlops_api.domain.errors import NotFound
from mlops_api.domain.models import ApprovalStatus, Decision, ModelVersionSummary
from mlops_api.domain.names import CHAMPION, VersionRef, version_id
from mlops_api.domain.ordering import sortable
from mlops_api.ports import Index, Place, RecordStore
from mlops_api.services.collection import Collection, Stored
from mlops_contracts.hyperparameters import ProblemType
from mlops_contracts.metrics import goodness

VERSIONS = "model-version"
MODELS = "model"
MIRROR_DUE = f"{VERSIONS}/mirror-due"


class ModelRecord(BaseModel):
    """A model group. `champions`: numbers that were champion, oldest first, the present one last.

    All versions predict the same target in the same way (None: no version yet, or older than this rule).
    """

    model: str
    target: str | None = None
    problem_type: ProblemType | None = None
    last_number: int = 0
    aliases: dict[str, int] = Field(default_factory=dict)
    champions: list[int] = Field(default_factory=list)
    created_at: str

    def names_of(self, number: int) -> list[str]:
        return sorted(alias for alias, target in self.aliases.items() if target == number)

    def with_champion(self, number: int) -> "ModelRecord":
        history = self.champions if self.champions[-1:] == [number] else [*self.champions, number]
        return self.model_copy(update={"aliases": self.aliases | {CHAMPION: number}, "champions": history[-100:]})

    def rolled_back_to(self, number: int) -> "ModelRecord":
        """As with_champion, forgetting later champions, so that a second rollback goes further back."""
        last = len(self.champions) - 1 - self.champions[::-1].index(number)
        return self.model_copy(
            update={"aliases": self.aliases | {CHAMPION: number}, "champions": self.champions[: last + 1]}
        )


class StoredVersion(ModelVersionSummary):
    """The record: the summary, the audit trail, where the files are, and what is shown of it outside (mirroring)."""

    target: str
    objective_value: float | None = None
    bundle_key: str
    bundle_sha256: str
    report_prefix: str
    size_bytes: int
    decisions: list[Decision] = Field(default_factory=list)
    mirrored: ApprovalStatus | None = None
    mirror_due: bool = False


def model_collection(records: RecordStore) -> Collection[ModelRecord]:
    return Collection(
        records,
        "model",
        ModelRecord,
        what="model",
        key=lambda model: model.model,
        places=_model_places,
    )


def _model_places(model: ModelRecord) -> Mapping[Index, Place]:
    found: dict[Index, Place] = {"all": Place(MODELS, model.model)}
    if CHAMPION in model.aliases:
        found["status"] = Place(f"{MODELS}/crowned", model.model)
    return found


def version_collection(records: RecordStore) -> Collection[StoredVersion]:
    def places(value: StoredVersion) -> Mapping[Index, Place]:
        found: dict[Index, Place] = {
            "all": Place(VERSIONS, value.created_at),
            "group": Place(f"{VERSIONS}/{value.model}", f"{value.number:09d}"),
            "status": Place(f"{VERSIONS}/{value.approval_status}", value.created_at),
            "group_status": Place(f"{VERSIONS}/{value.model}/{value.approval_status}", f"{value.number:09d}"),
        }
        if value.mirror_due:
            found["related"] = Place(MIRROR_DUE, value.created_at)
        if value.objective_value is not None:
            found["rank"] = Place(
                f"{VERSIONS}/{value.model}", sortable(goodness(value.objective, value.objective_value))
            )
        return found

    return Collection(
        records, "model-version", StoredVersion, what="model version", key=lambda value: value.version, places=places
    )


class ModelResolver:
    """From a reference to the version it means."""

    def __init__(self, records: RecordStore) -> None:
        self.models = model_collection(records)
        self.versions = version_collection(records)

    def number(self, reference: VersionRef) -> int:
        """Raises NotFound, listing the aliases there are."""
        if reference.number is not None:
            return reference.number
        model = self.models.get(reference.name).value
        found = model.aliases.get(reference.alias or "")
        if found is None:
            raise NotFound(_no_alias(model, reference.alias or ""), aliases=sorted(model.aliases))
        return found

    def version(self, reference: VersionRef) -> Stored[StoredVersion]:
        """Raises NotFound."""
        return self.versions.get(version_id(reference.name, self.number(reference)))


def _no_alias(model: ModelRecord, alias: str) -> str:
    if alias == CHAMPION:
        return (
            f"{model.model} has no champion yet. Choose a version (mlops models list --model {model.model} "
            f"--sort metric) and approve it with deploy: mlops models approve {model.model}:NUMBER --deploy"
        )
    known = ", ".join(sorted(model.aliases)) or "none"
    return f"{model.model} has no alias {alias!r}. Aliases: {known}."
