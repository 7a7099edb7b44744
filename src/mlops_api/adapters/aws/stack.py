"""All aws adapters, over one set of clients.

Each but the records is imported and made when it is first asked for something: most requests need DynamoDB alone, and
a cold start has to bear what is loaded.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, cast

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.dynamodb_records import DynamoRecords
from mlops_api.ports import (
    EndpointHost,
    JobRequests,
    MetricSink,
    ModelMirror,
    Notifier,
    ObjectStore,
    PipelineRunner,
    ProcessingRunner,
    TrainingRunner,
    TransformRunner,
)


class AwsStack:
    """`sagemaker`: the members of AwsSageMaker, the bucket among them; `glue`: those of GlueChoice. `topic_arn` empty:
    alerts go to the log."""

    def __init__(
        self,
        region: str | None,
        table: str,
        sagemaker: Mapping[str, Any],
        *,
        state_machine_arn: str,
        glue: Mapping[str, Any],
        topic_arn: str = "",
        metric_namespace: str = "MLOps",
    ) -> None:
        self.clients = AwsClients(region)
        self._sagemaker = sagemaker
        self._glue = glue
        self._state_machine_arn = state_machine_arn
        self._topic_arn = topic_arn
        self._metric_namespace = metric_namespace
        self.records = DynamoRecords(self.clients.dynamodb, table)
        self.objects = cast(ObjectStore, Later(self._objects))
        self.processing = cast(ProcessingRunner, Later(self._processing))
        self.training = cast(TrainingRunner, Later(self._training))
        self.transform = cast(TransformRunner, Later(self._transform))
        self.hosting = cast(EndpointHost, Later(self._hosting))
        self.pipelines = cast(PipelineRunner, Later(self._pipelines))
        self.requests = cast(JobRequests, Later(self._requests))
        self.mirror = cast(ModelMirror, Later(self._mirror))
        self.metrics = cast(MetricSink, Later(self._metrics))
        self.notifier = cast(Notifier, Later(self._notifier))

    def _objects(self) -> ObjectStore:
        from mlops_api.adapters.aws.s3_objects import S3Objects

        return S3Objects(self.clients.s3, self._sagemaker["bucket"])

    def _processing(self) -> Any:
        from mlops_api.adapters.aws.glue_jobs import GlueChoice
        from mlops_api.adapters.aws.sagemaker_processing import SageMakerProcessing

        return SageMakerProcessing(self.clients, self.objects, self._config(), GlueChoice(**self._glue))

    def _training(self) -> Any:
        from mlops_api.adapters.aws.sagemaker_training import SageMakerTraining

        return SageMakerTraining(self.clients, self._config())

    def _transform(self) -> TransformRunner:
        from mlops_api.adapters.aws.sagemaker_transform import SageMakerTransform

        return SageMakerTransform(self.clients, self.objects, self._config())

    def _hosting(self) -> EndpointHost:
        from mlops_api.adapters.aws.sagemaker_endpoints import SageMakerEndpoints

        return SageMakerEndpoints(self.clients, self._config())

    def _pipelines(self) -> PipelineRunner:
        from mlops_api.adapters.aws.step_functions import StepFunctionsPipelines

        return StepFunctionsPipelines(self.clients, self._state_machine_arn)

    def _requests(self) -> JobRequests:
        from mlops_api.adapters.aws.job_requests import AwsJobRequests

        return AwsJobRequests(self._processing(), self._training())

    def _mirror(self) -> ModelMirror:
        from mlops_api.adapters.aws.model_packages import ModelPackages

        return ModelPackages(self.clients, self._config())

    def _metrics(self) -> MetricSink:
        from mlops_api.adapters.aws.cloudwatch_metrics import CloudWatchMetrics

        return CloudWatchMetrics(self.clients, self._metric_namespace)

    def _notifier(self) -> Notifier:
        from mlops_api.adapters.aws.sns_notifier import SnsNotifier
        from mlops_api.adapters.log_notifier import LogNotifier

        return SnsNotifier(self.clients, self._topic_arn) if self._topic_arn else LogNotifier()

    def _config(self) -> Any:
        from mlops_api.adapters.aws.sagemaker_common import AwsSageMaker

        return AwsSageMaker(**self._sagemaker)


class Later:
    """Stands for what `make` gives; made once, at the first look at a member, also when threads look at once."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: object | None = None

    def __getattr__(self, name: str) -> Any:
        if self._made is None:
            with self._lock:
                self._made = self._made or self._make()
        return getattr(self._made, name)
