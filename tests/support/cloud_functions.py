"""Lambda functions inside the emulator: each runs in processes of its own under awslambdaric, AWS's runtime client."""

import io
import json
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_TRUST = {"lambda.amazonaws.com", "states.amazonaws.com", "events.amazonaws.com"}


def role(iam: Any, name: str = "mlops-test") -> str:
    """One that may do everything: what a role has to be allowed is another test's question. Its address."""
    trust = [
        {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"} for service in sorted(_TRUST)
    ]
    document = {"Version": "2012-10-17", "Statement": trust}
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document))["Role"]["Arn"]
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(everything))
    return arn


def create_function(
    client: Any, name: str, handler: str, role_arn: str, environment: Mapping[str, str], *, timeout: int = 60
) -> str:
    """A function of this checkout's code; its address."""
    answer = client.create_function(
        FunctionName=name,
        Runtime="provided.al2023",
        Handler=handler,
        Role=role_arn,
        Code={"ZipFile": _bootstrap()},
        Timeout=timeout,
        MemorySize=512,
        Environment={"Variables": {"PYTHONPATH": str(ROOT), **environment}},
    )
    arn: str = answer["FunctionArn"]
    client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    return arn


def _bootstrap() -> bytes:
    script = f'#!/bin/sh\nexec "{sys.executable}" -m awslambdaric "$_HANDLER"\n'
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr = 0o755 << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(entry, script)
    return packed.getvalue()
