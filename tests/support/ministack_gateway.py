"""The function behind an emulated gateway: Cognito gives the token, API Gateway's JWT authorizer checks it, Lambda runs
a bootstrap of its own which starts AWS's runtime client with the real handler, under a role of its own.

What ministack does not do as AWS does: a `provided` function runs outside a container, in this machine's Python.
"""

import io
import json
import secrets
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import boto3
import httpx

from mlops_api.adapters.aws.clients import Client
from tests.support.aws import CREDENTIALS, REGION, fresh_name

HANDLER = "mlops_api.lambda_handler.handler"
OPEN_ROUTES = ("GET /health/live", "GET /health/ready")
_SESSION = boto3.Session(CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"], region_name=REGION)
_PASSWORD = f"Aa1-{secrets.token_hex(8)}"
_ASSUMED_BY_LAMBDA = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@dataclass
class Gateway:
    """`host`: the name the API answers to. `token`: of the caller whose claims have this `subject`."""

    url: str
    host: str
    token: str
    subject: str

    def http(self, token: str | None) -> httpx.Client:
        headers = {"Host": self.host} | ({"Authorization": f"Bearer {token}"} if token else {})
        return httpx.Client(base_url=self.url, headers=headers, timeout=60)


def deploy(url: str, environment: Mapping[str, str], policy: Mapping[str, object]) -> Gateway:
    """Make all of it on an emulator at `url`. `policy`: what the function's role may do."""
    client = partial(_SESSION.client, endpoint_url=url)
    token, subject, issuer, audience = _signed_up(client("cognito-idp"))
    role = _role(client("iam"), policy)
    api = client("apigatewayv2").create_api(Name=fresh_name("api"), ProtocolType="HTTP")["ApiId"]
    host = f"{api}.execute-api.localhost"
    settings = {**environment, "MLOPS_ALLOWED_HOSTS": host}
    _route(client("apigatewayv2"), api, _function(client("lambda"), role, settings), issuer, audience)
    return Gateway(url, host, token, subject)


def _signed_up(cognito: Client) -> tuple[str, str, str, str]:
    """An access token, its `sub`, and the issuer and audience that an authorizer asks for."""
    pool = cognito.create_user_pool(PoolName=fresh_name("people"))["UserPool"]["Id"]
    app = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="web", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    cognito.admin_create_user(UserPoolId=pool, Username="ann", MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username="ann", Password=_PASSWORD, Permanent=True)
    user = cognito.admin_get_user(UserPoolId=pool, Username="ann")
    subject = next(item["Value"] for item in user["UserAttributes"] if item["Name"] == "sub")
    entered = cognito.admin_initiate_auth(
        UserPoolId=pool, ClientId=app, AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "ann", "PASSWORD": _PASSWORD},
    )  # fmt: skip
    token = entered["AuthenticationResult"]["AccessToken"]
    return token, subject, f"https://cognito-idp.{REGION}.amazonaws.com/{pool}", app


def _role(iam: Client, policy: Mapping[str, object]) -> str:
    name = fresh_name("function")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_ASSUMED_BY_LAMBDA))
    iam.put_role_policy(RoleName=name, PolicyName="does", PolicyDocument=json.dumps(policy))
    arn: str = made["Role"]["Arn"]
    return arn


def _function(client: Client, role: str, environment: Mapping[str, str]) -> str:
    arn: str = client.create_function(
        FunctionName=fresh_name("function"),
        Runtime="provided.al2023",
        Handler=HANDLER,
        Role=role,
        Code={"ZipFile": _package()},
        Environment={"Variables": dict(environment)},
        Timeout=30,
        MemorySize=512,
    )["FunctionArn"]
    return arn


def _package() -> bytes:
    """The program that Lambda starts: this environment's Python, with the code it has."""
    script = f'#!/bin/sh\nPYTHONPATH={Path.cwd()} exec {sys.executable} -m awslambdaric "$_HANDLER"\n'
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, script)
    return packed.getvalue()


def _route(gateway: Client, api: str, function: str, issuer: str, audience: str) -> None:
    """Every path to the function, and none but health without a token."""
    integration = gateway.create_integration(
        ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
    )["IntegrationId"]
    authorizer = gateway.create_authorizer(
        ApiId=api, Name="people", AuthorizerType="JWT", IdentitySource=["$request.header.Authorization"],
        JwtConfiguration={"Issuer": issuer, "Audience": [audience]},
    )["AuthorizerId"]  # fmt: skip
    target = f"integrations/{integration}"
    for route in OPEN_ROUTES:
        gateway.create_route(ApiId=api, RouteKey=route, Target=target)
    gateway.create_route(
        ApiId=api, RouteKey="$default", Target=target, AuthorizationType="JWT", AuthorizerId=authorizer
    )
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
