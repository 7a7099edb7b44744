"""Deployments: written into the endpoint's record as `pending` first, then the host is asked.

What the host reports back is judged against the record, never against the event, so repeated and late events do no
harm. The champion alias moves in the same write that records the deployment's success: it never names a version
that does not answer.

A host goes on telling of a failure until it is asked for something else. So a plan remembers what failure the host had
to tell of before (`seen`), and only another one is taken for its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlops_api.domain.errors import AlreadyExists, Conflict, Invalid, NotFound, PlatformError, RevisionMismatch
from mlops_api.domain.inference import EndpointStatus, Variant
from mlops_api.domain.names import parse_version, version_id
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import EndpointHost, EndpointState, RecordStore, VariantSpec, Write
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.endpoint_records import PATH, StoredEndpoint, endpoint_collection
from mlops_api.services.model_records import StoredVersion
from mlops_api.services.principal import PLATFORM, Principal
from mlops_api.services.repair import begin
from mlops_api.services.scenes import Scene, Scenes

_NOTHING_SEEN = ""


@dataclass(frozen=True)
class Plan:
    """The writes of a deployment to come, and the scene once they are written; `launch` it then."""

    writes: Sequence[Write]
    scene: Scene


class Deployments:
    def __init__(self, *, records: RecordStore, host: EndpointHost, activity: ActivityLog, clock: Clock) -> None:
        self._records = records
        self._host = host
        self._activity = activity
        self._clock = clock
        self._scenes = Scenes(records)
        self._endpoints = endpoint_collection(records)
        self._models = self._scenes.resolver.models

    # ---- planning

    def plan(
        self, by: Principal, scene: Scene, variants: Sequence[Variant], *, promote: int | None, rollback: bool = False
    ) -> Plan:
        """Raises Conflict while the endpoint is being deleted."""
        model = scene.model.value.model
        base = self._to_change(scene)
        names = ", ".join(variant.model_version for variant in variants)
        entry = self._activity.entry(by, "endpoint.deploy", model, detail=names, path=f"{PATH}/{model}")
        wanted = base.value.model_copy(
            update={
                "status": "Updating" if base.value.variants else "Creating",
                "pending": list(variants),
                "promote": promote,
                "rollback": rollback,
                "seen": self._seen(base.value),
                "failure_reason": None,
                "updated_at": rfc3339(self._clock()),
            }
        )
        scene = replace(scene, endpoint=base.with_value(wanted))
        if base.value.status == "InService" and not base.value.pending and _same(base.value.variants, variants):
            plan = self._success(scene)  # it answers already: nothing has to be waited for
            return replace(plan, writes=[*plan.writes, entry])
        endpoint = base.with_value(wanted)
        return Plan([self._endpoints.to_put(endpoint), entry], replace(scene, endpoint=endpoint.written()))

    def _to_change(self, scene: Scene) -> Stored[StoredEndpoint]:
        """The endpoint as it is, or a new one in the place of one whose deletion is over."""
        model, found = scene.model.value.model, scene.endpoint
        if found is not None and not self.is_gone(found.value):
            if found.value.status == "Deleting":
                raise Conflict(f"The endpoint {model} is being deleted. Try again in a moment.", status_now="Deleting")
            return found
        now = rfc3339(self._clock())
        new = StoredEndpoint(
            endpoint=model, model=model, status="Creating", variants=[], created_at=now, updated_at=now
        )
        return Stored(new, 0) if found is None else found.with_value(new)

    def is_gone(self, endpoint: StoredEndpoint) -> bool:
        """Its deletion is over, whatever its record says."""
        return endpoint.status == "Deleting" and not self.is_hosted(endpoint.endpoint)

    def is_hosted(self, endpoint: str) -> bool:
        try:
            self._host.describe(endpoint)
        except NotFound:
            return False
        return True

    def _seen(self, endpoint: StoredEndpoint) -> str | None:
        if not endpoint.pending and endpoint.failure_reason is None:
            return _NOTHING_SEEN
        try:
            state = self._host.describe(endpoint.endpoint)
        except NotFound:
            return _NOTHING_SEEN
        except PlatformError:
            return None
        return None if state.pending else state.changed_at

    # ---- asking the host

    def launch(self, scene: Scene) -> Scene:
        """Ask the host for what is pending; the scene as it is then. What fails for now, reconcile tries again."""
        endpoint = scene.endpoint
        if endpoint is None or not endpoint.value.pending:
            return scene
        return begin(lambda: self._launch(scene, endpoint), endpoint.value.endpoint) or scene

    def _launch(self, scene: Scene, endpoint: Stored[StoredEndpoint]) -> Scene:
        try:
            refused = self._ask_host(endpoint, scene)
            if refused is not None:
                return replace(scene, endpoint=refused)
            state = self._host.describe(endpoint.value.endpoint)
            if not state.pending and _same(state.serving, endpoint.value.pending):  # at once, and there is no event
                return self._succeed(scene)
        except (AlreadyExists, RevisionMismatch):  # somebody else was quicker: judge again
            self.settle(endpoint.value.endpoint)
        return scene

    def _ask_host(self, endpoint: Stored[StoredEndpoint], scene: Scene) -> Stored[StoredEndpoint] | None:
        """None: it is asked. Else it will never do it, and this is the endpoint after that."""
        try:
            self._host.deploy(endpoint.value.endpoint, self._specs(endpoint.value.pending, scene))
        except Invalid as error:
            status: EndpointStatus = "InService" if endpoint.value.variants else "Failed"
            return self._fail(endpoint, status, error.detail[:1024])
        return None

    def _specs(self, variants: Sequence[Variant], scene: Scene) -> list[VariantSpec]:
        keys = dict(scene.bundle_keys())
        missing = [variant.model_version for variant in variants if variant.model_version not in keys]
        if missing:
            versions = self._scenes.resolver.versions.find_many(missing)
            keys |= {version: value.bundle_key for version, value in versions.items()}
        return [
            VariantSpec(variant.variant, variant.model_version, keys[variant.model_version], variant.weight)
            for variant in variants
        ]

    def restore(self, endpoint: StoredEndpoint) -> None:
        """Bring back what should serve, where the host has lost it."""
        if endpoint.pending or not endpoint.variants or self.is_hosted(endpoint.endpoint):
            return
        read = self._scenes.of(endpoint.model, [parse_version(each) for each in sorted(endpoint.versions)])
        self._host.deploy(endpoint.endpoint, self._specs(endpoint.variants, read))

    # ---- judging

    def settle(self, endpoint: str) -> None:
        """Record how a deployment ended, if it has. Repeats change nothing."""
        # Another deployment or another delivery may come between: judge again then.
        until_unbeaten(lambda: self._settle(endpoint), what=endpoint)

    def _settle(self, name: str) -> None:
        read = self._scenes.begun(name)
        endpoint = read.find(self._endpoints, name)
        if endpoint is None or not endpoint.value.pending:
            return
        scene = self._scenes.of(name, (), read)
        try:
            state = self._host.describe(name)
        except NotFound:
            self._ask_host(endpoint, scene)  # recorded, but the host was never asked
            return
        if state.pending or state.status in ("Creating", "Updating", "Deleting"):
            return
        if _same(state.serving, endpoint.value.pending):
            self._succeed(scene)
        elif state.failure_reason is not None:
            self._judge_failure(endpoint, state, scene)
        else:
            self._ask_host(endpoint, scene)

    def _judge_failure(self, endpoint: Stored[StoredEndpoint], state: EndpointState, scene: Scene) -> None:
        seen = endpoint.value.seen
        if seen is not None and state.changed_at != seen:
            self._fail(endpoint, "InService" if state.serving else "Failed", state.failure_reason or "")
            return
        if seen is None:  # whose failure it is cannot be told: from now on it can
            endpoint = self._endpoints.save(
                endpoint.with_value(endpoint.value.model_copy(update={"seen": state.changed_at}))
            )
        self._ask_host(endpoint, scene)

    def _succeed(self, scene: Scene) -> Scene:
        plan = self._success(scene)
        after = plan.scene.endpoint
        entry = self._ended("endpoint.in_service", after.value if after else None)
        self._records.write([*plan.writes, *entry])
        return plan.scene

    def _success(self, scene: Scene) -> Plan:
        """What is pending serves, and the champion is what it waited for."""
        before = scene.endpoint
        if before is None:
            return Plan([], scene)
        after = before.with_value(self._moved(before.value, status="InService", variants=before.value.pending))
        writes: list[Write] = [self._endpoints.to_put(after)]
        model = scene.model
        if before.value.promote is not None:
            promoted = self._promoted(scene, version_id(before.value.model, before.value.promote))
            crowned = model.value.crowned(promoted, rollback=before.value.rollback)
            if crowned != model.value:
                writes.append(self._models.to_put(model.with_value(crowned)))
                model = model.with_value(crowned).written()
        return Plan(writes, replace(scene, endpoint=after.written(), model=model))

    def _promoted(self, scene: Scene, version: str) -> StoredVersion:
        return (scene.versions.get(version) or self._scenes.resolver.versions.get(version)).value

    def _fail(self, stored: Stored[StoredEndpoint], status: EndpointStatus, reason: str) -> Stored[StoredEndpoint]:
        after = stored.with_value(self._moved(stored.value, status=status, failure_reason=reason))
        self._records.write([self._endpoints.to_put(after), *self._ended("endpoint.deploy_failed", after.value)])
        return after.written()

    def _moved(self, endpoint: StoredEndpoint, **changes: Any) -> StoredEndpoint:
        """With nothing pending any more."""
        settled: Mapping[str, Any] = {
            "pending": [],
            "promote": None,
            "seen": None,
            "failure_reason": None,
            "updated_at": rfc3339(self._clock()),
        }
        return endpoint.model_copy(update={**settled, **changes})

    def _ended(self, action: str, endpoint: StoredEndpoint | None) -> list[Write]:
        if endpoint is None:
            return []
        serving = ", ".join(variant.model_version for variant in endpoint.variants)
        return [
            self._activity.entry(
                PLATFORM,
                action,
                endpoint.endpoint,
                detail=endpoint.failure_reason or serving,
                path=f"{PATH}/{endpoint.endpoint}",
            )
        ]


def _same(one: Sequence[VariantSpec] | Sequence[Variant], other: Sequence[VariantSpec] | Sequence[Variant]) -> bool:
    return _key(one) == _key(other)


def _key(variants: Sequence[VariantSpec] | Sequence[Variant]) -> set[tuple[str, str, str]]:
    """A host may keep weights in single precision, which is exact to six digits."""
    return {(item.variant, item.model_version, f"{item.weight:.6g}") for item in variants}
