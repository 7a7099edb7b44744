"""sagemaker-runtime: InvokeEndpoint."""

from collections.abc import Mapping
from typing import Any

from tests.sagemaker_server.endpoints import Endpoint, Endpoints, Variant
from tests.sagemaker_server.model_servers import Answer, Gone
from tests.sagemaker_server.refusals import ModelError, NotServed, RuntimeRefusal
from tests.sagemaker_server.world import World

MAX_BODY = 6 * 1024 * 1024
MAX_BODY_SERVERLESS = 4 * 1024 * 1024

_NOT_SERVED = ("TargetModel", "TargetContainerHostname", "EnableExplanations", "InferenceComponentName", "SessionId")


class Invocations:
    """Real-time inference. The answer's `Body` is bytes."""

    def __init__(self, world: World, endpoints: Endpoints) -> None:
        self._world, self._endpoints = world, endpoints

    def invoke(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Raises RuntimeRefusal, ModelError."""
        for name in _NOT_SERVED:
            if name in params:
                raise NotServed(f"InvokeEndpoint.{name}")
        endpoint = self._endpoints.serving(params["EndpointName"])
        variant = endpoint.draw(params.get("TargetVariant"))
        _check_size(params["Body"], MAX_BODY_SERVERLESS if variant.serverless else MAX_BODY)
        answer = self._answer(endpoint, variant, params)
        if answer.status >= 400:
            raise self._model_error(endpoint, variant, answer)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return {
            "Body": answer.body,
            "ContentType": headers.get("content-type", "application/json"),
            "InvokedProductionVariant": variant.name,
            "CustomAttributes": headers.get("x-amzn-sagemaker-custom-attributes"),
        }

    def _answer(self, endpoint: Endpoint, variant: Variant, params: Mapping[str, Any]) -> Answer:
        try:
            return variant.server.invoke(params["Body"], _headers(params))
        except TimeoutError as error:
            text = "Your invocation timed out while waiting for a response from container primary."
            log = variant.server.log.arn
            message = f'Received server error (0) from primary with message "{text}". See {log} for more information.'
            raise ModelError(message, 0, text, log) from error
        except Gone as error:
            # The container is being started again.
            text = f"Endpoint {endpoint.name} is temporarily unable to handle the request."
            raise RuntimeRefusal("ServiceUnavailable", text, 503) from error

    def _model_error(self, endpoint: Endpoint, variant: Variant, answer: Answer) -> ModelError:
        kind = "client" if answer.status < 500 else "server"
        text = answer.body.decode("utf-8", "replace")
        region, account = self._world.options.region, self._world.options.account
        message = (
            f'Received {kind} error ({answer.status}) from primary with message "{text}". See '
            f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group="
            f"/aws/sagemaker/Endpoints/{endpoint.name} in account {account} for more information."
        )
        return ModelError(message, answer.status, text, variant.server.log.arn)


def _check_size(body: bytes, most: int) -> None:
    if len(body) > most:
        raise RuntimeRefusal(
            "ValidationError",
            "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less "
            f"than or equal to {most}",
        )


def _headers(params: Mapping[str, Any]) -> dict[str, str]:
    """What the container is sent."""
    names = {
        "Content-Type": "ContentType",
        "Accept": "Accept",
        "X-Amzn-SageMaker-Custom-Attributes": "CustomAttributes",
        "X-Amzn-SageMaker-Inference-Id": "InferenceId",
    }
    found = {header: params[member] for header, member in names.items() if params.get(member)}
    return {"Accept": "*/*"} | found
