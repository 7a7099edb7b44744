"""Online prediction: find the endpoint, relay to the model server, say which version answered.

The rows are checked by the container (training/requests.py), which alone knows the signature: one home for the
rule, one pass over the data, and the same refusals whether a request comes through here or straight to a
SageMaker endpoint. Here its complaints become the platform's errors.
"""

import json
import secrets
from typing import Any

import orjson

from mlops_api.domain.errors import (
    BadRequest,
    Conflict,
    Invalid,
    NotFound,
    PlatformError,
    TooLarge,
    Unavailable,
    UnsupportedMedia,
)
from mlops_api.domain.names import VersionRef, parse_model
from mlops_api.ports import EndpointHost, Invocation
from mlops_api.services.registry import RegistryService
from mlops_api.services.serving_figures import ServingFigures

_JSON = "application/json"
_CSV = "text/csv"
_KEYS = {"model", "instances", "columns", "rows"}


class UpstreamFailed(PlatformError):
    """The model server broke on a request it should have answered."""

    status = 502
    title = "Model server failed"


class InferenceService:
    def __init__(self, *, host: EndpointHost, registry: RegistryService, figures: ServingFigures) -> None:
        self._host = host
        self._registry = registry
        self._figures = figures

    def predict(self, body: bytes, content_type: str, model: str | None) -> bytes:
        """The answer as JSON bytes (shape: domain.inference.Predictions).

        `model` comes with text/csv bodies, which have no place for it. Raises BadRequest, UnsupportedMedia, Invalid
        (row and column in each complaint), NotFound, Conflict, TooLarge, Unavailable, UpstreamFailed.
        """
        with self._figures.timed():
            reference, rows, kind = _read(body, content_type, model)
            answer = self._invoke(parse_model(reference), rows, kind)
            return _answer(answer)

    def _invoke(self, reference: VersionRef, rows: bytes, content_type: str) -> Invocation:
        try:
            variant = self._variant(reference)
            return self._host.invoke(reference.name, rows, content_type=content_type, accept=_JSON, variant=variant)
        except NotFound as error:
            raise self._explain(reference) from error

    def _variant(self, reference: VersionRef) -> str | None:
        """None lets the weights decide: a bare name; otherwise the variant that serves the version asked for."""
        if reference.bare:
            return None
        version = self._registry.version_for(reference)
        serving = self._host.describe(reference.name).serving
        for item in serving:
            if item.model_version == version:
                return item.variant
        names = ", ".join(item.model_version for item in serving) or "none"
        raise Conflict(
            f"{version} is not behind the endpoint {reference.name}; serving: {names}. Deploy it with "
            f"PUT /inference/endpoints/{reference.name}.",
            serving=[item.model_version for item in serving],
        )

    def _explain(self, reference: VersionRef) -> PlatformError:
        """Why nothing answers under this name: no such model, nothing approved, or nothing deployed."""
        try:
            version = self._registry.version_for(reference)
        except NotFound as error:
            return error
        return Conflict(
            f"{version} is not deployed: the model {reference.name} has no endpoint. Deploy it with "
            f"PUT /inference/endpoints/{reference.name}."
        )


def _read(body: bytes, content_type: str, model: str | None) -> tuple[str, bytes, str]:
    """(model, body for the container, its content type)."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == _CSV:
        if not model:
            raise BadRequest("Name the model for a CSV body: POST /inference/predict?model=flights")
        return model, body, "text/csv; header=present"
    if kind not in (_JSON, ""):
        raise UnsupportedMedia(f"{kind} is not read here. Send {_JSON}, or {_CSV} with a header line.")
    request, strict = _parse(body)
    name = request.pop("model", model)
    if not isinstance(name, str) or not name:
        raise Invalid("Name the model.", [{"field": "model", "message": "a model name, alias or version"}])
    # What is not strict JSON (NaN, say) goes on as it came: the container names row and column.
    return name, orjson.dumps(request) if strict else body, _JSON


def _parse(body: bytes) -> tuple[dict[str, Any], bool]:
    """The request, and whether it is strict JSON."""
    strict = True
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        request, strict = _lenient(body, error), False
    if not isinstance(request, dict):
        raise Invalid('The body is a JSON object such as {"model": "flights", "instances": [{...}]}.')
    unknown = sorted(request.keys() - _KEYS)
    if unknown:
        raise Invalid(
            f"Unknown key {unknown[0][:80]!r}; known: {', '.join(sorted(_KEYS))}.",
            [{"field": name[:80], "message": "unknown key"} for name in unknown[:100]],
        )
    return request, strict


def _lenient(body: bytes, error: orjson.JSONDecodeError) -> Any:
    """As Python reads it, which takes NaN and Infinity. Raises BadRequest with orjson's complaint otherwise."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest(f"The body is not JSON: {error}.") from error


def _answer(answer: Invocation) -> bytes:
    if answer.status != 200:
        raise _refusal(answer)
    # Spliced, not parsed and written again: the container's answer is a JSON object with one key.
    head = orjson.dumps({"model_version": answer.model_version, "prediction_id": secrets.token_hex(12)})
    return head[:-1] + b"," + answer.body.lstrip()[1:]


def _refusal(answer: Invocation) -> PlatformError:
    content = _json_object(answer.body)
    detail = str(content.get("error") or "The model server refused the request.")
    if answer.status == 422:
        return Invalid(detail, content.get("errors") or (), model_version=answer.model_version)
    known = {400: BadRequest, 406: BadRequest, 413: TooLarge, 415: UnsupportedMedia}
    if answer.status in known:
        return known[answer.status](detail)
    if answer.status == 503:
        return Unavailable(detail)
    return UpstreamFailed(
        f"The model server of {answer.model_version} answered {answer.status}. Its log says more.",
        model_version=answer.model_version,
    )


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}
