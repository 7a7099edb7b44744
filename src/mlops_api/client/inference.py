"""`client.inference`: online predictions and endpoints."""

from collections.abc import Mapping, Sequence
from typing import Any

from mlops_api.client import calls
from mlops_api.client.effects import Flow, Items, Request, Send
from mlops_api.client.errors import JobFailed
from mlops_api.client.resource import M, Resource, listing, operation
from mlops_api.client.rows import Rows, predict_body
from mlops_api.domain.inference import (
    Endpoint,
    EndpointPage,
    Feedback,
    FeedbackLabel,
    FeedbackStored,
    Predictions,
    PutEndpoint,
    VariantRequest,
)

_PREDICT = "/inference/predict"


class Inference(Resource[M]):
    @operation
    def predict(self, model: str, rows: Rows) -> Flow[Predictions]:
        """Score a dict, a list of dicts or a DataFrame; `model` is a name (its champion), an alias or a version.

        Raises:
            Validation: an unknown or missing column, or a wrong type; `errors` names row (from 0) and column.
            NotFound: no such model; Conflict: it is not in service. TooLarge: use `client.batch`.
        """
        return _scored(Request("POST", _PREDICT, headers=calls.JSON, content=predict_body(model, rows)))

    @operation
    def predict_csv(self, model: str, table: bytes) -> Flow[Predictions]:
        """Score CSV with a header; otherwise as `predict`."""
        headers = {"Content-Type": "text/csv"}
        return _scored(Request("POST", _PREDICT, params={"model": model}, headers=headers, content=table))

    @operation
    def feedback(self, labels: Sequence[FeedbackLabel | Mapping[str, Any]]) -> Flow[FeedbackStored]:
        """Send true labels of earlier predictions: {"prediction_id", "row", "label"}; at most 1,000 a call."""
        fields = [each.model_dump() if isinstance(each, FeedbackLabel) else dict(each) for each in labels]
        return calls.write("POST", "/inference/feedback", FeedbackStored, calls.checked(Feedback, {"labels": fields}))

    @listing
    def endpoints(self, *, page_size: int | None = None) -> Items[Endpoint]:
        return calls.pages("/inference/endpoints", EndpointPage, lambda page: page.endpoints, page_size=page_size)

    @operation
    def get_endpoint(self, endpoint: str) -> Flow[Endpoint]:
        """Raises NotFound."""
        return _get(endpoint)

    @operation
    def put_endpoint(self, endpoint: str, variants: Sequence[VariantRequest | Mapping[str, Any]]) -> Flow[Endpoint]:
        """Make an endpoint serve these variants: {"variant": name, "model_version": "flights:3", "weight": 0.9}.

        What serves now answers until all of them are loaded; `wait` tells how it went.
        """
        fields = [each.model_dump() if isinstance(each, VariantRequest) else dict(each) for each in variants]
        body = calls.checked(PutEndpoint, {"variants": fields})
        return calls.write("PUT", calls.path("inference", "endpoints", endpoint), Endpoint, body)

    @operation
    def delete_endpoint(self, endpoint: str) -> Flow[None]:
        return calls.delete(calls.path("inference", "endpoints", endpoint))

    @operation
    def wait(self, endpoint: str, *, timeout: float | None = 600) -> Flow[Endpoint]:
        """Until nothing is being deployed.

        Raises:
            JobFailed: the deployment failed; what served before goes on serving.
            Timeout: after `timeout` seconds.
        """
        state = yield from calls.poll(lambda: _get(endpoint), _settled, f"Endpoint {endpoint}", timeout)
        if state.status == "Failed" or state.failure_reason:
            raise JobFailed(f"Endpoint {endpoint}: the deployment failed: {state.failure_reason}", state)
        return state


def _scored(request: Request) -> Flow[Predictions]:
    # Scoring twice is harmless, so it is repeated like a read, without an Idempotency-Key.
    return calls.parsed((yield Send(request)), Predictions)


def _get(endpoint: str) -> Flow[Endpoint]:
    return calls.get(calls.path("inference", "endpoints", endpoint), Endpoint)


def _settled(state: Endpoint) -> bool:
    return state.status in ("InService", "Failed") and not (state.pending and state.status != "Failed")
