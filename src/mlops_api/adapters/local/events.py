"""State changes in the JSON shape that EventBridge delivers for SageMaker and Step Functions, so that one function
reacts to both modes."""

import uuid
from collections.abc import Mapping
from typing import Any

from mlops_api.domain.monitoring import AlarmState
from mlops_api.domain.times import parse_rfc3339, rfc3339
from mlops_api.ports import AlarmStatus, HostStatus, JobState

_NAMESPACE = uuid.UUID("8f5f6f0e-6e7c-5a3e-9d36-0b6d9c8a1d11")
_ACCOUNT = "000000000000"
_REGION = "local"

_ENDPOINT_STATUS: Mapping[HostStatus, str] = {
    "Creating": "CREATING",
    "InService": "IN_SERVICE",
    "Updating": "UPDATING",
    "Failed": "FAILED",
    "Deleting": "DELETING",
}


def training_event(job: str, state: JobState) -> dict[str, Any]:
    """`SageMaker Training Job State Change`."""
    detail = _job_detail("TrainingJob", "training-job", job, state)
    detail |= {"SecondaryStatus": state.secondary_status, **_times("Training", state)}
    return _event("SageMaker Training Job State Change", "training-job", job, state.status, state.ended_at, detail)


def processing_event(job: str, state: JobState) -> dict[str, Any]:
    """`SageMaker Processing Job State Change`."""
    detail = _job_detail("ProcessingJob", "processing-job", job, state) | _times("Processing", state)
    return _event("SageMaker Processing Job State Change", "processing-job", job, state.status, state.ended_at, detail)


def transform_event(job: str, state: JobState) -> dict[str, Any]:
    """`SageMaker Transform Job State Change`."""
    detail = _job_detail("TransformJob", "transform-job", job, state) | _times("Transform", state)
    return _event("SageMaker Transform Job State Change", "transform-job", job, state.status, state.ended_at, detail)


def endpoint_event(endpoint: str, status: HostStatus, generation: int, at: str, failure: str | None) -> dict[str, Any]:
    """`SageMaker Endpoint State Change`; `generation` counts the endpoint's deployments."""
    detail: dict[str, Any] = {
        "EndpointName": endpoint,
        "EndpointArn": _arn("endpoint", endpoint),
        "EndpointStatus": _ENDPOINT_STATUS[status],
        "LastModifiedTime": epoch_milliseconds(at),
    }
    if failure:
        detail["FailureReason"] = failure
    return _event("SageMaker Endpoint State Change", "endpoint", endpoint, f"{generation}/{status}", at, detail)


def execution_event(execution: str, status: str, started_at: str, ended_at: str | None) -> dict[str, Any]:
    """`Step Functions Execution Status Change`; its times are epoch milliseconds as numbers."""
    detail: dict[str, Any] = {
        "executionArn": f"arn:aws:states:{_REGION}:{_ACCOUNT}:execution:pipeline:{execution}",
        "stateMachineArn": f"arn:aws:states:{_REGION}:{_ACCOUNT}:stateMachine:pipeline",
        "name": execution,
        "status": status,
        "startDate": int(epoch_milliseconds(started_at)),
        "stopDate": int(epoch_milliseconds(ended_at)) if ended_at else None,
    }
    event = _event("Step Functions Execution Status Change", "execution", execution, status, ended_at, detail)
    return event | {"source": "aws.states", "resources": [detail["executionArn"]]}


def alarm_event(status: AlarmStatus, before: AlarmState) -> dict[str, Any]:
    """`CloudWatch Alarm State Change`."""
    name, at = status.alarm.alarm, rfc3339(status.since)
    detail = {
        "alarmName": name,
        "state": {"value": status.state, "reason": status.reason, "timestamp": at},
        "previousState": {"value": before},
        "configuration": {"description": status.alarm.description},
    }
    event = _event("CloudWatch Alarm State Change", "alarm", name, status.state, at, detail)
    return event | {"source": "aws.cloudwatch", "resources": [f"arn:aws:cloudwatch:{_REGION}:{_ACCOUNT}:alarm:{name}"]}


def epoch_milliseconds(moment: str) -> str:
    """Times inside SageMaker's events are epoch milliseconds written as text."""
    return str(round(parse_rfc3339(moment).timestamp() * 1000))


def _job_detail(word: str, resource: str, job: str, state: JobState) -> dict[str, Any]:
    detail: dict[str, Any] = {
        f"{word}Name": job,
        f"{word}Arn": _arn(resource, job),
        f"{word}Status": state.status,
    }
    if state.failure_reason:
        detail["FailureReason"] = state.failure_reason
    return detail


def _times(word: str, state: JobState) -> dict[str, str]:
    times = {f"{word}StartTime": state.started_at, f"{word}EndTime": state.ended_at, "LastModifiedTime": state.ended_at}
    return {name: epoch_milliseconds(moment) for name, moment in times.items() if moment}


def _event(
    detail_type: str, resource: str, name: str, change: str, at: str | None, detail: dict[str, Any]
) -> dict[str, Any]:
    return {
        "version": "0",
        # One id for one change, however often it is delivered.
        "id": str(uuid.uuid5(_NAMESPACE, f"{resource}/{name}/{change}/{at}")),
        "detail-type": detail_type,
        "source": "aws.sagemaker",
        "account": _ACCOUNT,
        "time": at,
        "region": _REGION,
        "resources": [_arn(resource, name)],
        "detail": detail,
    }


def _arn(resource: str, name: str) -> str:
    return f"arn:aws:sagemaker:{_REGION}:{_ACCOUNT}:{resource}/{name}"
