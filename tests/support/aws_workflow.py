"""The state machine in the emulator, with the worker function whose tasks it calls, and the rules that wake it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.aws import REGION, fresh_name
from tests.support.cloud_functions import create_function, role
from tests.support.sagemaker import client
from tests.support.state_machine import Definition, definition, with_shims

ACCOUNT = "000000000000"
"""The emulator's."""

_SHIM = "tests.support.sync_shim.handler"
_SHIM_SECONDS = 900


@dataclass(frozen=True)
class Workflow:
    """`url`: of the emulator. Names that later calls need; nothing is made before `deploy`."""

    url: str
    name: str

    @classmethod
    def planned(cls, url: str) -> "Workflow":
        return cls(url, fresh_name("pipeline"))

    @property
    def arn(self) -> str:
        return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{self.name}"

    @property
    def worker(self) -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.name}-worker"

    def deploy(self, bucket: str, environment: Mapping[str, str]) -> None:
        """`environment`: of the worker; where its SageMaker answers is the shims' too."""
        allowed = role(client("iam", self.url), f"{self.name}-role")
        functions = client("lambda", self.url)
        create_function(functions, f"{self.name}-worker", "mlops_api.lambda_handler.handler", allowed, environment)
        shims = {name: self._shim(functions, name, allowed, environment) for name in ("createTrainingJob",
                 "createProcessingJob")}  # fmt: skip
        shims["startJobRun"] = self.worker  # never reached: no Glue job is set
        self.create(with_shims(definition(self.worker), shims), allowed)
        self._wake_on("aws.s3", "Object Created", _of_bucket(bucket))
        self._wake_on_ends()
        client("s3", self.url).put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )

    def deploy_scripted(self, scripts: Path) -> None:
        """The same with scripted_tasks in the place of worker and jobs."""
        allowed = role(client("iam", self.url), f"{self.name}-role")
        handler = "tests.support.scripted_tasks.handler"
        create_function(client("lambda", self.url), f"{self.name}-worker", handler, allowed, {"SCRIPT": str(scripts)})
        shims = dict.fromkeys(("createTrainingJob", "createProcessingJob", "startJobRun"), self.worker)
        self.create(with_shims(definition(self.worker), shims), allowed)
        self._wake_on_ends()

    def create(self, machine: Definition, allowed: str) -> None:
        client("stepfunctions", self.url).create_state_machine(
            name=self.name, definition=json.dumps(machine), roleArn=allowed, type="STANDARD"
        )

    def executions(self) -> list[str]:
        """The names of all of them."""
        pages = client("stepfunctions", self.url).get_paginator("list_executions").paginate(stateMachineArn=self.arn)
        return [each["name"] for page in pages for each in page["executions"]]

    def _shim(self, functions: Any, name: str, allowed: str, environment: Mapping[str, str]) -> str:
        shim = dict(environment) | {"SHIM": name}
        return create_function(functions, f"{self.name}-{name}", _SHIM, allowed, shim, timeout=_SHIM_SECONDS)

    def _wake_on_ends(self) -> None:
        self._wake_on("aws.states", "Step Functions Execution Status Change", {"stateMachineArn": [self.arn]})

    def _wake_on(self, source: str, detail_type: str, detail: Mapping[str, Any]) -> None:
        events = client("events", self.url)
        rule = f"{self.name}-{source.rpartition('.')[2]}"
        pattern = {"source": [source], "detail-type": [detail_type], "detail": detail}
        answer = events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
        client("lambda", self.url).add_permission(
            FunctionName=self.worker,
            StatementId=rule,
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=answer["RuleArn"],
        )
        events.put_targets(Rule=rule, Targets=[{"Id": "worker", "Arn": self.worker}])


def _of_bucket(bucket: str) -> Mapping[str, Any]:
    """As docs/aws.md says: files of datasets, and those that were dropped."""
    keys = [{"prefix": prefix} for prefix in ("datasets/", "inbox/")]
    return {"bucket": {"name": [bucket]}, "object": {"key": keys}}
