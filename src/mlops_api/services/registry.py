"""The model registry: approval, aliases, rollback. How a version comes to be: registration; reading: model_reading.

A decision reads what it rests on at once (scenes), and is one write on condition that none of it has changed.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from mlops_api.domain.errors import Conflict, Forbidden, NotFound
from mlops_api.domain.models import (
    ApprovalStatus,
    Approve,
    Decision,
    ModelVersion,
    Reject,
    Rollback,
    SetAlias,
    check_transition,
)
from mlops_api.domain.names import CHAMPION, VersionRef, parse_version, version_id
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import Check, ObjectStore, OutsideVersion, RecordStore, Write
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.endpoint_records import single
from mlops_api.services.endpoints import EndpointService
from mlops_api.services.idempotency import Idempotency, IdempotentCall
from mlops_api.services.mirroring import ModelMirroring
from mlops_api.services.model_reading import ModelReading
from mlops_api.services.model_records import ModelRecord, StoredVersion
from mlops_api.services.policy import Policy
from mlops_api.services.principal import Principal
from mlops_api.services.registration import Registrar
from mlops_api.services.scenes import Scene

_DECISIONS_KEPT = 40
"""On the version's record, which has to stay below 350 kB with the longest comments; the activity keeps all."""

_LOOKED_BACK = 90
"""Earlier champions, newest first: as many as are read at once with the rest."""

Decide = Callable[[Scene], Scene]
"""Takes what a decision rests on, writes it, and returns what was written."""


class RegistryService(ModelReading):
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
        super().__init__(records=records, objects=objects, policy=policy)
        self.mirroring = mirroring
        self._records = records
        self._deployments = endpoints.deployments
        self._activity = activity
        self._idempotency = idempotency
        self._clock = clock
        self._models = self.resolver.models
        self.registrar = Registrar(records=records, objects=objects, clock=clock, mirroring=mirroring)

    def _decided(self, call: IdempotentCall, reference: VersionRef, decide: Decide) -> Scene:
        """What `decide` has written about the version that `reference` means, or what an earlier call decided."""
        return call.once(lambda: self._decide_once(call, reference, decide), what=reference.name)

    def _decide_once(self, call: IdempotentCall, reference: VersionRef, decide: Decide) -> Scene:
        read = self._scenes.begun(reference.name, [reference], call.names)
        earlier = call.earlier_result(read)
        if earlier is not None:
            return self._scenes.of(reference.name, [parse_version(earlier)], read)
        return decide(self._scenes.of(reference.name, [reference], read))

    # ---- approval

    def approve(self, by: Principal, version: str, request: Approve, idempotency_key: str | None) -> ModelVersion:
        """Raises Conflict naming the status and what is allowed, Forbidden when a second person must approve."""
        call = self._idempotency.call(by, "approve", idempotency_key, version + request.model_dump_json())
        reference = parse_version(version, what="model version")
        scene = self._decided(call, reference, lambda scene: self._approve(by, scene, request, call))
        if request.deploy:
            scene = self._deployments.launch(scene)
        return self._decided_upon(scene)

    def _approve(self, by: Principal, scene: Scene, request: Approve, call: IdempotentCall) -> Scene:
        [stored] = scene.versions.values()
        if self._policy.second_approver and stored.value.created_by == by.name:
            raise Forbidden(f"{stored.value.version} was trained by {by.name}: someone else has to approve it.")
        if request.deploy and stored.value.approval_status == "Approved":  # approved before, to be served now
            writes: list[Write] = [Check("model-version", stored.value.version, stored.revision)]
        else:
            stored, writes = self._decide(by, stored, "Approved", request.comment)
            scene = scene.with_version(stored.written())
        if request.deploy:
            one = single(stored.value.model, stored.value.number)
            plan = self._deployments.plan(by, scene, one, promote=stored.value.number)
            writes, scene = [*writes, *plan.writes], plan.scene
        self._records.write([*writes, *call.writes(stored.value.version)])
        return scene

    def reject(self, by: Principal, version: str, request: Reject, idempotency_key: str | None = None) -> ModelVersion:
        """Raises Conflict for a version that serves or is the champion: replace it first."""
        call = self._idempotency.call(by, "reject", idempotency_key, version + request.model_dump_json())
        reference = parse_version(version, what="model version")
        return self._decided_upon(self._decided(call, reference, lambda scene: self._reject(by, scene, request, call)))

    def _reject(self, by: Principal, scene: Scene, request: Reject, call: IdempotentCall) -> Scene:
        [stored] = scene.versions.values()
        model = scene.model.value.model
        self._check_unused(stored.value, scene)
        guards = [
            Check("model", model, scene.model.revision),
            Check("endpoint", model, scene.endpoint.revision if scene.endpoint else 0),
        ]
        stored, writes = self._decide(by, stored, "Rejected", request.comment)
        self._records.write([*writes, *guards, *call.writes(stored.value.version)])
        return scene.with_version(stored.written())

    def _check_unused(self, version: StoredVersion, scene: Scene) -> None:
        check_transition(version.version, version.approval_status, "Rejected")
        endpoint = scene.endpoint.value if self._has_endpoint(scene) and scene.endpoint else None
        serves = endpoint is not None and version.version in endpoint.versions
        if serves or scene.model.value.aliases.get(CHAMPION) == version.number:
            raise Conflict(
                f"{version.version} is the champion or serves behind the endpoint {version.model}. Let another version "
                f"serve first: mlops endpoints put {version.model}, or mlops models rollback {version.model}",
                status_now=version.approval_status,
            )

    def _has_endpoint(self, scene: Scene) -> bool:
        return scene.endpoint is not None and not self._deployments.is_gone(scene.endpoint.value)

    def _decide(
        self, by: Principal, stored: Stored[StoredVersion], status: ApprovalStatus, comment: str
    ) -> tuple[Stored[StoredVersion], list[Write]]:
        """The version with the decision, and the writes of it."""
        version = stored.value
        check_transition(version.version, version.approval_status, status)
        decision = Decision(at=rfc3339(self._clock()), by=by.name, action=status, comment=comment)
        decided = stored.with_value(
            version.model_copy(
                update={
                    "approval_status": status,
                    "decisions": [*version.decisions, decision][-_DECISIONS_KEPT:],
                    "mirror_due": self.mirroring.active,
                }
            )
        )
        entry = self._activity.entry(
            by, f"model.{status.lower()}", version.version, detail=comment, path=f"/models/{version.version}"
        )
        return decided, [*self.mirroring.due(version, decided), entry]

    def _decided_upon(self, scene: Scene) -> ModelVersion:
        for stored in scene.versions.values():
            self.mirroring.show(stored.value)
        return self._shown(scene)

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
        reference = parse_version(request.version)
        if reference.name != model:
            raise Conflict(f"{request.version} is not a version of {model}.")
        call = self._idempotency.call(by, f"alias-{model}-{alias}", idempotency_key, request.model_dump_json())
        if alias != CHAMPION:
            return self._shown(self._decided(call, reference, lambda scene: self._name(by, scene, alias, call)))
        crowned = self._decided(
            call, reference, lambda scene: self._crown(by, scene, request.comment, call, rollback=False)
        )
        return self._shown(self._deployments.launch(crowned))

    def _name(self, by: Principal, scene: Scene, alias: str, call: IdempotentCall) -> Scene:
        [version] = (stored.value for stored in scene.versions.values())
        if version.approval_status == "Rejected":
            raise Conflict(f"{version.version} is Rejected; an alias may name any other version.")
        aliases = scene.model.value.aliases | {alias: version.number}
        changed = scene.model.with_value(scene.model.value.model_copy(update={"aliases": aliases}))
        self._write_model(by, changed, "model.alias", f"{alias} -> {version.version}", call.writes(version.version))
        return replace(scene, model=changed.written())

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
        changed = group.with_value(group.value.model_copy(update={"aliases": left}))
        self._write_model(by, changed, "model.alias_delete", alias)

    def rollback(
        self, by: Principal, model: str, request: Rollback, idempotency_key: str | None = None
    ) -> ModelVersion:
        """The champion goes back to the one before it that is still Approved. Raises Conflict when there is none."""
        call = self._idempotency.call(by, "rollback", idempotency_key, model + request.model_dump_json())
        scene = call.once(lambda: self._rollback_once(by, model, request, call), what=model)
        return self._shown(self._deployments.launch(scene))

    def _rollback_once(self, by: Principal, model: str, request: Rollback, call: IdempotentCall) -> Scene:
        read = self._scenes.begun(model, (), call.names)
        earlier = call.earlier_result(read)
        if earlier is not None:
            return self._scenes.of(model, [parse_version(earlier)], read)
        group = read.get(self._models, model).value
        current = group.aliases.get(CHAMPION)
        numbers = [number for number in reversed(group.champions[:-1]) if number != current]
        scene = self._scenes.with_numbers(model, numbers[:_LOOKED_BACK], read)
        for number in numbers:
            stored = scene.versions.get(version_id(model, number))
            if stored is not None and stored.value.approval_status == "Approved":
                one = replace(scene, versions={stored.value.version: stored})
                return self._crown(by, one, request.comment, call, rollback=True)
        raise Conflict(f"{model} has no earlier approved champion to go back to.", champion=current)

    def _crown(self, by: Principal, scene: Scene, comment: str, call: IdempotentCall, *, rollback: bool) -> Scene:
        [stored] = scene.versions.values()
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
        if self._has_endpoint(scene):
            one = single(version.model, version.number)
            plan = self._deployments.plan(by, scene, one, promote=version.number, rollback=rollback)
            self._records.write([*plan.writes, *others])
            return plan.scene
        crowned = scene.model.with_value(scene.model.value.crowned(version, rollback=rollback))
        self._records.write([self._models.to_put(crowned), *others])
        return replace(scene, model=crowned.written())

    def _write_model(
        self, by: Principal, changed: Stored[ModelRecord], action: str, detail: str, others: Sequence[Write] = ()
    ) -> None:
        name = changed.value.model
        entry = self._activity.entry(by, action, name, detail=detail, path=f"/models?model={name}")
        self._records.write([self._models.to_put(changed), entry, *others])
