"""Endpoints: blue/green over production variants.

    Creating --> InService <--> Updating        a failed update goes back to InService on the old configuration
        '--> Failed                             any of them but Creating and Updating --> Deleting

A variant is one container, however many instances it was asked for: what depends on their number is not served here.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.sagemaker_server.model_servers import ModelServer, NotHealthy
from tests.sagemaker_server.models import EndpointConfigs, Models
from tests.sagemaker_server.pages import page, selected
from tests.sagemaker_server.refusals import RuntimeRefusal, ValidationException, refuse_members
from tests.sagemaker_server.s3 import TransferFailed
from tests.sagemaker_server.world import Operation, World, now

_EVENT_STATUS = {
    "Creating": "CREATING",
    "InService": "IN_SERVICE",
    "Updating": "UPDATING",
    "Failed": "FAILED",
    "Deleting": "DELETING",
}


@dataclass
class Variant:
    """What serves behind one name of a configuration."""

    config: Mapping[str, Any]
    image: str
    server: ModelServer
    weight: float
    instances: int
    deployed: datetime

    @property
    def name(self) -> str:
        return str(self.config["VariantName"])

    @property
    def serverless(self) -> bool:
        return "ServerlessConfig" in self.config

    def describe(self) -> dict[str, Any]:
        """ProductionVariantSummary."""
        image = {"SpecifiedImage": self.image, "ResolvedImage": self.image, "ResolutionTime": self.deployed}
        own: dict[str, Any] = {
            "VariantName": self.name,
            "DeployedImages": [image],
            "CurrentWeight": self.weight,
            "DesiredWeight": self.weight,
        }
        if self.serverless:
            return own | {"CurrentServerlessConfig": self.config["ServerlessConfig"]}
        return own | {"CurrentInstanceCount": self.instances, "DesiredInstanceCount": self.instances}


class Endpoint:
    """One endpoint. Its variants change under the world's lock only."""

    def __init__(self, world: World, models: Models, name: str, config: Mapping[str, Any]) -> None:
        self.world, self.models, self.name = world, models, name
        self.arn = world.arn("endpoint", name)
        self.status = "Creating"
        self.failure_reason: str | None = None
        self.created = self.modified = now()
        self.config_name: str = config["EndpointConfigName"]
        self.pending: Mapping[str, Any] | None = config
        self.pending_since = self.created
        self.variants: list[Variant] = []

    def deploy(self, config: Mapping[str, Any]) -> None:
        """Begin to replace what serves by a configuration."""
        self.pending, self.pending_since = config, now()
        self.tell()
        self.world.spawn(f"deploy-{self.name}", lambda: self._deploy(config))

    def _deploy(self, config: Mapping[str, Any]) -> None:
        fresh: list[Variant] = []
        try:
            for each in config["ProductionVariants"]:
                fresh.append(self._variant(each))
        except (NotHealthy, TransferFailed, ValidationException) as error:
            for variant in fresh:
                variant.server.stop()
            self._failed(each["VariantName"], error)
            return
        self._swap(config, fresh)

    def _variant(self, config: Mapping[str, Any]) -> Variant:
        """Raises NotHealthy, TransferFailed, ValidationException (the model is gone)."""
        model = self.models.find(config["ModelName"])
        group = f"/aws/sagemaker/Endpoints/{self.name}"
        log = self.world.logs.stream(group, f"{config['VariantName']}/i-{self.world.serial():017x}")
        server = ModelServer(self.world, model, f"{self.name}-{config['VariantName']}", log)
        server.start(self.world.options.health_seconds)
        image = model["PrimaryContainer"]["Image"]
        weight, instances = config.get("InitialVariantWeight", 1.0), config.get("InitialInstanceCount", 1)
        return Variant(config, image, server, weight, instances, now())

    def _swap(self, config: Mapping[str, Any], fresh: list[Variant]) -> None:
        with self.world.lock:
            old, self.variants = self.variants, fresh
            self.config_name = config["EndpointConfigName"]
            self._set("InService", None)
        for variant in old:
            variant.server.stop()

    def _failed(self, variant: str, error: Exception) -> None:
        if self.world.closing.is_set():
            return
        reason = str(error)
        if isinstance(error, NotHealthy):
            reason = (
                f"The primary container for production variant {variant} did not pass the ping health check. Please "
                "check CloudWatch logs for this endpoint."
            )
        elif isinstance(error, TransferFailed):
            reason = f"Failed to download model data for production variant {variant}: {error}"
        with self.world.lock:
            self._set("InService" if self.variants else "Failed", reason[:1024])

    def _set(self, status: str, reason: str | None) -> None:
        self.status, self.failure_reason, self.pending = status, reason, None
        self.modified = now()
        self.tell()

    def reweigh(self, desired: Sequence[Mapping[str, Any]]) -> None:
        """UpdateEndpointWeightsAndCapacities; the containers stay."""
        for each in desired:
            variant = self.find(each["VariantName"])
            variant.weight = each.get("DesiredWeight", variant.weight)
            variant.instances = each.get("DesiredInstanceCount", variant.instances)
        with self.world.lock:
            self._set("InService", None)

    def delete(self) -> None:
        """Stop serving. The name is free once the containers have ended."""
        for variant in self.variants:
            variant.server.stop()

    def find(self, variant: str) -> Variant:
        """Raises ValidationException."""
        for each in self.variants:
            if each.name == variant:
                return each
        raise ValidationException(f'Could not find variant "{variant}" of endpoint "{self.arn}".')

    def draw(self, variant: str | None) -> Variant:
        """The variant named, or one by weight. Raises RuntimeRefusal."""
        with self.world.lock:
            if variant is not None:
                named = [each for each in self.variants if each.name == variant]
                if not named:
                    raise RuntimeRefusal("ValidationError", f"Variant {variant} not found for endpoint {self.name}.")
                return named[0]
            weights = [each.weight for each in self.variants]
            if not sum(weights):
                raise RuntimeRefusal("ValidationError", f"All variants of endpoint {self.name} have weight 0.")
            return random.choices(self.variants, weights)[0]  # noqa: S311 - traffic, not secrets

    def tell(self) -> None:
        detail = {
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "EndpointConfigName": self.config_name,
            "EndpointStatus": _EVENT_STATUS[self.status],
            "FailureReason": self.failure_reason,
            "ProductionVariants": [each.describe() for each in self.variants] or None,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "Tags": self.world.tags.of(self.arn),
        }
        self.world.events.send("SageMaker Endpoint State Change", self.arn, detail)

    def describe(self) -> dict[str, Any]:
        """The DescribeEndpoint reply."""
        return {
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "EndpointConfigName": self.config_name,
            "ProductionVariants": [each.describe() for each in self.variants] or None,
            "EndpointStatus": self.status,
            "FailureReason": self.failure_reason,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "PendingDeploymentSummary": self._pending() if self.status == "Updating" else None,
        }

    def _pending(self) -> dict[str, Any] | None:
        if self.pending is None:
            return None
        variants = [_pending_variant(each) for each in self.pending["ProductionVariants"]]
        return {
            "EndpointConfigName": self.pending["EndpointConfigName"],
            "ProductionVariants": variants,
            "StartTime": self.pending_since,
        }


def _pending_variant(config: Mapping[str, Any]) -> dict[str, Any]:
    weight = config.get("InitialVariantWeight", 1.0)
    return {"VariantName": config["VariantName"], "DesiredWeight": weight}


class Endpoints:
    """CreateEndpoint and its family."""

    def __init__(self, world: World, models: Models, configs: EndpointConfigs) -> None:
        self._world, self._models, self._configs = world, models, configs
        self._by_name: dict[str, Endpoint] = {}
        self.operations: dict[str, Operation] = {
            "CreateEndpoint": self._create,
            "UpdateEndpoint": self._update,
            "UpdateEndpointWeightsAndCapacities": self._reweigh,
            "DescribeEndpoint": self._describe,
            "DeleteEndpoint": self._delete,
            "ListEndpoints": self._list,
        }

    def serving(self, name: str) -> Endpoint:
        """An endpoint that answers. Raises RuntimeRefusal."""
        with self._world.lock:
            endpoint = self._by_name.get(name)
            if endpoint is None or not endpoint.variants or endpoint.status == "Deleting":
                account = self._world.options.account
                raise RuntimeRefusal("ValidationError", f"Endpoint {name} of account {account} not found.")
            return endpoint

    def find(self, name: str) -> Endpoint:
        """Raises ValidationException."""
        if name not in self._by_name:
            raise ValidationException(f'Could not find endpoint "{self._world.arn("endpoint", name)}".')
        return self._by_name[name]

    def _create(self, params: Mapping[str, Any]) -> dict[str, Any]:
        refuse_members("CreateEndpoint", params, ("DeploymentConfig",))
        name = params["EndpointName"]
        with self._world.lock:
            config = self._configs.find(params["EndpointConfigName"])
            if name in self._by_name:
                raise ValidationException(f'Cannot create already existing endpoint "{self._by_name[name].arn}".')
            endpoint = Endpoint(self._world, self._models, name, config)
            self._world.tags.own(endpoint.arn, params.get("Tags", ()))
            self._by_name[name] = endpoint
            endpoint.deploy(config)
        return {"EndpointArn": endpoint.arn}

    def _update(self, params: Mapping[str, Any]) -> dict[str, Any]:
        refused = ("RetainAllVariantProperties", "ExcludeRetainedVariantProperties", "RetainDeploymentConfig")
        refuse_members("UpdateEndpoint", params, (*refused, "DeploymentConfig"))
        with self._world.lock:
            endpoint = self._changeable(params["EndpointName"])
            config = self._configs.find(params["EndpointConfigName"])
            endpoint.status, endpoint.failure_reason, endpoint.modified = "Updating", None, now()
            endpoint.deploy(config)
        return {"EndpointArn": endpoint.arn}

    def _reweigh(self, params: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.lock:
            endpoint = self._changeable(params["EndpointName"])
            for each in params["DesiredWeightsAndCapacities"]:
                refuse_members("DesiredWeightsAndCapacities", each, ("ServerlessUpdateConfig",))
                endpoint.find(each["VariantName"])
            endpoint.status = "Updating"
            endpoint.tell()
        self._world.spawn("reweigh", lambda: endpoint.reweigh(params["DesiredWeightsAndCapacities"]))
        return {"EndpointArn": endpoint.arn}

    def _changeable(self, name: str) -> Endpoint:
        endpoint = self.find(name)
        if endpoint.status != "InService":
            in_progress = endpoint.status in ("Creating", "Updating", "Deleting")
            kind = "in-progress" if in_progress else endpoint.status.lower()
            raise ValidationException(f'Cannot update {kind} endpoint "{endpoint.arn}".')
        return endpoint

    def _describe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.lock:
            return self.find(params["EndpointName"]).describe()

    def _delete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.lock:
            endpoint = self.find(params["EndpointName"])
            if endpoint.status in ("Creating", "Updating", "Deleting"):
                raise ValidationException(f'Cannot update in-progress endpoint "{endpoint.arn}".')
            endpoint.status, endpoint.modified = "Deleting", now()
            endpoint.tell()
        self._world.spawn(f"delete-{endpoint.name}", lambda: self._deleted(endpoint))
        return {}

    def _deleted(self, endpoint: Endpoint) -> None:
        endpoint.delete()
        with self._world.lock:
            del self._by_name[endpoint.name]
            self._world.tags.disown(endpoint.arn)

    def _list(self, params: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.lock:
            chosen = selected(self._by_name.values(), params, _facts)
            endpoints, token = page(chosen, params, lambda each: each.name)
            summaries = [_summary(each) for each in endpoints]
        return {"Endpoints": summaries, "NextToken": token}


def _facts(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "created": endpoint.created,
        "modified": endpoint.modified,
        "status": endpoint.status,
    }


def _summary(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "EndpointName": endpoint.name,
        "EndpointArn": endpoint.arn,
        "EndpointStatus": endpoint.status,
        "CreationTime": endpoint.created,
        "LastModifiedTime": endpoint.modified,
    }
