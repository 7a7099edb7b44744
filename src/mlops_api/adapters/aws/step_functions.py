"""PipelineRunner on Step Functions: the Standard state machine of infra/pipeline.asl.json.

start     StartExecution: the name is the idempotency key
describe  DescribeExecution, and the steps from GetExecutionHistory
stop      StopExecution, which stops the job that the state machine waits for
retry     RedriveExecution
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from botocore.exceptions import ClientError

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.errors import Codes, code_of, translated, unavailable
from mlops_api.adapters.aws.execution_history import steps_of
from mlops_api.domain.errors import Conflict, NotFound, PlatformError
from mlops_api.domain.pipelines import ENDED, MAX_CAUSE, ExecutionStatus, plain_cause
from mlops_api.domain.times import rfc3339
from mlops_api.ports import PipelineState

_EVENTS_A_PAGE: Final = 1000
_ABSENT: Final[Codes] = {"ExecutionDoesNotExist": NotFound}
STOPPED: Final = "Aborted"
"""The error of an execution that was stopped."""


class StepFunctionsPipelines:
    """ports.PipelineRunner; safe to use from many threads. An execution is forgotten 90 days after its end."""

    def __init__(self, clients: AwsClients, state_machine_arn: str) -> None:
        self._clients = clients
        self._machine = state_machine_arn

    def start(self, execution: str, input: Mapping[str, Any]) -> None:  # noqa: A002 - the port's word
        subject = f"Pipeline execution {execution} cannot be started"
        with translated(subject, {"ExecutionLimitExceeded": _full}):
            try:
                self._clients.stepfunctions.start_execution(
                    stateMachineArn=self._machine, name=execution, input=json.dumps(dict(input), sort_keys=True)
                )
            except ClientError as error:
                if code_of(error) != "ExecutionAlreadyExists":
                    raise

    def describe(self, execution: str) -> PipelineState:
        found = self._described(execution)
        status = _status(found)
        cause = found.get("cause")
        return PipelineState(
            status=status,
            started_at=rfc3339(found["startDate"]),
            ended_at=rfc3339(found["stopDate"]) if status in ENDED and found.get("stopDate") else None,
            error=found.get("error"),
            cause=plain_cause(cause)[:MAX_CAUSE] if cause is not None else None,
            steps=steps_of(self._history(execution), status),
        )

    def stop(self, execution: str, cause: str) -> None:
        with translated(f"Pipeline execution {execution} cannot be stopped", _ABSENT):
            try:
                self._clients.stepfunctions.stop_execution(
                    executionArn=self._arn(execution), error=STOPPED, cause=cause[:MAX_CAUSE]
                )
            except ClientError as error:
                if code_of(error) != "ValidationException" or _status(self._described(execution)) not in ENDED:
                    raise

    def retry(self, execution: str) -> None:
        codes: Codes = {**_ABSENT, "ExecutionNotRedrivable": Conflict, "ExecutionLimitExceeded": _full}
        with translated(f"Pipeline execution {execution} cannot go on from the step that failed", codes):
            self._clients.stepfunctions.redrive_execution(executionArn=self._arn(execution))

    def _described(self, execution: str) -> Mapping[str, Any]:
        with translated(f"Pipeline execution {execution}", _ABSENT):
            found: Mapping[str, Any] = self._clients.stepfunctions.describe_execution(executionArn=self._arn(execution))
        return found

    def _history(self, execution: str) -> Iterator[Mapping[str, Any]]:
        request = {"executionArn": self._arn(execution), "maxResults": _EVENTS_A_PAGE}
        pages = self._clients.stepfunctions.get_paginator("get_execution_history")
        with translated(f"The history of pipeline execution {execution}", _ABSENT):
            for page in pages.paginate(**request):
                yield from page["events"]

    def _arn(self, execution: str) -> str:
        return f"{self._machine.replace(':stateMachine:', ':execution:')}:{execution}"


def _status(found: Mapping[str, Any]) -> ExecutionStatus:
    status = found["status"]
    return "RUNNING" if status == "PENDING_REDRIVE" else cast(ExecutionStatus, status)


def _full(sentence: str) -> PlatformError:
    return unavailable(sentence, "as many executions are open as the account may have")
