"""The model registry: versions, approval, aliases, comparison. How a version comes to be: registration."""

from collections.abc import Sequence

from mlops_api.domain.comparison import compare
from mlops_api.domain.errors import Conflict, Forbidden, Invalid, NotFound
from mlops_api.domain.models import (
    ApprovalStatus,
    Approve,
    Card,
    Comparison,
    Decision,
    DownloadUrl,
    ModelVersion,
    ModelVersionPage,
    ModelVersionSummary,
    Reject,
    Rollback,
    SetAlias,
    check_transition,
)
from mlops_api.domain.names import CHAMPION, VersionRef, parse_model, parse_version, version_id
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import Check, Index, ObjectStore, OutsideVersion, RecordStore, Write
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.endpoints import EndpointService, champion, single
from mlops_api.services.idempotency import Idempotency, IdempotentCall
from mlops_api.services.mirroring import ModelMirroring
from mlops_api.services.model_records import VERSIONS, ModelRecord, ModelResolver, StoredVersion
from mlops_api.services.policy import Policy
from mlops_api.services.principal import Principal
from mlops_api.services.registration import Registrar, check_purpose
from mlops_api.services.repair import begin
from mlops_contracts.bundle import EVALUATION, MANIFEST, MODEL_CARD, Manifest
from mlops_contracts.evaluation import Evaluation
from mlops_contracts.hyperparameters import ProblemType

_DECISIONS_KEPT = 40
"""On the version's record, which has to stay below 350 kB with the longest comments; the activity keeps all."""


class RegistryService:
    def __init__(
        self,
        *,
        records: RecordStore,
        objects: ObjectStore,
        endpoints: EndpointService,
        mirroring: ModelMirroring,
        activity: ActivityLog,
        idempotency: Idempotency,
        policy: Policy,
        clock: Clock,
    ) -> None:
        self.mirroring = mirroring
        self._records = records
        self._objects = objects
        self._endpoints = endpoints
        self._activity = activity
        self._idempotency = idempotency
        self._policy = policy
        self._clock = clock
        self._resolver = ModelResolver(records)
        self._models = self._resolver.models
        self._versions = self._resolver.versions
        self.registrar = Registrar(records=records, objects=objects, clock=clock, mirrors=mirroring.active)

    # ---- reading

    def get(self, version: str) -> ModelVersion:
        stored = self._find(version).value
        manifest = self._manifest(stored)
        model = self._models.get(stored.model).value
        found = self._endpoints.find(stored.model)
        return ModelVersion(
            **(stored.model_dump() | {"aliases": model.names_of(stored.number)}),
            signature=list(manifest.features),
            classes=list(manifest.classes),
            threshold=manifest.threshold,
            hyperparameters=manifest.hyperparameters,
            importance=manifest.importance,
            deployment=found.value.status if found and stored.version in _versions_of(found.value) else None,
        )

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
        index, partition = _partition(model, status, by_metric)
        page = self._versions.page(index, partition, descending=descending, limit=limit, token=token)
        groups = self._models.find_many([value.model for value in page.values])
        summaries = [_summary(value, groups.get(value.model)) for value in page.values]
        return ModelVersionPage(models=summaries, next_token=page.next_token)

    def evaluation(self, version: str) -> Evaluation:
        return Evaluation.model_validate_json(self._file(self._find(version).value, EVALUATION))

    def card(self, version: str) -> Card:
        stored = self._find(version).value
        return Card(version=stored.version, markdown=self._file(stored, MODEL_CARD).decode())

    def bundle(self, version: str) -> DownloadUrl:
        stored = self._find(version).value
        url, expires_at = self._objects.download_url(
            stored.bundle_key,
            filename=f"{stored.model}-{stored.number}.tar.gz",
            expires_in=self._policy.download_seconds,
        )
        return DownloadUrl(url=url, expires_at=expires_at, size_bytes=stored.size_bytes, sha256=stored.bundle_sha256)

    def compare(self, left: str, right: str) -> Comparison:
        one, other = self._find(left).value, self._find(right).value
        return compare(one.version, self._manifest(one), other.version, self._manifest(other))

    # ---- approval

    def approve(self, by: Principal, version: str, request: Approve, idempotency_key: str | None) -> ModelVersion:
        """Raises Conflict naming the status and what is allowed, Forbidden when a second person must approve."""
        call = self._idempotency.call(by, "approve", idempotency_key, version + request.model_dump_json())
        approved = call.once(lambda: self._approve_once(by, version, request, call), what=version)
        if request.deploy:
            self._launch(parse_version(approved).name)
        self.mirroring.push(approved)
        return self.get(approved)

    def _approve_once(self, by: Principal, version: str, request: Approve, call: IdempotentCall) -> str:
        stored = self._find(version)
        if self._policy.second_approver and stored.value.created_by == by.name:
            raise Forbidden(f"{stored.value.version} was trained by {by.name}: someone else has to approve it.")
        if request.deploy and stored.value.approval_status == "Approved":  # approved before, to be served now
            writes: list[Write] = [Check("model-version", stored.value.version, stored.revision)]
        else:
            writes = self._decide(by, stored, "Approved", request.comment)
        if request.deploy:
            one = single(stored.value.model, stored.value.number)
            writes += self._endpoints.plan(by, stored.value.model, one, promote=stored.value.number)
        self._records.write([*writes, *call.writes(stored.value.version)])
        return stored.value.version

    def reject(self, by: Principal, version: str, request: Reject, idempotency_key: str | None = None) -> ModelVersion:
        """Raises Conflict for a version that serves or is the champion: replace it first."""
        call = self._idempotency.call(by, "reject", idempotency_key, version + request.model_dump_json())
        rejected = call.once(lambda: self._reject_once(by, version, request, call), what=version)
        self.mirroring.push(rejected)
        return self.get(rejected)

    def _reject_once(self, by: Principal, version: str, request: Reject, call: IdempotentCall) -> str:
        stored = self._find(version)
        model = self._models.get(stored.value.model)
        found = self._endpoints.find(stored.value.model)
        self._check_unused(stored.value, model.value, _versions_of(found.value) if found else set())
        guards = [
            Check("model", model.value.model, model.revision),
            Check("endpoint", model.value.model, found.revision if found else 0),
        ]
        decision = self._decide(by, stored, "Rejected", request.comment)
        self._records.write([*decision, *guards, *call.writes(stored.value.version)])
        return stored.value.version

    def _check_unused(self, version: StoredVersion, model: ModelRecord, serving: set[str]) -> None:
        check_transition(version.version, version.approval_status, "Rejected")
        if model.aliases.get(CHAMPION) == version.number or version.version in serving:
            raise Conflict(
                f"{version.version} is the champion or serves behind the endpoint {version.model}. Let another version "
                f"serve first: mlops endpoints put {version.model}, or mlops models rollback {version.model}",
                status_now=version.approval_status,
            )

    def _decide(
        self, by: Principal, stored: Stored[StoredVersion], status: ApprovalStatus, comment: str
    ) -> list[Write]:
        version = stored.value
        check_transition(version.version, version.approval_status, status)
        decision = Decision(at=rfc3339(self._clock()), by=by.name, action=status, comment=comment)
        decided = version.model_copy(
            update={
                "approval_status": status,
                "decisions": [*version.decisions, decision][-_DECISIONS_KEPT:],
                "mirror_due": self.mirroring.active,
            }
        )
        entry = self._activity.entry(
            by, f"model.{status.lower()}", version.version, detail=comment, path=f"/models/{version.version}"
        )
        return [self._versions.to_put(stored.with_value(decided)), entry]

    def _launch(self, model: str) -> None:
        begin(lambda: self._endpoints.launch(model), model)

    # ---- decisions taken outside

    def on_package_change(self, reference: str) -> None:
        """React to an event of the registry outside: a decision taken there holds if it may be taken here."""
        self.mirroring.react(reference, self._decide_as_outside)

    def _decide_as_outside(self, outside: OutsideVersion) -> None:
        """Raises Conflict, or Forbidden where a second person must approve: nobody here knows who that was."""
        by = Principal(f"outside:{outside.by or 'unknown'}")
        comment = outside.comment[:2000]
        if outside.approval_status == "Rejected":
            self.reject(by, outside.version, Reject(comment=comment))
            return
        if self._policy.second_approver:
            raise Forbidden(f"{outside.version} needs a second approver; approve it here, where people are known.")
        self.approve(by, outside.version, Approve(comment=comment), None)

    # ---- aliases and the champion

    def set_alias(
        self, by: Principal, model: str, alias: str, request: SetAlias, idempotency_key: str | None = None
    ) -> ModelVersion:
        """Point an alias at a version. `champion` needs an Approved one and, where the model has an endpoint,
        moves once that version answers there."""
        call = self._idempotency.call(by, f"alias-{model}-{alias}", idempotency_key, request.model_dump_json())
        version = call.once(lambda: self._set_alias_once(by, model, alias, request, call), what=model)
        if alias == CHAMPION:
            self._launch(model)
        return self.get(version)

    def _set_alias_once(self, by: Principal, model: str, alias: str, request: SetAlias, call: IdempotentCall) -> str:
        reference = parse_version(request.version)
        stored = self._resolver.version(reference)
        if reference.name != model:
            raise Conflict(f"{request.version} is not a version of {model}.")
        if alias == CHAMPION:
            return self._crown(by, stored, request.comment, call, rollback=False)
        if stored.value.approval_status == "Rejected":
            raise Conflict(f"{stored.value.version} is Rejected; an alias may name any other version.")
        group = self._models.get(model)
        changed = group.value.model_copy(update={"aliases": group.value.aliases | {alias: stored.value.number}})
        detail = f"{alias} -> {stored.value.version}"
        self._write_model(by, group, changed, "model.alias", detail, call.writes(stored.value.version))
        return stored.value.version

    def delete_alias(self, by: Principal, model: str, alias: str) -> None:
        """Raises NotFound, and Conflict for champion, which can only be moved."""
        until_unbeaten(lambda: self._delete_alias_once(by, model, alias), what=model)

    def _delete_alias_once(self, by: Principal, model: str, alias: str) -> None:
        group = self._models.get(model)
        if alias == CHAMPION:
            raise Conflict("The champion can be moved to another version, not removed.")
        if alias not in group.value.aliases:
            raise NotFound(f"{model} has no alias {alias!r}.", aliases=sorted(group.value.aliases))
        left = {name: number for name, number in group.value.aliases.items() if name != alias}
        self._write_model(by, group, group.value.model_copy(update={"aliases": left}), "model.alias_delete", alias)

    def rollback(
        self, by: Principal, model: str, request: Rollback, idempotency_key: str | None = None
    ) -> ModelVersion:
        """The champion goes back to the one before it that is still Approved. Raises Conflict when there is none."""
        call = self._idempotency.call(by, "rollback", idempotency_key, model + request.model_dump_json())
        version = call.once(lambda: self._rollback_once(by, model, request, call), what=model)
        self._launch(model)
        return self.get(version)

    def _rollback_once(self, by: Principal, model: str, request: Rollback, call: IdempotentCall) -> str:
        group = self._models.get(model).value
        current = group.aliases.get(CHAMPION)
        for number in reversed(group.champions[:-1]):
            stored = self._versions.get(version_id(model, number))
            if number != current and stored.value.approval_status == "Approved":
                return self._crown(by, stored, request.comment, call, rollback=True)
        raise Conflict(f"{model} has no earlier approved champion to go back to.", champion=current)

    def _crown(
        self, by: Principal, stored: Stored[StoredVersion], comment: str, call: IdempotentCall, *, rollback: bool
    ) -> str:
        version = stored.value
        if version.approval_status != "Approved":
            raise Conflict(
                f"{version.version} is {version.approval_status}; the champion must be Approved.",
                status_now=version.approval_status,
            )
        guard = Check("model-version", version.version, stored.revision)
        action = "model.rollback" if rollback else "model.champion"
        entry = self._activity.entry(by, action, version.version, detail=comment, path=f"/models/{version.version}")
        others: list[Write] = [guard, entry, *call.writes(version.version)]
        if self._endpoints.find(version.model) is not None:
            one = single(version.model, version.number)
            plan = self._endpoints.plan(by, version.model, one, promote=version.number, rollback=rollback)
            self._records.write([*plan, *others])
        else:
            group = self._models.get(version.model)
            crowned = champion(group.value, version.number, rollback)
            self._records.write([self._models.to_put(group.with_value(crowned)), *others])
        return version.version

    def _write_model(
        self,
        by: Principal,
        group: Stored[ModelRecord],
        changed: ModelRecord,
        action: str,
        detail: str,
        others: Sequence[Write] = (),
    ) -> None:
        entry = self._activity.entry(by, action, changed.model, detail=detail, path=f"/models?model={changed.model}")
        self._records.write([self._models.to_put(group.with_value(changed)), entry, *others])

    # ---- for other services

    def check_purpose(self, model: str, target: str, problem_type: ProblemType | None) -> None:
        """Raises Invalid when the model's versions predict something else."""
        found = self._models.find(model)
        if found is not None:
            check_purpose(found.value, target, problem_type)

    def approved(self, reference: str) -> StoredVersion:
        """The version a name (its champion), alias or version means. Raises Conflict unless it is Approved."""
        version = self._resolver.version(parse_model(reference)).value
        if version.approval_status != "Approved":
            raise Conflict(
                f"{version.version} is {version.approval_status}. Approve it first: "
                f"mlops models approve {version.version}",
                status_now=version.approval_status,
            )
        return version

    def champion(self, model: str) -> StoredVersion | None:
        try:
            return self._resolver.version(VersionRef(model, None, CHAMPION)).value
        except NotFound:
            return None

    def bundle_key(self, version: str) -> str:
        """Where its bundle lies. Raises NotFound."""
        return self._versions.get(version).value.bundle_key

    def version_for(self, reference: VersionRef) -> str:
        """The id of the version a reference means. Raises NotFound."""
        return self._resolver.version(reference).value.version

    # ---- helpers

    def _find(self, version: str) -> Stored[StoredVersion]:
        return self._resolver.version(parse_version(version, what="model version"))

    def _manifest(self, version: StoredVersion) -> Manifest:
        return Manifest.model_validate_json(self._file(version, MANIFEST))

    def _file(self, version: StoredVersion, name: str) -> bytes:
        return self._objects.read(f"{version.report_prefix}/{name}")


def _versions_of(endpoint: object) -> set[str]:
    variants = [*getattr(endpoint, "variants", []), *getattr(endpoint, "pending", [])]
    return {variant.model_version for variant in variants}


def _partition(model: str | None, status: ApprovalStatus | None, by_metric: bool) -> tuple[Index, str]:
    if by_metric:
        if model is None or status is not None:
            raise Invalid("sort=metric ranks the versions of one model: give model, leave out approval_status.")
        return "rank", f"{VERSIONS}/{model}"
    if model is not None:
        return ("group_status", f"{VERSIONS}/{model}/{status}") if status else ("group", f"{VERSIONS}/{model}")
    return ("status", f"{VERSIONS}/{status}") if status else ("all", VERSIONS)


def _summary(version: StoredVersion, group: ModelRecord | None) -> ModelVersionSummary:
    aliases = group.names_of(version.number) if group else []
    return ModelVersionSummary.model_validate(version.model_dump() | {"aliases": aliases})
