"""Models and endpoint configurations: records that endpoints and transform jobs refer to."""

import re
from collections.abc import Mapping
from typing import Any

from tests.sagemaker_server import channels
from tests.sagemaker_server.model_servers import data_url
from tests.sagemaker_server.pages import page, selected
from tests.sagemaker_server.refusals import NotServed, ValidationException, refuse_members
from tests.sagemaker_server.s3 import S3Uri, TransferFailed
from tests.sagemaker_server.world import Operation, World, now

_SERVERLESS_MEMORY = frozenset(range(1024, 6145, 1024))


class Records:
    """Named records of one kind, which are made and deleted but never changed."""

    def __init__(self, world: World, resource: str, words: str, member: str) -> None:
        self._world, self._resource, self._words, self._member = world, resource, words, member
        self._by_name: dict[str, dict[str, Any]] = {}

    def find(self, name: str) -> dict[str, Any]:
        """Raises ValidationException."""
        with self._world.lock:
            if name not in self._by_name:
                raise ValidationException(f'Could not find {self._words} "{self._world.arn(self._resource, name)}".')
            return self._by_name[name]

    def add(self, params: Mapping[str, Any]) -> str:
        """The new record's ARN. Raises ValidationException when the name is taken."""
        name = params[f"{self._member}Name"]
        arn = self._world.arn(self._resource, name)
        with self._world.lock:
            if name in self._by_name:
                raise ValidationException(f'Cannot create already existing {self._words} "{arn}".')
            own = {key: value for key, value in params.items() if key != "Tags"}
            self._world.tags.own(arn, params.get("Tags", ()))
            self._by_name[name] = own | {f"{self._member}Arn": arn, "CreationTime": now()}
        return arn

    def delete(self, name: str) -> None:
        """Raises ValidationException."""
        with self._world.lock:
            self._world.tags.disown(self.find(name)[f"{self._member}Arn"])
            del self._by_name[name]

    def list(self, params: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
        """One page of name, ARN and creation time."""
        names = (f"{self._member}Name", f"{self._member}Arn", "CreationTime")
        with self._world.lock:
            chosen = selected(self._by_name.values(), params, self._facts)
        records, token = page(chosen, params, lambda each: each[names[0]])
        return [{name: each[name] for name in names} for each in records], token

    def _facts(self, record: Mapping[str, Any]) -> dict[str, Any]:
        created = record["CreationTime"]
        return {"name": record[f"{self._member}Name"], "created": created, "modified": created, "status": None}


class Models(Records):
    """CreateModel and its family."""

    def __init__(self, world: World) -> None:
        super().__init__(world, "model", "model", "Model")
        self.operations: dict[str, Operation] = {
            "CreateModel": self._create,
            "DescribeModel": lambda params: self.find(params["ModelName"]),
            "DeleteModel": self._delete,
            "ListModels": self._list,
        }

    def _create(self, params: Mapping[str, Any]) -> dict[str, Any]:
        refuse_members("CreateModel", params, ("Containers", "InferenceExecutionConfig"))
        container = params.get("PrimaryContainer")
        if container is None:
            raise ValidationException("Either PrimaryContainer or Containers must be specified.")
        if "ExecutionRoleArn" not in params:
            raise ValidationException("ExecutionRoleArn must be specified.")
        self._check_container(container)
        self._check_data({"PrimaryContainer": container}, params["ExecutionRoleArn"])
        return {"ModelArn": self.add(params)}

    def _check_container(self, container: Mapping[str, Any]) -> None:
        refused = ("ImageConfig", "AdditionalModelDataSources", "ModelPackageName", "MultiModelConfig")
        refuse_members("CreateModel.PrimaryContainer", container, refused)
        if container.get("Mode", "SingleModel") != "SingleModel":
            raise NotServed("multi-model containers")
        source = container.get("ModelDataSource", {}).get("S3DataSource")
        if source and (source["S3DataType"], source["CompressionType"]) != ("S3Object", "Gzip"):
            raise NotServed("model data other than one gzipped archive")
        image = container.get("Image", "")
        if not re.fullmatch(channels.IMAGE, image):
            raise ValidationException(
                f'Using non-ECR image "{image}" without Vpc repository access mode is not supported.'
            )

    def _check_data(self, model: Mapping[str, Any], role: str) -> None:
        url = data_url(model)
        try:
            if url is None or self._world.storage.exists(S3Uri.parse(url)):
                return
        except TransferFailed as error:
            raise ValidationException(str(error)) from error
        raise ValidationException(
            f'Could not access model data at {url}. Please ensure that the role "{role}" exists and that its trust '
            'relationship policy allows the action "sts:AssumeRole" for the service principal '
            '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the object '
            f"is located in {self._world.options.region}."
        )

    def _delete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self.delete(params["ModelName"])
        return {}

    def _list(self, params: Mapping[str, Any]) -> dict[str, Any]:
        models, token = self.list(params)
        return {"Models": models, "NextToken": token}


class EndpointConfigs(Records):
    """CreateEndpointConfig and its family."""

    def __init__(self, world: World, models: Models) -> None:
        super().__init__(world, "endpoint-config", "endpoint configuration", "EndpointConfig")
        self._models = models
        self.operations: dict[str, Operation] = {
            "CreateEndpointConfig": self._create,
            "DescribeEndpointConfig": lambda params: self.find(params["EndpointConfigName"]),
            "DeleteEndpointConfig": self._delete,
            "ListEndpointConfigs": self._list,
        }

    def _create(self, params: Mapping[str, Any]) -> dict[str, Any]:
        refused = ("DataCaptureConfig", "AsyncInferenceConfig", "ExplainerConfig", "ShadowProductionVariants")
        refuse_members("CreateEndpointConfig", params, (*refused, "MetricsConfig", "CrossRegionTrafficConfig"))
        variants = params["ProductionVariants"]
        names = [each["VariantName"] for each in variants]
        if len(set(names)) < len(names):
            raise ValidationException("Duplicate production variant names found. Variant names must be unique.")
        if not sum(each.get("InitialVariantWeight", 1.0) for each in variants):
            raise ValidationException("The sum of the weights of the production variants must be greater than 0.")
        for each in variants:
            self._check_variant(each, alone=len(variants) == 1)
        return {"EndpointConfigArn": self.add(params)}

    def _check_variant(self, variant: Mapping[str, Any], *, alone: bool) -> None:
        if "ModelName" not in variant:
            raise NotServed("variants without a model (inference components)")
        refused = ("InstancePools", "ManagedInstanceScaling", "CapacityReservationConfig", "CoreDumpConfig")
        refuse_members("CreateEndpointConfig.ProductionVariants", variant, refused)
        self._models.find(variant["ModelName"])
        serverless = variant.get("ServerlessConfig")
        if serverless is None:
            if "InstanceType" not in variant or "InitialInstanceCount" not in variant:
                raise ValidationException(
                    "Either ServerlessConfig, or InstanceType and InitialInstanceCount, must be specified for variant "
                    f"{variant['VariantName']}."
                )
            return
        if "InstanceType" in variant or "InitialInstanceCount" in variant:
            raise ValidationException("ServerlessConfig cannot be specified with InstanceType or InitialInstanceCount.")
        if not alone:
            raise ValidationException("Serverless endpoints support exactly one production variant.")
        if serverless["MemorySizeInMB"] not in _SERVERLESS_MEMORY:
            raise ValidationException("MemorySizeInMB must be one of 1024, 2048, 3072, 4096, 5120, 6144.")

    def _delete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        self.delete(params["EndpointConfigName"])
        return {}

    def _list(self, params: Mapping[str, Any]) -> dict[str, Any]:
        configs, token = self.list(params)
        return {"EndpointConfigs": configs, "NextToken": token}
