"""JobRequests for the state machine, which begins jobs itself: made as the runners make their own."""

from mlops_api.adapters.aws.sagemaker_processing import SageMakerProcessing
from mlops_api.adapters.aws.sagemaker_training import SageMakerTraining
from mlops_api.ports import JobRequest, ProcessingSpec, TrainingSpec


class AwsJobRequests:
    """ports.JobRequests."""

    def __init__(self, processing: SageMakerProcessing, training: SageMakerTraining) -> None:
        self._processing = processing
        self._training = training

    def preprocess(self, spec: ProcessingSpec, *, size_bytes: int) -> JobRequest:
        return self._processing.request(spec, size_bytes=size_bytes)

    def train(self, spec: TrainingSpec) -> JobRequest:
        return JobRequest("sagemaker", self._training.request(spec))
