"""Endpoints: which approved versions answer behind a model's name.

A deployment is written into the endpoint's record as `pending` first, then the host is asked; what the host
reports back is judged against the record, never against the event, so repeated and late events do no harm.
The champion alias moves in the same write that records the deployment's success: it never names a version that
does not answer.

    (none) --deploy--> Creating --> InService --deploy--> Updating --> InService
                           '-> Failed                         '-> InService with failure_reason (the old ones serve)
    any --delete--> Deleting --> (none)     once the host knows it no more; nothing can be deployed before
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress

from mlops_api.domain.errors import Conflict, Invalid, NotFound, RevisionMismatch
from mlops_api.domain.inference import Endpoint, EndpointPage, EndpointStatus, PutEndpoint, Variant
from mlops_api.domain.names import parse_version, version_id
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import (
    Check,
    EndpointHost,
    EndpointState,
    Index,
    Place,
    RecordStore,
    VariantSpec,
    Write,
)
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Collection, Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.idempotency import Idempotency, IdempotentCall
from mlops_api.services.model_records import ModelRecord, ModelResolver, StoredVersion
from mlops_api.services.principal import PLATFORM, Principal
from mlops_api.services.repair import begin, each

_ALL = "endpoint"


class StoredEndpoint(Endpoint):
    """The record: the endpoint and the champion change that waits for the pending deployment.

    `launched`: the host was asked for what is pending, so a failure it reports is of this deployment.
    """

    launched: bool = False
    promote: int | None = None
    rollback: bool = False


def endpoint_collection(records: RecordStore) -> Collection[StoredEndpoint]:
    def places(endpoint: StoredEndpoint) -> Mapping[Index, Place]:
        failed = "Failed" if endpoint.failure_reason else endpoint.status
        return {
            "all": Place(_ALL, endpoint.created_at),
            "status": Place(f"{_ALL}/{failed}", endpoint.updated_at),
        }

    return Collection(
        records, "endpoint", StoredEndpoint, what="endpoint", key=lambda endpoint: endpoint.endpoint, places=places
    )


def variant_name(number: int) -> str:
    return f"v{number}"


class EndpointService:
    def __init__(
        self,
        *,
        records: RecordStore,
        host: EndpointHost,
        activity: ActivityLog,
        idempotency: Idempotency,
        clock: Clock,
    ) -> None:
        self._records = records
        self._host = host
        self._activity = activity
        self._idempotency = idempotency
        self._clock = clock
        self._endpoints = endpoint_collection(records)
        self._resolver = ModelResolver(records)

    # ---- reading

    def get(self, endpoint: str) -> Endpoint:
        """Raises NotFound."""
        self.find(endpoint)
        return _visible(self._endpoints.get(endpoint).value)

    def find(self, endpoint: str) -> Stored[StoredEndpoint] | None:
        """None also when its deletion turns out to be over."""
        found = self._endpoints.find(endpoint)
        if found is not None and found.value.status == "Deleting":
            self._forget_deleted(endpoint)
            return self._endpoints.find(endpoint)
        return found

    def page(self, *, limit: int, token: str | None) -> EndpointPage:
        page = self._endpoints.page("all", _ALL, limit=limit, token=token)
        return EndpointPage(endpoints=[_visible(value) for value in page.values], next_token=page.next_token)

    # ---- changing

    def put(self, by: Principal, endpoint: str, request: PutEndpoint, idempotency_key: str | None = None) -> Endpoint:
        """Deploy these variants. A single one also becomes the champion once it answers.

        Raises Invalid (a version of another model, a name twice) or Conflict (a version that is not Approved).
        """
        if len({variant.variant for variant in request.variants}) < len(request.variants):
            raise Invalid("Two variants have the same name. Give each its own.")
        call = self._idempotency.call(by, "put-endpoint", idempotency_key, endpoint + request.model_dump_json())
        call.once(lambda: self._put_once(by, endpoint, request, call), what=endpoint)
        begin(lambda: self.launch(endpoint), endpoint)
        return self.get(endpoint)

    def _put_once(self, by: Principal, endpoint: str, request: PutEndpoint, call: IdempotentCall) -> str:
        versions = [self._approved(endpoint, variant.model_version) for variant in request.variants]
        variants = [
            Variant(variant=asked.variant, model_version=stored.value.version, weight=asked.weight)
            for asked, stored in zip(request.variants, versions, strict=True)
        ]
        promote = versions[0].value.number if len(versions) == 1 else None
        checks = {
            stored.value.version: Check("model-version", stored.value.version, stored.revision) for stored in versions
        }
        writes = self.plan(by, endpoint, variants, promote=promote)
        self._records.write([*writes, *checks.values(), *call.writes(endpoint)])
        return endpoint

    def _approved(self, endpoint: str, version: str) -> Stored[StoredVersion]:
        stored = self._resolver.version(parse_version(version))
        if stored.value.model != endpoint:
            raise Invalid(f"{version} is not a version of {endpoint}; an endpoint has the name of its model.")
        if stored.value.approval_status != "Approved":
            raise Conflict(
                f"{version} is {stored.value.approval_status}. Only Approved versions can be deployed: "
                f"mlops models approve {version} --deploy",
                status_now=stored.value.approval_status,
            )
        return stored

    def plan(
        self, by: Principal, model: str, variants: Sequence[Variant], *, promote: int | None, rollback: bool = False
    ) -> list[Write]:
        """The writes that record a deployment to come; `launch` after they were written.

        Raises Conflict while the endpoint is being deleted.
        """
        now = rfc3339(self._clock())
        found = self.find(model)
        base = found or Stored(
            StoredEndpoint(endpoint=model, model=model, status="Creating", variants=[], created_at=now, updated_at=now),
            0,
        )
        if base.value.status == "Deleting":
            raise Conflict(f"The endpoint {model} is being deleted. Try again in a moment.", status_now="Deleting")
        endpoint = base.value.model_copy(
            update={
                "launched": False,
                "status": "Updating" if base.value.variants else "Creating",
                "pending": list(variants),
                "promote": promote,
                "rollback": rollback,
                "failure_reason": None,
                "updated_at": now,
            }
        )
        names = ", ".join(variant.model_version for variant in variants)
        entry = self._activity.entry(by, "endpoint.deploy", model, detail=names, path=f"/inference/endpoints/{model}")
        return [self._endpoints.to_put(base.with_value(endpoint)), entry]

    def launch(self, endpoint: str) -> None:
        """Ask the host for what the record says is pending; harmless when repeated."""
        found = self._endpoints.find(endpoint)
        if found is not None and found.value.pending:
            self._ask_host(found)
            self.on_endpoint_change(endpoint)  # what serves already is deployed at once, and makes no event

    def _ask_host(self, stored: Stored[StoredEndpoint]) -> None:
        endpoint = stored.value
        try:
            self._host.deploy(endpoint.endpoint, [self._spec(variant) for variant in endpoint.pending])
        except Invalid as error:  # and so it would be every time
            with suppress(RevisionMismatch):
                serving = [self._spec(variant) for variant in endpoint.variants]
                self._fail(stored, EndpointState(endpoint.status, serving, failure_reason=error.detail[:1024]))
            return
        if endpoint.launched:
            return
        with suppress(RevisionMismatch):  # settled or replaced already
            self._endpoints.save(stored.with_value(endpoint.model_copy(update={"launched": True})))

    def _spec(self, variant: Variant) -> VariantSpec:
        version = self._resolver.versions.get(variant.model_version).value
        return VariantSpec(variant.variant, variant.model_version, version.bundle_key, variant.weight)

    def delete(self, by: Principal, endpoint: str) -> None:
        """Stop serving; the champion keeps its alias. Raises NotFound."""
        until_unbeaten(lambda: self._mark_deleting(by, endpoint), what=endpoint)
        self._finish_deleting(endpoint)

    def _mark_deleting(self, by: Principal, endpoint: str) -> None:
        """Written first, so that a crash before the host was told cannot leave servers nobody knows of."""
        stored = self._endpoints.get(endpoint)
        if stored.value.status == "Deleting":
            return
        now = rfc3339(self._clock())
        doomed = stored.value.model_copy(
            update={"status": "Deleting", "pending": [], "promote": None, "failure_reason": None, "updated_at": now}
        )
        entry = self._activity.entry(by, "endpoint.delete", endpoint)
        self._records.write([self._endpoints.to_put(stored.with_value(doomed)), entry])

    def _finish_deleting(self, endpoint: str) -> None:
        self._host.delete(endpoint)
        self._forget_deleted(endpoint)

    def _forget_deleted(self, endpoint: str) -> None:
        """Drop the record of an endpoint whose deletion is over. Hosts delete in the background, and refuse a
        deployment meanwhile: without the record it would be accepted here and refused there."""
        stored = self._endpoints.find(endpoint)
        if stored is None or stored.value.status != "Deleting" or self._is_hosted(endpoint):
            return
        with suppress(RevisionMismatch):  # another one was quicker
            self._records.delete("endpoint", endpoint, stored.revision)

    def _is_hosted(self, endpoint: str) -> bool:
        try:
            self._host.describe(endpoint)
        except NotFound:
            return False
        return True

    # ---- events

    def on_endpoint_change(self, endpoint: str) -> None:
        """React to the host's event: record how a deployment ended. Repeats change nothing."""
        # Another deployment or another delivery may come between: judge again then.
        until_unbeaten(lambda: self._settle(endpoint), what=endpoint)

    def _settle(self, endpoint: str) -> None:
        stored = self.find(endpoint)
        if stored is None or not stored.value.pending:
            return
        try:
            state = self._host.describe(endpoint)
        except NotFound:
            self._ask_host(stored)  # recorded, but the host was never asked
            return
        if state.pending or state.status in ("Creating", "Updating", "Deleting"):
            return
        if _key(state.serving) == _key(stored.value.pending):
            self._succeed(stored)
        elif state.failure_reason is not None and stored.value.launched:
            self._fail(stored, state)
        else:
            self._ask_host(stored)

    def _succeed(self, stored: Stored[StoredEndpoint]) -> None:
        before = stored.value
        after = before.model_copy(
            update={
                "status": "InService",
                "variants": before.pending,
                "pending": [],
                "promote": None,
                "failure_reason": None,
                "updated_at": rfc3339(self._clock()),
            }
        )
        writes: list[Write] = [self._endpoints.to_put(stored.with_value(after))]
        detail = ", ".join(variant.model_version for variant in after.variants)
        if before.promote is not None:
            writes += self._promote(before)
        entry = self._activity.entry(
            PLATFORM,
            "endpoint.in_service",
            before.endpoint,
            detail=detail,
            path=f"/inference/endpoints/{before.endpoint}",
        )
        self._records.write([*writes, entry])

    def _promote(self, endpoint: StoredEndpoint) -> list[Write]:
        number = endpoint.promote or 0
        model = self._resolver.models.get(endpoint.model)
        return [self._resolver.models.to_put(model.with_value(champion(model.value, number, endpoint.rollback)))]

    def _fail(self, stored: Stored[StoredEndpoint], state: EndpointState) -> None:
        status: EndpointStatus = "InService" if state.serving else "Failed"
        after = stored.value.model_copy(
            update={
                "status": status,
                "pending": [],
                "promote": None,
                "failure_reason": state.failure_reason,
                "updated_at": rfc3339(self._clock()),
            }
        )
        entry = self._activity.entry(
            PLATFORM,
            "endpoint.deploy_failed",
            after.endpoint,
            detail=state.failure_reason or "",
            path=f"/inference/endpoints/{after.endpoint}",
        )
        self._records.write([self._endpoints.to_put(stored.with_value(after)), entry])

    def reconcile(self) -> None:
        """Make good what a crash left undone: pending deployments are launched and settled, lost ones restored."""
        each(list(self._endpoints.every("all", _ALL)), self._repair)

    def _repair(self, endpoint: StoredEndpoint) -> None:
        if endpoint.status == "Deleting":
            self._finish_deleting(endpoint.endpoint)
            return
        self.on_endpoint_change(endpoint.endpoint)
        self._restore(endpoint)

    def _restore(self, endpoint: StoredEndpoint) -> None:
        if endpoint.pending or not endpoint.variants:
            return
        if not self._is_hosted(endpoint.endpoint):
            self._host.deploy(endpoint.endpoint, [self._spec(variant) for variant in endpoint.variants])


def champion(model: ModelRecord, number: int, rollback: bool) -> ModelRecord:
    """The model with its champion moved."""
    return model.rolled_back_to(number) if rollback and number in model.champions else model.with_champion(number)


def single(model: str, number: int) -> list[Variant]:
    """One version taking all the traffic."""
    return [Variant(variant=variant_name(number), model_version=version_id(model, number), weight=1.0)]


def _key(variants: Sequence[VariantSpec] | Sequence[Variant]) -> set[tuple[str, str, str]]:
    """A host may keep weights in single precision, which is exact to six digits."""
    return {(item.variant, item.model_version, f"{item.weight:.6g}") for item in variants}


def _visible(endpoint: Endpoint) -> Endpoint:
    return Endpoint.model_validate(endpoint.model_dump())
