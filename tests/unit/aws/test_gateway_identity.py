"""On AWS the caller is who API Gateway's authorizer says, whatever the request itself says."""

from typing import Any

import pytest

from mlops_api.services.identity import GatewayIdentity
from mlops_api.services.principal import Principal

WHO = GatewayIdentity("sub")


def v2(**claims: Any) -> dict[str, Any]:
    return {"version": "2.0", "requestContext": {"authorizer": {"jwt": {"claims": claims, "scopes": None}}}}


def test_claims_of_an_http_api() -> None:
    assert WHO.identify({"aws.event": v2(sub="u-1", email="ann@x")}, None) == Principal("u-1")
    assert GatewayIdentity("email").identify({"aws.event": v2(sub="u-1", email="ann@x")}, None) == Principal("ann@x")


def test_claims_of_a_rest_api() -> None:
    event = {"resource": "/{proxy+}", "requestContext": {"authorizer": {"claims": {"sub": "u-2"}}}}
    assert WHO.identify({"aws.event": event}, None) == Principal("u-2")


@pytest.mark.parametrize(
    "event",
    [
        None,
        {},
        [],
        {"requestContext": None},
        {"requestContext": {}},
        {"requestContext": {"authorizer": None}},
        {"requestContext": {"authorizer": {}}},
        {"requestContext": {"authorizer": {"jwt": None, "claims": {"sub": "eve"}}}},
        {"requestContext": {"authorizer": {"jwt": {"claims": {}}}}},
        {"requestContext": {"authorizer": {"lambda": {"sub": "eve"}}}},
        {"requestContext": {"authorizer": {"sub": "eve"}}},
        v2(sub=""),
        v2(sub=None),
        v2(sub=["eve"]),
        v2(email="eve@x"),
    ],
)
def test_nobody_without_the_claim(event: Any) -> None:
    assert WHO.identify({"aws.event": event}, "a-token") is None


def test_nobody_without_a_gateway() -> None:
    headers = [(b"x-amzn-oidc-identity", b"eve"), (b"authorization", b"Bearer eve")]
    assert WHO.identify({"headers": headers, "requestContext": v2(sub="eve")["requestContext"]}, "eve") is None
