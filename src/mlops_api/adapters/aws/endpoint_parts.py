"""The models and the configuration behind an endpoint: made before it is asked to change, removed when unused."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.errors import translated
from mlops_api.adapters.aws.sagemaker_common import AlreadyThere, AwsSageMaker, all_pages, creating, is_absent
from mlops_api.adapters.aws.sagemaker_names import digest_name, host_variant, is_of
from mlops_api.ports import VariantSpec

_LOADING_SECONDS: Final = 600
"""For the bundle to be downloaded and for the container to answer its first ping."""


@dataclass(frozen=True)
class Wanted:
    """A deployment as SageMaker takes it. `models`: requests of CreateModel; `name`: of the configuration."""

    endpoint: str
    name: str
    variants: Sequence[Mapping[str, Any]]
    models: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, endpoint: str, variants: Sequence[VariantSpec], config: AwsSageMaker) -> "Wanted":
        serverless = config.endpoint_instance_type is None and len(variants) == 1
        models = [_model(endpoint, each, config, serverless) for each in variants]
        production = [
            {
                "VariantName": host_variant(endpoint, each.variant, each.model_version),
                "ModelName": model["ModelName"],
                "InitialVariantWeight": each.weight,
                **_capacity(config, serverless),
            }
            for each, model in zip(variants, models, strict=True)
        ]
        return cls(endpoint, digest_name(endpoint, [production, config.kms_key_id]), production, models)


def model_key_of(found: Mapping[str, Any], config: AwsSageMaker) -> str:
    """The bundle's key, from DescribeModel's answer; its address when it lies in another bucket."""
    uri: str = found["PrimaryContainer"]["ModelDataUrl"]
    return config.key(uri) or uri


class EndpointParts:
    def __init__(self, clients: AwsClients, config: AwsSageMaker) -> None:
        self._clients = clients
        self._config = config

    def create(self, wanted: Wanted) -> None:
        """Those that there are stay: their names say that they are the same."""
        for model in wanted.models:
            self._once(f"Model {model['ModelName']}", self._clients.sagemaker.create_model, model)
        request = {
            "EndpointConfigName": wanted.name,
            "ProductionVariants": list(wanted.variants),
            "Tags": self._config.tag_list(endpoint=wanted.endpoint),
            **self._volume_key(wanted),
        }
        self._once(f"Endpoint configuration {wanted.name}", self._clients.sagemaker.create_endpoint_config, request)

    def _volume_key(self, wanted: Wanted) -> Mapping[str, str]:
        """Serverless endpoints have no volume of their own to encrypt."""
        on_instances = any("InstanceType" in each for each in wanted.variants)
        return self._config.encryption("KmsKeyId") if on_instances else {}

    def _once(self, subject: str, call: Callable[..., Any], request: Mapping[str, Any]) -> None:
        try:
            with creating(f"{subject} cannot be created"):
                call(**request)
        except AlreadyThere:
            return

    def sweep(self, endpoint: str, keep: Collection[str]) -> None:
        """Remove what no configuration in `keep` needs. Raises Unavailable when AWS cannot be asked."""
        sagemaker = self._clients.sagemaker
        with translated(f"What endpoint {endpoint} left behind cannot be removed"):
            names = [each["EndpointConfigName"] for each in self._listed(sagemaker.list_endpoint_configs, endpoint)]
            needed = {model for name in names if name in keep for model in self._models_of(name)}
            for name in names:
                if name not in keep and is_of(endpoint, name):
                    _delete(sagemaker.delete_endpoint_config, EndpointConfigName=name)
            for model in self._listed(sagemaker.list_models, endpoint):
                if model["ModelName"] not in needed and is_of(endpoint, model["ModelName"]):
                    _delete(sagemaker.delete_model, ModelName=model["ModelName"])

    def _listed(self, call: Any, endpoint: str) -> Sequence[Mapping[str, Any]]:
        key = "EndpointConfigs" if call.__name__ == "list_endpoint_configs" else "Models"
        return all_pages(call, key, NameContains=f"{endpoint}-", MaxResults=100)

    def _models_of(self, configuration: str) -> set[str]:
        found = self._clients.sagemaker.describe_endpoint_config(EndpointConfigName=configuration)
        return {each["ModelName"] for each in found["ProductionVariants"]}


def _model(endpoint: str, variant: VariantSpec, config: AwsSageMaker, serverless: bool) -> dict[str, Any]:
    content = {
        "PrimaryContainer": {"Image": config.image_uri, "ModelDataUrl": config.uri(variant.model_key)},
        "ExecutionRoleArn": config.role_arn,
        # SageMaker has no isolation for serverless endpoints.
        "EnableNetworkIsolation": config.network_isolation and not serverless,
    }
    name = digest_name(endpoint, [variant.model_version, content])
    return {"ModelName": name, "Tags": config.tag_list(model_version=variant.model_version), **content}


def _capacity(config: AwsSageMaker, serverless: bool) -> dict[str, Any]:
    if serverless:
        return {
            "ServerlessConfig": {
                "MemorySizeInMB": config.serverless_memory_mb,
                "MaxConcurrency": config.serverless_concurrency,
            }
        }
    return {
        "InstanceType": config.endpoint_instance_type or config.fallback_instance_type,
        "InitialInstanceCount": config.endpoint_instance_count,
        "ModelDataDownloadTimeoutInSeconds": _LOADING_SECONDS,
        "ContainerStartupHealthCheckTimeoutInSeconds": _LOADING_SECONDS,
    }


def _delete(call: Callable[..., Any], **name: str) -> None:
    try:
        call(**name)
    except ClientError as error:
        if not is_absent(error):
            raise
