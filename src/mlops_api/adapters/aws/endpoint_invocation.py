"""InvokeEndpoint: the container's answer, its refusals included."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.errors import code_of, message_of, translated, unavailable
from mlops_api.adapters.aws.sagemaker_common import AwsSageMaker, is_absent, is_refused
from mlops_api.adapters.aws.sagemaker_names import host_variant, parse_variant
from mlops_api.adapters.variants import checked_header
from mlops_api.domain.errors import Conflict, NotFound, TooLarge
from mlops_api.ports import EndpointState, Invocation

MEGABYTE: Final = 1024 * 1024
_KEPT_SECONDS: Final = 60.0
_BUSY: Final = frozenset({"ModelNotReadyException", "ServiceUnavailable", "InternalDependencyException"})


@dataclass(frozen=True)
class Names:
    """SageMaker's variant names by the platform's, read at `at` (monotonic seconds)."""

    names: Mapping[str, str]
    at: float


class Invoker:
    """`describe`: SageMakerEndpoints.describe."""

    def __init__(self, clients: AwsClients, config: AwsSageMaker, describe: Callable[[str], EndpointState]) -> None:
        self._clients = clients
        self._largest = (6 if config.endpoint_instance_type else 4) * MEGABYTE
        self._describe = describe
        self._names: dict[str, Names] = {}
        self._lock = threading.Lock()

    def invoke(self, endpoint: str, body: bytes, *, content_type: str, accept: str, variant: str | None) -> Invocation:
        """As ports.EndpointHost promises."""
        if len(body) > self._largest:
            raise TooLarge(f"A request may hold {self._largest} bytes, this one has {len(body)}. Use batch scoring.")
        request = {
            "EndpointName": endpoint,
            "Body": body,
            "ContentType": checked_header(content_type),
            "Accept": checked_header(accept),
        }
        return self._send(endpoint, request) if variant is None else self._send_to(endpoint, request, variant)

    def _send_to(self, endpoint: str, request: Mapping[str, Any], variant: str) -> Invocation:
        """What is known of the variants may be of before the last update: then it is asked for again."""
        try:
            return self._send(endpoint, {**request, "TargetVariant": self._host_name(endpoint, variant)})
        except NotFound:
            self._forget(endpoint)
            return self._send(endpoint, {**request, "TargetVariant": self._host_name(endpoint, variant)})

    def _send(self, endpoint: str, request: Mapping[str, Any]) -> Invocation:
        try:
            with translated(f"Endpoint {endpoint} does not answer"):
                found = self._clients.sagemaker_runtime.invoke_endpoint(**request)
        except ClientError as error:
            return self._refused(endpoint, request, error)
        name, version = parse_variant(endpoint, found.get("InvokedProductionVariant", ""))
        return Invocation(200, found["Body"].read(), found.get("ContentType", ""), name, version)

    def _refused(self, endpoint: str, request: Mapping[str, Any], error: ClientError) -> Invocation:
        """The container's own refusal is an answer; anything else is raised."""
        code = code_of(error)
        if code == "ModelError":
            return self._of_container(endpoint, request, error)
        if code in _BUSY:
            raise unavailable(f"Endpoint {endpoint}", message_of(error) or code) from error
        if is_refused(error) and is_absent(error):
            raise self._absent(endpoint, error) from error
        raise error

    def _of_container(self, endpoint: str, request: Mapping[str, Any], error: ClientError) -> Invocation:
        status = int(error.response.get("OriginalStatusCode", 500))
        if status == 503:
            raise unavailable(f"Endpoint {endpoint}", "its model server has too many requests") from error
        body = str(error.response.get("OriginalMessage", "")).encode()
        # SageMaker does not say which variant refused, unless one was asked for.
        name, version = parse_variant(endpoint, str(request.get("TargetVariant", "")))
        return Invocation(status, body, "application/json", name, version)

    def _absent(self, endpoint: str, error: ClientError) -> NotFound | Conflict:
        """To sagemaker-runtime an endpoint that is being created, or failed, is none."""
        state = self._describe(endpoint)
        if state.status not in ("Creating", "Failed"):
            return NotFound(f"Endpoint {endpoint}: {message_of(error)}")
        why = f" Its last deployment failed: {state.failure_reason}" if state.failure_reason else ""
        return Conflict(f"Endpoint {endpoint} is {state.status}; nothing is in service yet.{why}")

    def _host_name(self, endpoint: str, variant: str) -> str:
        """Raises NotFound, listing the variants there are."""
        names = self._variant_names(endpoint)
        if variant not in names:
            raise NotFound(f"Endpoint {endpoint} has no variant {variant!r}; it has {', '.join(names) or 'none'}.")
        return names[variant]

    def _variant_names(self, endpoint: str) -> Mapping[str, str]:
        with self._lock:
            known = self._names.get(endpoint)
        if known is not None and time.monotonic() - known.at < _KEPT_SECONDS:
            return known.names
        serving = self._describe(endpoint).serving
        names = {each.variant: host_variant(endpoint, each.variant, each.model_version) for each in serving}
        with self._lock:
            self._names[endpoint] = Names(names, time.monotonic())
        return names

    def _forget(self, endpoint: str) -> None:
        with self._lock:
            self._names.pop(endpoint, None)
