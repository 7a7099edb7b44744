"""From a training job's bundle to the next version of its model.

Files of a version, copied out of its bundle when it is registered so that reading them needs no unpacking:

    models/{training job}/manifest.json, evaluation.json, model-card.md
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mlops_api.domain.errors import Invalid
from mlops_api.domain.names import version_id
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import ObjectStore, RecordStore, Write
from mlops_api.services.bundles import read_members, sha256_of
from mlops_api.services.collection import Stored
from mlops_api.services.mirroring import ModelMirroring
from mlops_api.services.model_records import ModelRecord, StoredVersion, model_collection
from mlops_contracts.bundle import EVALUATION, MANIFEST, MODEL_CARD, Manifest
from mlops_contracts.evaluation import Evaluation
from mlops_contracts.hyperparameters import ProblemType


@dataclass(frozen=True)
class Source:
    """What a version is made from."""

    job: str
    model: str
    dataset: str
    bundle_key: str
    created_by: str


@dataclass(frozen=True)
class Registration:
    """A version to come: its writes go into the write that completes the training job."""

    registered: StoredVersion
    writes: Sequence[Write]


class Registrar:
    def __init__(self, *, records: RecordStore, objects: ObjectStore, clock: Clock, mirroring: ModelMirroring) -> None:
        self._mirroring = mirroring
        self._objects = objects
        self._clock = clock
        self._models = model_collection(records)

    def prepare(self, source: Source) -> Registration:
        """Read the bundle, keep its reports, and plan the next version of the model.

        Raises:
            NotFound, Invalid, pydantic.ValidationError: there is no bundle, or it is not one.
        """
        members = read_members(self._objects, source.bundle_key, {MANIFEST, EVALUATION, MODEL_CARD})
        manifest = Manifest.model_validate_json(members[MANIFEST])
        evaluation = Evaluation.model_validate_json(members[EVALUATION])
        for name, content in members.items():
            self._objects.put(f"{_prefix(source)}/{name}", content)
        now = rfc3339(self._clock())
        group = self._models.find(source.model) or Stored(ModelRecord(model=source.model, created_at=now), 0)
        version = self._version(source, manifest, evaluation, group.value.last_number + 1, now)
        check_purpose(group.value, manifest.target, manifest.problem_type)
        kept = {"last_number": version.number, "target": manifest.target, "problem_type": manifest.problem_type}
        taken = group.with_value(group.value.model_copy(update=kept))
        return Registration(version, [self._models.to_put(taken), *self._mirroring.due(None, Stored(version, 0))])

    def _version(
        self, source: Source, manifest: Manifest, evaluation: Evaluation, number: int, now: str
    ) -> StoredVersion:
        info = self._objects.info(source.bundle_key)
        return StoredVersion(
            version=version_id(source.model, number),
            model=source.model,
            number=number,
            approval_status="PendingManualApproval",
            algorithm=manifest.algorithm,
            problem_type=manifest.problem_type,
            objective=evaluation.objective,
            metrics=evaluation.metrics,
            objective_value=evaluation.metrics.get(evaluation.objective),
            dataset=source.dataset,
            training_job=source.job,
            created_at=now,
            created_by=source.created_by,
            target=manifest.target,
            bundle_key=source.bundle_key,
            report_prefix=_prefix(source),
            bundle_sha256=sha256_of(self._objects, source.bundle_key),
            size_bytes=info.size,
            mirror_due=self._mirroring.active,
        )


def check_purpose(model: ModelRecord, target: str, problem_type: ProblemType | None) -> None:
    """One model answers one question: clients of its endpoint rely on it. Raises Invalid."""
    differs = model.target not in (None, target) or (
        problem_type is not None and model.problem_type not in (None, problem_type)
    )
    if differs:
        asked = f"{target!r}" + (f" as {problem_type}" if problem_type else "")
        raise Invalid(
            f"Versions of {model.model} predict {model.target!r} ({model.problem_type}), not {asked}. "
            "Give the job another model name: mlops train start --model NAME",
            [{"field": "model", "message": f"predicts {model.target!r} ({model.problem_type})"}],
        )


def _prefix(source: Source) -> str:
    return f"models/{source.job}"
