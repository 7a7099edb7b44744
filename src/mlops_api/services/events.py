"""One function for every event, whoever delivers it: EventBridge through Lambda, or the local supervisor.

An event only says where to look; what is written comes from the runner's own answer. So an event delivered twice,
late or out of order has the same effect as one delivered once.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import getitem
from typing import Any

from mlops_api.services.alarms import AlarmService
from mlops_api.services.batch import BatchService
from mlops_api.services.datasets import DatasetService
from mlops_api.services.endpoints import EndpointService
from mlops_api.services.inbox import PREFIX, Inbox
from mlops_api.services.pipelines import PipelineService
from mlops_api.services.registry import RegistryService
from mlops_api.services.training import TrainingService


class EventHandler:
    def __init__(
        self,
        *,
        datasets: DatasetService,
        training: TrainingService,
        endpoints: EndpointService,
        batch: BatchService,
        registry: RegistryService,
        alarms: AlarmService,
        inbox: Inbox,
        pipelines: PipelineService,
    ) -> None:
        self._datasets = datasets
        self._inbox = inbox
        self._batch = batch
        self._reactions: dict[tuple[str, str], tuple[Sequence[str], Callable[[str], None]]] = {
            ("aws.sagemaker", "SageMaker Processing Job State Change"): (
                ["ProcessingJobName"],
                self._on_processing_change,
            ),
            ("aws.sagemaker", "SageMaker Training Job State Change"): (
                ["TrainingJobName"],
                training.on_training_change,
            ),
            ("aws.sagemaker", "SageMaker Transform Job State Change"): (
                ["TransformJobName"],
                batch.on_transform_change,
            ),
            ("aws.sagemaker", "SageMaker Endpoint State Change"): (["EndpointName"], endpoints.on_endpoint_change),
            ("aws.sagemaker", "SageMaker Model Package State Change"): (
                ["ModelPackageArn"],
                registry.on_package_change,
            ),
            ("aws.states", "Step Functions Execution Status Change"): (["name"], pipelines.on_execution_change),
            ("aws.cloudwatch", "CloudWatch Alarm State Change"): (["alarmName"], alarms.on_alarm_change),
            ("aws.s3", "Object Created"): (["object", "key"], self._on_created),
        }
        """By source and detail-type: where in `detail` the name stands, and who takes it."""

    @property
    def kinds(self) -> frozenset[tuple[str, str]]:
        """Source and detail-type of every event that something here reacts to."""
        return frozenset(self._reactions)

    def handle(self, event: Mapping[str, Any]) -> bool:
        """React; False for an event that is none of the platform's. Raises what the stores raise: deliver again."""
        reaction = self._reactions.get((str(event.get("source")), str(event.get("detail-type"))))
        if reaction is None:
            return False
        path, react = reaction
        try:
            name = str(reduce(getitem, path, event["detail"]))
        except (KeyError, TypeError):
            return False
        react(name)
        return True

    def _on_created(self, key: str) -> None:
        """A file dropped into the inbox, or one that a completion was cut off from."""
        if key.startswith(PREFIX):
            self._inbox.on_created(key)
        else:
            self._datasets.on_uploaded(key)

    def _on_processing_change(self, job: str) -> None:
        """Batch scoring may run as a processing job too; each ignores the other's names."""
        self._datasets.validation.on_processing_change(job)
        self._batch.on_transform_change(job)
