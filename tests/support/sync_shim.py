"""Stands for Step Functions' `.sync` integrations with SageMaker, which the emulator lacks: a Lambda function.

A state `arn:aws:states:::sagemaker:createTrainingJob.sync` has its Resource replaced by this function's address, and
nothing else. The function does what Step Functions does: it calls the operation with the state's Arguments, waits until
the job has ended, answers with what Describe says, and raises by Step Functions' names:

    States.TaskFailed                     the job ended, but not Completed; the cause is what Describe says, as JSON
    SageMaker.ResourceInUseException      a job of that name exists
    SageMaker.AmazonSageMakerException    whatever else SageMaker answers, throttling included
"""

import json
import os
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

_PAUSE = 0.2
_DESCRIBED = {
    "createTrainingJob": ("create_training_job", "describe_training_job", "TrainingJobName", "TrainingJobStatus"),
    "createProcessingJob": (
        "create_processing_job",
        "describe_processing_job",
        "ProcessingJobName",
        "ProcessingJobStatus",
    ),
}


def handler(event: dict[str, Any], _: Any) -> dict[str, Any]:
    create, describe, name, status = _DESCRIBED[os.environ["SHIM"]]
    client = boto3.client("sagemaker", config=Config(retries={"total_max_attempts": 1}))
    try:
        getattr(client, create)(**event)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        modelled = code in ("ResourceInUse", "ResourceLimitExceeded")
        raise _error(
            f"SageMaker.{code}Exception" if modelled else "SageMaker.AmazonSageMakerException", str(error)
        ) from error
    while True:
        found = getattr(client, describe)(**{name: event[name]})
        if found[status] in ("Completed", "Failed", "Stopped"):
            break
        time.sleep(_PAUSE)
    answer = {key: value for key, value in found.items() if key != "ResponseMetadata"}
    plain: dict[str, Any] = json.loads(json.dumps(answer, default=lambda moment: int(moment.timestamp() * 1000)))
    if found[status] != "Completed":
        raise _error("States.TaskFailed", json.dumps(plain))
    return plain


def _error(name: str, cause: str) -> Exception:
    made: Exception = type(name, (Exception,), {})(cause)
    return made
