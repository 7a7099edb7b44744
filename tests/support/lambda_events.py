"""Events as AWS hands them to the function."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from tests.support.platform import HOST

ANN_CLAIMS = {"sub": "ann", "iss": "https://cognito-idp.example/pool", "token_use": "access"}


def http_event(
    method: str,
    path: str,
    body: Any = None,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    claims: Mapping[str, str] | None = ANN_CLAIMS,
) -> dict[str, Any]:
    """API Gateway's HTTP API, payload format 2.0. `claims` None: a route without an authorizer."""
    authorizer = {"authorizer": {"jwt": {"claims": dict(claims), "scopes": None}}} if claims is not None else {}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": _headers(body, headers),
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": HOST,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "t"},
            "requestId": "r",
            "routeKey": "$default",
            "stage": "$default",
            **authorizer,
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


def rest_event(
    method: str,
    path: str,
    body: Any = None,
    *,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    claims: Mapping[str, str] | None = ANN_CLAIMS,
) -> dict[str, Any]:
    """API Gateway's REST API with a Cognito authorizer."""
    given = _headers(body, headers)
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": given,
        "multiValueHeaders": {name: [value] for name, value in given.items()},
        "queryStringParameters": dict(parse_qsl(query)) or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in parse_qsl(query)} or None,
        "requestContext": {
            "identity": {"sourceIp": "192.0.2.1"},
            "stage": "prod",
            **({"authorizer": {"claims": dict(claims)}} if claims is not None else {}),
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


def _headers(body: Any, headers: Mapping[str, str] | None) -> dict[str, str]:
    own = {"host": HOST, "x-forwarded-proto": "https", "x-forwarded-port": "443"}
    return own | ({} if body is None else {"content-type": "application/json"}) | dict(headers or {})


def object_created(key: str) -> dict[str, Any]:
    detail = {"bucket": {"name": "objects"}, "object": {"key": key, "size": 9, "etag": "e", "sequencer": "0062E9"}}
    return {"version": "0", "source": "aws.s3", "detail-type": "Object Created", "detail": detail}


def scheduled() -> dict[str, Any]:
    return {
        "version": "0",
        "source": "aws.events",
        "detail-type": "Scheduled Event",
        "resources": ["rule"],
        "detail": {},
    }
