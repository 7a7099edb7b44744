"""The records of the registry: a model (its numbers and aliases) and its versions, and how references resolve."""

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, Field

from mlops_api.domain.errors import Conflict, NotFound
from mlops_api.domain.models import ApprovalStatus, Decision, ModelVersionSummary
from mlops_api.domain.names import CHAMPION, VersionRef, version_id
from mlops_api.domain.ordering import sortable
from mlops_api.ports import Index, Place, RecordName, RecordStore
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.found import Found
from mlops_api.services.tally import Card, Counts, Tally, attention
from mlops_contracts.hyperparameters import ProblemType
from mlops_contracts.metrics import goodness

VERSIONS = "model-version"
MODELS = "model"
MIRROR_DUE = "mirror-due"
CHAMPIONS = "3-champion"
"""A section of cards."""
_BEHIND_TIMES = "~"


class Score(BaseModel):
    objective: str
    value: float | None


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
    scores: dict[str, Score] = Field(default_factory=dict)
    """What the champions reached, by version."""
    created_at: str

    def names_of(self, number: int) -> list[str]:
        return sorted(alias for alias, target in self.aliases.items() if target == number)

    def crowned(self, version: "StoredVersion", *, rollback: bool) -> "ModelRecord":
        """With its champion moved to this version."""
        number = version.number
        back = rollback and number in self.champions
        crowned = self.rolled_back_to(number) if back else self.with_champion(number)
        return crowned.with_scores({version.version: score_of(version)})

    def last_champions(self) -> list[str]:
        """The champion and the one before it, if there are."""
        if CHAMPION not in self.aliases:
            return []
        now = self.aliases[CHAMPION]
        earlier = [number for number in self.champions if number != now]
        return [version_id(self.model, number) for number in (now, *earlier[-1:])]

    def with_scores(self, scores: Mapping[str, Score]) -> "ModelRecord":
        """These too; those of versions that are no champions any more are forgotten."""
        known = {version_id(self.model, number) for number in self.champions}
        kept = {version: score for version, score in {**self.scores, **scores}.items() if version in known}
        return self.model_copy(update={"scores": kept})

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
        tally=Tally(lambda _: {}, _champion_card),
    )


def _champion_card(model: ModelRecord) -> Card | None:
    champions = model.last_champions()
    if not champions:
        return None
    scores = [model.scores.get(version) for version in champions]
    now, before = scores[0], scores[1] if len(scores) > 1 else None
    shown = {
        "model": model.model,
        "version": champions[0],
        "objective": now.objective if now else "",
        "value": now.value if now else None,
        "previous_version": champions[1] if len(champions) > 1 else None,
        "previous_value": before.value if before else None,
    }
    return Card("now", f"{CHAMPIONS}/{model.model}", shown)


def score_of(version: "StoredVersion") -> Score:
    return Score(objective=version.objective, value=version.objective_value)


def with_scores(model: ModelRecord, versions: Collection["StoredVersion"]) -> ModelRecord:
    """With what its last champions reached, where its record does not say it."""
    unknown = [version for version in model.last_champions() if version not in model.scores]
    found = versions.find_many(unknown) if unknown else {}
    return model.with_scores({version: score_of(value) for version, value in found.items()}) if found else model


def _model_places(model: ModelRecord) -> Mapping[Index, Place]:
    found: dict[Index, Place] = {"all": Place(MODELS, model.model)}
    if CHAMPION in model.aliases:
        found["status"] = Place(f"{MODELS}/crowned", model.model)
    return found


def relatives(version: str) -> str:
    """The partition of `related` that holds a version behind the jobs that used it, by their time."""
    return f"{MODELS}/{version}"


class MirrorDue(BaseModel):
    """A note, as long as its version is `mirror_due`: so that those are found."""

    version: str


def mirror_due_collection(records: RecordStore) -> Collection[MirrorDue]:
    return Collection(
        records,
        MIRROR_DUE,
        MirrorDue,
        what="version to be shown",
        key=lambda note: note.version,
        places=lambda note: {"all": Place(MIRROR_DUE, note.version)},
    )


def version_collection(records: RecordStore) -> Collection[StoredVersion]:
    def places(value: StoredVersion) -> Mapping[Index, Place]:
        found: dict[Index, Place] = {
            "all": Place(VERSIONS, value.created_at),
            "group": Place(f"{VERSIONS}/{value.model}", f"{value.number:09d}"),
            "status": Place(f"{VERSIONS}/{value.approval_status}", value.created_at),
            "group_status": Place(f"{VERSIONS}/{value.model}/{value.approval_status}", f"{value.number:09d}"),
            "related": Place(relatives(value.version), _BEHIND_TIMES),
        }
        if value.objective_value is not None:
            found["rank"] = Place(
                f"{VERSIONS}/{value.model}", sortable(goodness(value.objective, value.objective_value))
            )
        return found

    return Collection(
        records,
        "model-version",
        StoredVersion,
        what="model version",
        key=lambda value: value.version,
        places=places,
        tally=Tally(_version_counts, _version_card),
    )


def _version_counts(version: StoredVersion) -> Counts:
    status = f"model_versions/{version.approval_status}"
    return {"model_versions": 1, status: 1, "model_bytes": version.size_bytes}


def _version_card(version: StoredVersion) -> Card | None:
    if version.approval_status != "PendingManualApproval":
        return None
    message = f"{version.objective} {version.objective_value}"
    return attention("pending_approval", version.version, message, version.created_at, f"/models/{version.version}")


def check_approved(version: StoredVersion) -> None:
    """Raises Conflict unless it may be used."""
    if version.approval_status != "Approved":
        raise Conflict(
            f"{version.version} is {version.approval_status}. Approve it first: mlops models approve {version.version}",
            status_now=version.approval_status,
        )


class ModelResolver:
    """From a reference to the version it means: in one read for a number, in two for an alias."""

    def __init__(self, records: RecordStore) -> None:
        self._records = records
        self.models = model_collection(records)
        self.versions = version_collection(records)

    def first(self, reference: VersionRef) -> RecordName:
        """What has to be read first."""
        if reference.number is None:
            return self.models.name_of(reference.name)
        return self.versions.name_of(version_id(reference.name, reference.number))

    def target(self, read: Found, reference: VersionRef) -> RecordName:
        """The version's own record. Raises NotFound as `version_of`. `read`: among others, `first`."""
        return self.versions.name_of(self._meant(read, reference))

    def version_in(self, read: Found, reference: VersionRef) -> Stored[StoredVersion]:
        """Raises NotFound. `read`: among others, `first` and `target`."""
        return read.get(self.versions, self._meant(read, reference))

    def version(self, reference: VersionRef) -> Stored[StoredVersion]:
        """Raises NotFound."""
        [version] = self.every_version([reference])
        return version

    def every_version(self, references: Sequence[VersionRef]) -> list[Stored[StoredVersion]]:
        """Those of each reference, in two reads at most. Raises NotFound."""
        read = Found.read(self._records, map(self.first, references))
        read = read.and_also([self.target(read, reference) for reference in references])
        return [self.version_in(read, reference) for reference in references]

    def version_of(self, reference: VersionRef, model: ModelRecord) -> str:
        """The id that a reference to a version of this model means. Raises NotFound, listing the aliases there are."""
        number = reference.number or model.aliases.get(reference.alias or "")
        if number is None:
            raise NotFound(_no_alias(model, reference.alias or ""), aliases=sorted(model.aliases))
        return version_id(reference.name, number)

    def _meant(self, read: Found, reference: VersionRef) -> str:
        if reference.number is not None:
            return version_id(reference.name, reference.number)
        return self.version_of(reference, read.get(self.models, reference.name).value)


def _no_alias(model: ModelRecord, alias: str) -> str:
    if alias == CHAMPION:
        return (
            f"{model.model} has no champion yet. Choose a version (mlops models list --model {model.model} "
            f"--sort metric) and approve it with deploy: mlops models approve {model.model}:NUMBER --deploy"
        )
    known = ", ".join(sorted(model.aliases)) or "none"
    return f"{model.model} has no alias {alias!r}. Aliases: {known}."
