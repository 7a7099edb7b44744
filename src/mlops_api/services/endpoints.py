"""Endpoints: which approved versions answer behind a model's name. How they come to serve: deployments.

(none) --deploy--> Creating --> InService --deploy--> Updating --> InService
                       '-> Failed                         '-> InService with failure_reason (the old ones serve)
any --delete--> Deleting --> (none)     once the host knows it no more; nothing can be deployed before
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from mlops_api.domain.errors import Conflict, Invalid, RevisionMismatch
from mlops_api.domain.inference import Endpoint, EndpointPage, PutEndpoint, Variant, VariantRequest
from mlops_api.domain.names import VersionRef, parse_version
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import Check, EndpointHost, RecordStore
from mlops_api.services.activity import ActivityLog
from mlops_api.services.collection import Stored
from mlops_api.services.contention import until_unbeaten
from mlops_api.services.deployments import Deployments
from mlops_api.services.endpoint_records import ENDPOINTS, StoredEndpoint, endpoint_collection, visible
from mlops_api.services.idempotency import Idempotency, IdempotentCall
from mlops_api.services.principal import Principal
from mlops_api.services.repair import each
from mlops_api.services.scenes import Scene, Scenes


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
        self._scenes = Scenes(records)
        self.deployments = Deployments(records=records, host=host, activity=activity, clock=clock)

    # ---- reading

    def get(self, endpoint: str) -> Endpoint:
        """Raises NotFound, also when its deletion turns out to be over."""
        stored = self._endpoints.get(endpoint)
        if self.deployments.is_gone(stored.value):
            self._forget(stored)
            raise self._endpoints.missing(endpoint)
        return visible(stored.value)

    def page(self, *, limit: int, token: str | None) -> EndpointPage:
        page = self._endpoints.page("all", ENDPOINTS, limit=limit, token=token)
        return EndpointPage(endpoints=[visible(value) for value in page.values], next_token=page.next_token)

    # ---- changing

    def put(self, by: Principal, endpoint: str, request: PutEndpoint, idempotency_key: str | None = None) -> Endpoint:
        """Deploy these variants. A single one also becomes the champion once it answers.

        Raises Invalid (a version of another model, a name twice) or Conflict (a version that is not Approved).
        """
        if len({variant.variant for variant in request.variants}) < len(request.variants):
            raise Invalid("Two variants have the same name. Give each its own.")
        references = [_reference(endpoint, variant) for variant in request.variants]
        call = self._idempotency.call(by, "put-endpoint", idempotency_key, endpoint + request.model_dump_json())
        scene = call.once(lambda: self._put_once(by, endpoint, request, references, call), what=endpoint)
        stored = self.deployments.launch(scene).endpoint
        if stored is None:
            raise self._endpoints.missing(endpoint)
        return visible(stored.value)

    def _put_once(
        self,
        by: Principal,
        endpoint: str,
        request: PutEndpoint,
        references: Sequence[VersionRef],
        call: IdempotentCall,
    ) -> Scene:
        read = self._scenes.begun(endpoint, references, call.names)
        if call.earlier_result(read) is not None:
            return self._scenes.of(endpoint, (), read)
        scene = self._scenes.of(endpoint, references, read)
        versions = [self._scenes.resolver.version_of(reference, scene.model.value) for reference in references]
        for version in versions:
            _check_approved(scene, version)
        variants = [
            Variant(variant=asked.variant, model_version=version, weight=asked.weight)
            for asked, version in zip(request.variants, versions, strict=True)
        ]
        promote = scene.versions[versions[0]].value.number if len(versions) == 1 else None
        plan = self.deployments.plan(by, scene, variants, promote=promote)
        checks = [Check("model-version", version, stored.revision) for version, stored in scene.versions.items()]
        self._records.write([*plan.writes, *checks, *call.writes(endpoint)])
        return plan.scene

    def delete(self, by: Principal, endpoint: str) -> None:
        """Stop serving; the champion keeps its alias. Raises NotFound."""
        doomed = until_unbeaten(lambda: self._mark_deleting(by, endpoint), what=endpoint)
        self._finish_deleting(doomed)

    def _mark_deleting(self, by: Principal, endpoint: str) -> Stored[StoredEndpoint]:
        """Written first, so that a crash before the host was told cannot leave servers nobody knows of."""
        stored = self._endpoints.get(endpoint)
        if stored.value.status == "Deleting":
            return stored
        changes: dict[str, Any] = {
            "status": "Deleting",
            "pending": [],
            "promote": None,
            "failure_reason": None,
            "updated_at": rfc3339(self._clock()),
        }
        doomed = stored.with_value(stored.value.model_copy(update=changes))
        self._records.write([self._endpoints.to_put(doomed), self._activity.entry(by, "endpoint.delete", endpoint)])
        return doomed.written()

    def _finish_deleting(self, doomed: Stored[StoredEndpoint]) -> None:
        self._host.delete(doomed.value.endpoint)
        if self.deployments.is_gone(doomed.value):
            self._forget(doomed)

    def _forget(self, gone: Stored[StoredEndpoint]) -> None:
        """Drop the record of an endpoint whose deletion is over. Hosts delete in the background, and refuse a
        deployment meanwhile: without the record it would be accepted here and refused there."""
        with suppress(RevisionMismatch):  # another one was quicker
            self._records.write([self._endpoints.to_delete(gone)])

    # ---- events

    def on_endpoint_change(self, endpoint: str) -> None:
        """React to the host's event: record how a deployment or a deletion ended. Repeats change nothing."""
        stored = self._endpoints.find(endpoint)
        if stored is not None and self.deployments.is_gone(stored.value):
            self._forget(stored)
        elif stored is not None:
            self.deployments.settle(endpoint)

    def reconcile(self) -> None:
        """Make good what a crash left undone: pending deployments are launched and settled, lost ones restored."""
        each(list(self._endpoints.every_stored("all", ENDPOINTS)), self._repair)

    def _repair(self, stored: Stored[StoredEndpoint]) -> None:
        if stored.value.status == "Deleting":
            self._finish_deleting(stored)
            return
        self.deployments.settle(stored.value.endpoint)
        self.deployments.restore(stored.value)


def _reference(endpoint: str, variant: VariantRequest) -> VersionRef:
    reference = parse_version(variant.model_version)
    if reference.name != endpoint:
        raise Invalid(f"{variant.model_version} is not a version of {endpoint}; an endpoint has the name of its model.")
    return reference


def _check_approved(scene: Scene, version: str) -> None:
    status = scene.versions[version].value.approval_status
    if status != "Approved":
        raise Conflict(
            f"{version} is {status}. Only Approved versions can be deployed: mlops models approve {version} --deploy",
            status_now=status,
        )
