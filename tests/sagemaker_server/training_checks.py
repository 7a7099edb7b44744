"""What SageMaker refuses of a CreateTrainingJob request, beyond its shape."""

import re
from collections.abc import Mapping
from typing import Any

from tests.sagemaker_server import channels
from tests.sagemaker_server.refusals import ValidationException, refuse_members

DEFAULT_MAX_RUNTIME = 86_400
"""Seconds."""

_NOT_SERVED = (
    "DebugHookConfig",
    "DebugRuleConfigurations",
    "TensorBoardOutputConfig",
    "ExperimentConfig",
    "ProfilerConfig",
    "ProfilerRuleConfigurations",
    "RetryStrategy",
    "RemoteDebugConfig",
    "InfraCheckConfig",
    "SessionChainingConfig",
    "ServerlessJobConfig",
    "MlflowConfig",
    "ModelPackageConfig",
)


def check(request: Mapping[str, Any]) -> None:
    """Raises ValidationException, or NotServed for what this server cannot do."""
    refuse_members("CreateTrainingJob", request, _NOT_SERVED)
    _check_algorithm(request.get("AlgorithmSpecification", {}))
    _check_resources(request.get("ResourceConfig"))
    _check_stopping(request)


def _check_algorithm(algorithm: Mapping[str, Any]) -> None:
    image = algorithm.get("TrainingImage")
    if not image and not algorithm.get("AlgorithmName"):
        raise ValidationException("Either AlgorithmName or TrainingImage must be specified.")
    refuse_members("CreateTrainingJob.AlgorithmSpecification", algorithm, ("AlgorithmName", "TrainingImageConfig"))
    if not re.fullmatch(channels.IMAGE, image or ""):
        raise ValidationException(
            f"Invalid image URI {image}. Please provide a valid Amazon Elastic Container Registry path of the form "
            "<account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>."
        )
    for each in algorithm.get("MetricDefinitions", []):
        _check_metric(each)


def _check_metric(definition: Mapping[str, str]) -> None:
    try:
        groups = re.compile(definition["Regex"]).groups
    except re.error as error:
        raise ValidationException(f"Invalid regex for metric {definition['Name']}: {error}") from error
    if not groups:
        raise ValidationException(f"Regex of metric {definition['Name']} must have a capture group.")


def _check_resources(resources: Mapping[str, Any] | None) -> None:
    if resources is None:
        raise ValidationException("ResourceConfig must be specified.")
    refuse_members(
        "CreateTrainingJob.ResourceConfig",
        resources,
        ("InstanceGroups", "KeepAlivePeriodInSeconds", "TrainingPlanArn", "InstancePlacementConfig"),
    )
    for name in ("InstanceType", "InstanceCount", "VolumeSizeInGB"):
        if not resources.get(name):
            raise ValidationException(f"ResourceConfig must specify {name} of at least 1.")


def _check_stopping(request: Mapping[str, Any]) -> None:
    stopping = request.get("StoppingCondition", {})
    runtime = stopping.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME)
    wait = stopping.get("MaxWaitTimeInSeconds")
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None:
            raise ValidationException(
                "MaxWaitTimeInSeconds can only be specified if EnableManagedSpotTraining is set to True."
            )
        return
    if wait is None:
        raise ValidationException("MaxWaitTimeInSeconds must be specified when EnableManagedSpotTraining is True.")
    if wait < runtime:
        raise ValidationException(
            f"Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds: "
            f"{wait} < {runtime}."
        )
