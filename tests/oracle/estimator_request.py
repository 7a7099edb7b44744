"""Run by the oracle's own Python, not by pytest: the CreateTrainingJob requests that the SageMaker SDK would send.

Takes a list of jobs on stdin, gives their requests as the last line on stdout, both JSON. Nothing is sent: each request
is caught inside boto3, and a socket that connects anywhere ends the program.
"""

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn


class Caught(Exception):
    """Carries the request."""


def _no_network(*_: object) -> NoReturn:
    raise RuntimeError("the oracle must not use the network")


def _session(region: str) -> Any:
    import boto3
    from sagemaker.session import Session

    boto = boto3.Session("oracle", "oracle", region_name=region)
    client = boto.client("sagemaker")
    client.meta.events.register("provide-client-params.sagemaker.CreateTrainingJob", _catch)
    return Session(boto, sagemaker_client=client, default_bucket="objects")


def _catch(params: dict[str, Any], **_: Any) -> NoReturn:
    raise Caught(params)


def request(job: dict[str, Any]) -> Any:
    from sagemaker.estimator import Estimator
    from sagemaker.inputs import TrainingInput

    estimator = Estimator(sagemaker_session=_session(job["region"]), **job["estimator"])
    try:
        estimator.fit({"training": TrainingInput(**job["input"])}, wait=False, logs=False, job_name=job["name"])
    except Caught as caught:
        return caught.args[0]
    raise RuntimeError("the SDK sent no request")


if __name__ == "__main__":
    config = Path(os.environ["SAGEMAKER_USER_CONFIG_OVERRIDE"])
    config.write_text("SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      TelemetryOptOut: true\n")
    socket.socket.connect = _no_network  # type: ignore[method-assign, assignment] # nothing may leave this process
    print(json.dumps([request(job) for job in json.load(sys.stdin)]))
