"""All aws adapters, over one set of clients."""

from collections.abc import Mapping
from typing import Any

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.dynamodb_records import DynamoRecords
from mlops_api.adapters.aws.s3_objects import S3Objects
from mlops_api.adapters.aws.sagemaker_common import AwsSageMaker
from mlops_api.adapters.aws.sagemaker_endpoints import SageMakerEndpoints
from mlops_api.adapters.aws.sagemaker_processing import SageMakerProcessing
from mlops_api.adapters.aws.sagemaker_training import SageMakerTraining
from mlops_api.adapters.aws.sagemaker_transform import SageMakerTransform


class AwsStack:
    """`sagemaker`: the members of AwsSageMaker. Every request needs DynamoDB and S3: their clients are made here;
    SageMaker's when first used."""

    def __init__(self, region: str | None, table: str, sagemaker: Mapping[str, Any]) -> None:
        config = AwsSageMaker(**sagemaker)
        self.clients = AwsClients(region)
        self.records = DynamoRecords(self.clients.dynamodb, table)
        self.objects = S3Objects(self.clients.s3, config.bucket)
        self.processing = SageMakerProcessing(self.clients, self.objects, config)
        self.training = SageMakerTraining(self.clients, config)
        self.transform = SageMakerTransform(self.clients, self.objects, config)
        self.hosting = SageMakerEndpoints(self.clients, config)
