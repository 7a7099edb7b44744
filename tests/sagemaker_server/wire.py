"""The wire: AWS JSON 1.1 for `sagemaker` and `logs`, REST for `sagemaker-runtime`.

A call is told by its X-Amz-Target header, or by its path for the runtime. Signatures are looked at, not verified:
the server knows no secret keys.
"""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.model import OperationModel, OperationNotFoundError

from tests.sagemaker_server.refusals import Refusal, RuntimeRefusal, ValidationException
from tests.sagemaker_server.shapes import check_reply, check_request, operation, parsed, rendered

_SERVICES = {"SageMaker": "sagemaker", "Logs_20140328": "logs"}
_INVOCATIONS = re.compile(r"/endpoints/([^/]+)/invocations")
_CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 Credential=[^/,]+/\d{8}/([a-z0-9-]+)/([a-z-]+)/aws4_request,")


@dataclass(frozen=True)
class Call:
    """A request that was understood; `params` is checked against the model."""

    service: str
    model: OperationModel
    params: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


def read(path: str, headers: Mapping[str, str], body: bytes, region: str) -> Call:
    """Header names are in lower case. Raises Refusal."""
    found = _INVOCATIONS.fullmatch(path)
    if found is not None:
        _check_signature(headers, region)
        return _invocation(found[1], headers, body)
    prefix, _, name = headers.get("x-amz-target", "").partition(".")
    service = _SERVICES.get(prefix)
    if service is None:
        raise Refusal("UnknownOperationException", f"no operation at {path} with target {prefix!r}", 404)
    _check_signature(headers, region)
    try:
        model = operation(service, name)
    except OperationNotFoundError as error:
        raise Refusal("UnknownOperationException", f"{service} has no operation {name!r}", 404) from error
    params = parsed(model.input_shape, _json(body)) if model.input_shape is not None else {}
    check_request(model, params)
    return Call(service, model, params)


def _json(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body or b"{}")
    except ValueError as error:
        raise Refusal("SerializationException", f"the body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise Refusal("SerializationException", "the body is not a JSON object")
    return content


def _invocation(endpoint: str, headers: Mapping[str, str], body: bytes) -> Call:
    model = operation("sagemaker-runtime", "InvokeEndpoint")
    assert model.input_shape is not None
    params: dict[str, Any] = {"EndpointName": endpoint}
    for name, shape in model.input_shape.members.items():
        value = headers.get(str(shape.serialization.get("name", "")).lower())
        if shape.serialization.get("location") == "header" and value is not None:
            params[name] = value
    try:
        check_request(model, params | {"Body": b""})
    except ValidationException as error:
        raise RuntimeRefusal("ValidationError", str(error)) from error
    return Call("sagemaker-runtime", model, params | {"Body": body})


def _check_signature(headers: Mapping[str, str], region: str) -> None:
    found = _CREDENTIAL.match(headers.get("authorization", ""))
    if found is None:
        raise Refusal("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
    if found[1] != region:
        raise Refusal("InvalidSignatureException", f"Credential should be scoped to a valid region: {region}.", 403)
    if found[2] not in ("sagemaker", "logs"):
        raise Refusal("InvalidSignatureException", "Credential should be scoped to correct service.", 403)


def write(call: Call, reply: Mapping[str, Any]) -> Reply:
    """Raises shapes.ReplyInvalid."""
    check_reply(call.model, reply)
    if call.service == "sagemaker-runtime":
        return _invocation_reply(call.model, reply)
    content = {} if call.model.output_shape is None else rendered(call.model.output_shape, reply)
    body = b"" if call.model.output_shape is None else json.dumps(content).encode()
    return Reply(200, _headers("application/x-amz-json-1.1"), body)


def _invocation_reply(model: OperationModel, reply: Mapping[str, Any]) -> Reply:
    assert model.output_shape is not None
    named = {
        str(shape.serialization["name"]): reply[name]
        for name, shape in model.output_shape.members.items()
        if "name" in shape.serialization and reply.get(name) is not None
    }
    return Reply(200, _headers("application/octet-stream") | named, reply["Body"])


def refuse(error: Refusal) -> Reply:
    """The error as its protocol has it."""
    if isinstance(error, RuntimeRefusal):
        body = {"Message": str(error), **error.members}
        headers = _headers("application/json") | {"x-amzn-ErrorType": error.code}
        return Reply(error.status, headers, json.dumps(body).encode())
    content = {"__type": error.code, "message": str(error), **error.members}
    return Reply(error.status, _headers("application/x-amz-json-1.1"), json.dumps(content).encode())


def _headers(content_type: str) -> dict[str, str]:
    return {"Content-Type": content_type, "x-amzn-RequestId": str(uuid.uuid4())}
