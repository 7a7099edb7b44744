"""One function for every event, whoever delivers it: EventBridge through Lambda, or the local supervisor.

An event only says where to look; what is written comes from the runner's own answer. So an event delivered twice,
late or out of order has the same effect as one delivered once.
"""

from collections.abc import Callable, Mapping
from typing import Any

from mlops_api.services.batch import BatchService
from mlops_api.services.datasets import DatasetService
from mlops_api.services.endpoints import EndpointService
from mlops_api.services.training import TrainingService


class EventHandler:
    def __init__(
        self,
        *,
        datasets: DatasetService,
        training: TrainingService,
        endpoints: EndpointService,
        batch: BatchService,
    ) -> None:
        self._reactions: dict[str, tuple[str, Callable[[str], None]]] = {
            "SageMaker Processing Job State Change": ("ProcessingJobName", datasets.validation.on_processing_change),
            "SageMaker Training Job State Change": ("TrainingJobName", training.on_training_change),
            "SageMaker Transform Job State Change": ("TransformJobName", batch.on_transform_change),
            "SageMaker Endpoint State Change": ("EndpointName", endpoints.on_endpoint_change),
        }

    def handle(self, event: Mapping[str, Any]) -> bool:
        """React; False for an event that is none of the platform's. Raises what the stores raise: deliver again."""
        reaction = self._reactions.get(str(event.get("detail-type")))
        if reaction is None or event.get("source") != "aws.sagemaker":
            return False
        key, react = reaction
        react(str(event["detail"][key]))
        return True
