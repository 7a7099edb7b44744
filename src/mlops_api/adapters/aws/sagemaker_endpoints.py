"""EndpointHost on SageMaker models, endpoint configurations and endpoints.

    deploy --> CreateModel for each variant, CreateEndpointConfig, then CreateEndpoint or UpdateEndpoint
    Creating --> InService | Failed               a Failed one can only be deleted: the next deploy does
    InService --Updating--> InService             with a FailureReason: the old configuration goes on serving

SageMaker updates one endpoint at a time: a deployment that comes while another is under way is Unavailable. Changed
weights alone are a deployment too.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from botocore.exceptions import ClientError

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.endpoint_invocation import Invoker
from mlops_api.adapters.aws.endpoint_parts import EndpointParts, Wanted, model_key_of
from mlops_api.adapters.aws.errors import translated, unavailable
from mlops_api.adapters.aws.sagemaker_common import (
    MAX_REASON,
    AlreadyThere,
    AwsSageMaker,
    creating,
    existing,
    is_refused,
)
from mlops_api.adapters.aws.sagemaker_names import parse_variant
from mlops_api.adapters.aws.training_logs import log_events
from mlops_api.adapters.variants import checked_variants
from mlops_api.domain.errors import NotFound
from mlops_api.ports import EndpointState, HostStatus, Invocation, VariantSpec

ENDPOINT_GROUP: Final = "/aws/sagemaker/Endpoints"
_STATUS: Mapping[str, HostStatus] = {
    "Creating": "Creating",
    "InService": "InService",
    "Updating": "Updating",
    "SystemUpdating": "Updating",
    "RollingBack": "Updating",
    "Failed": "Failed",
    "OutOfService": "Failed",
    "UpdateRollbackFailed": "Failed",
    "Deleting": "Deleting",
}
_REMOVAL_SECONDS: Final = 8.0
_DEPLOYMENT: Final = timedelta(hours=1)
"""Older lines of its log are of another one."""


class SageMakerEndpoints:
    """ports.EndpointHost; safe to use from many threads. `pause`: what waits between two looks, in seconds."""

    def __init__(
        self, clients: AwsClients, config: AwsSageMaker, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._clients = clients
        self._config = config
        self._parts = EndpointParts(clients, config)
        self._invoker = Invoker(clients, config, self.describe)
        self._pause = pause

    # ---- deploy

    def deploy(self, endpoint: str, variants: Sequence[VariantSpec]) -> None:
        """Raises Unavailable while another deployment of it, or its removal, is under way."""
        wanted = Wanted.of(endpoint, checked_variants(variants), self._config)
        found = self._find(endpoint)
        if found is not None and wanted.name in _under_way(found):
            return
        if found is not None and _status(found) == "Failed":
            self._remove_failed(endpoint)
            found = None
        self._parts.create(wanted)
        if found is None:
            self._create(wanted)
        else:
            self._update(wanted)
            self._parts.sweep(endpoint, keep={wanted.name, found["EndpointConfigName"]})

    def _create(self, wanted: Wanted) -> None:
        try:
            with creating(f"Endpoint {wanted.endpoint} cannot be created"):
                self._clients.sagemaker.create_endpoint(
                    EndpointName=wanted.endpoint,
                    EndpointConfigName=wanted.name,
                    Tags=self._config.tag_list(model=wanted.endpoint),
                )
        except AlreadyThere:
            self._check_taken(wanted)

    def _check_taken(self, wanted: Wanted) -> None:
        """Another request was quicker; with the same variants there is nothing left to do."""
        found = self._find(wanted.endpoint)
        if found is None or wanted.name not in _under_way(found):
            raise unavailable(f"Endpoint {wanted.endpoint}", "it is being created or removed by another request")

    def _update(self, wanted: Wanted) -> None:
        try:
            with existing(f"Endpoint {wanted.endpoint}"):
                self._clients.sagemaker.update_endpoint(EndpointName=wanted.endpoint, EndpointConfigName=wanted.name)
        except ClientError as error:
            if is_refused(error) and (status := self._described(wanted.endpoint)["EndpointStatus"]) != "InService":
                reason = f"it is {status}, and takes a deployment when that is over"
                raise unavailable(f"Endpoint {wanted.endpoint}", reason) from error
            raise

    def _remove_failed(self, endpoint: str) -> None:
        """Raises Unavailable when that takes longer than a request may."""
        with translated(f"The failed endpoint {endpoint} cannot be removed"):
            self._clients.sagemaker.delete_endpoint(EndpointName=endpoint)
        deadline = time.monotonic() + _REMOVAL_SECONDS
        while self._find(endpoint) is not None:
            if time.monotonic() >= deadline:
                raise unavailable(f"Endpoint {endpoint}", "its failed deployment is being removed")
            self._pause(0.5)

    # ---- describe

    def describe(self, endpoint: str) -> EndpointState:
        found = self._described(endpoint)
        status = _status(found)
        current = found["EndpointConfigName"]
        reason = found.get("FailureReason") or None
        changed_at = found["LastModifiedTime"].isoformat()
        if status == "Creating":
            return EndpointState(status, (), self._variants(endpoint, current), changed_at=changed_at)
        if status == "Failed":
            return EndpointState(status, (), failure_reason=self._explained(endpoint, found), changed_at=changed_at)
        pending = found.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
        if pending is None and reason is not None:
            reason = self._explained(endpoint, found)
        return EndpointState(
            status,
            self._variants(endpoint, current),
            self._variants(endpoint, pending) if pending and pending != current else (),
            reason if pending is None else None,
            changed_at=changed_at,
        )

    def _variants(self, endpoint: str, configuration: str) -> Sequence[VariantSpec]:
        try:
            with existing(f"Endpoint configuration {configuration}"):
                found = self._clients.sagemaker.describe_endpoint_config(EndpointConfigName=configuration)
        except NotFound:
            return ()
        return tuple(self._variant(endpoint, each) for each in found["ProductionVariants"])

    def _variant(self, endpoint: str, found: Mapping[str, Any]) -> VariantSpec:
        variant, version = parse_variant(endpoint, found["VariantName"])
        with existing(f"Model {found['ModelName']}"):
            model = self._clients.sagemaker.describe_model(ModelName=found["ModelName"])
        return VariantSpec(variant, version, model_key_of(model, self._config), float(found["InitialVariantWeight"]))

    def _explained(self, endpoint: str, found: Mapping[str, Any]) -> str:
        """SageMaker only knows that a container did not answer its ping; the container's log says why."""
        said: str = found.get("FailureReason") or "SageMaker gives no reason."
        since = round((found["LastModifiedTime"] - _DEPLOYMENT).timestamp() * 1000)
        wanted = {"filterPattern": '"error:"', "startTime": since}
        lines = [each["message"] for each in log_events(self._clients, f"{ENDPOINT_GROUP}/{endpoint}", "", 3, **wanted)]
        return f"{said} Its log: {lines[-1].strip()}"[:MAX_REASON] if lines else said

    # ---- invoke, delete

    def invoke(
        self, endpoint: str, body: bytes, *, content_type: str, accept: str, variant: str | None = None
    ) -> Invocation:
        return self._invoker.invoke(endpoint, body, content_type=content_type, accept=accept, variant=variant)

    def delete(self, endpoint: str) -> None:
        """Raises Unavailable while a deployment is under way: SageMaker deletes no endpoint then."""
        try:
            with translated(f"Endpoint {endpoint} cannot be deleted"):
                self._clients.sagemaker.delete_endpoint(EndpointName=endpoint)
        except ClientError as error:
            if not is_refused(error):
                raise
            found = self._find(endpoint)
            if found is not None and _status(found) != "Deleting":
                raise unavailable(
                    f"Endpoint {endpoint}", f"it is {_status(found)}; it can be deleted when that is over"
                ) from error
        self._parts.sweep(endpoint, keep=set())

    def _described(self, endpoint: str) -> Mapping[str, Any]:
        with existing(f"Endpoint {endpoint}"):
            found: Mapping[str, Any] = self._clients.sagemaker.describe_endpoint(EndpointName=endpoint)
        return found

    def _find(self, endpoint: str) -> Mapping[str, Any] | None:
        try:
            return self._described(endpoint)
        except NotFound:
            return None


def _status(found: Mapping[str, Any]) -> HostStatus:
    return _STATUS[found["EndpointStatus"]]


def _under_way(found: Mapping[str, Any]) -> set[str]:
    """Configurations that serve, or will when nothing else is asked for."""
    pending = found.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
    if pending:
        return {pending}
    return set() if _status(found) in ("Failed", "Deleting") else {found["EndpointConfigName"]}
