"""The function behind API Gateway, with tokens of Cognito: emulated, over HTTP, under a role of its own."""

import json
from collections.abc import Iterator

import httpx
import pytest

from mlops_api.adapters.aws.table import create_table
from tests.support.aws import NEEDED, fresh_name
from tests.support.emulators import Emulators, create_bucket
from tests.support.ministack_gateway import Gateway, deploy

pytestmark = pytest.mark.aws

DATASET = {"name": "flights", "filename": "f.csv", "size_bytes": 3, "sha256": "0" * 64}


def deployed(emulators: Emulators, *allowed: str) -> Gateway:
    """With a table and a bucket of its own, on which the function may take these actions."""
    clients = emulators.ministack.clients
    table, bucket = fresh_name("records"), create_bucket(clients.s3)
    create_table(clients.dynamodb, table)
    resources = [f"arn:aws:dynamodb:*:*:table/{table}*", f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": list(allowed), "Resource": resources}],
    }
    settings = NEEDED | {"MLOPS_MODE": "aws", "MLOPS_TABLE": table, "MLOPS_BUCKET": bucket}
    url = emulators.ministack_url
    return deploy(url, settings | {"AWS_ENDPOINT_URL": url}, policy)


@pytest.fixture(scope="module")
def gateway(emulators: Emulators) -> Gateway:
    return deployed(emulators, "dynamodb:*", "s3:*")


@pytest.fixture(scope="module")
def ann(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.http(gateway.token) as http:
        yield http


def test_health_needs_no_token(gateway: Gateway) -> None:
    with gateway.http(None) as http:
        for path in ("/health/live", "/health/ready"):
            answer = http.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/models", "/datasets/flights:1", "/openapi.json", "/nothing"])
def test_nothing_else_is_reached_without_one(gateway: Gateway, path: str) -> None:
    *signed, signature = gateway.token.split(".")
    others = [None, ".".join([*signed, signature[::-1]]), f"{signed[0]}.{signed[1]}.", "x"]
    for token in others:
        with gateway.http(token) as http:
            answer = http.get(path)
            assert (answer.status_code, answer.json()) == (401, {"message": "Unauthorized"})  # the gateway's own words


def test_the_caller_is_who_the_token_says(gateway: Gateway, ann: httpx.Client) -> None:
    claims = json.dumps({"sub": "eve"})
    answer = ann.post("/datasets", json=DATASET, headers={"x-user": "eve", "x-amzn-oidc-data": claims})
    assert answer.status_code == 201
    assert answer.json()["version"] == "flights:1"
    assert ann.get("/datasets/flights%3A1").json()["created_by"] == gateway.subject
    [only] = ann.get("/datasets", params={"limit": 1, "name": "flights"}).json()["datasets"]
    assert only["version"] == "flights:1"


def test_bodies_that_the_gateway_hands_over_as_bytes(ann: httpx.Client) -> None:
    body = json.dumps(DATASET | {"name": "as-bytes", "filename": "Ü.csv"}, ensure_ascii=False).encode()
    answer = ann.post("/datasets", content=body, headers={"Content-Type": "application/vnd.example+json"})
    assert (answer.status_code, answer.json()["filename"]) == (201, "Ü.csv")


def test_bad_bodies_are_told_apart(ann: httpx.Client) -> None:
    wrong = ann.post("/datasets", json=DATASET | {"size_bytes": -1})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "size_bytes")
    assert ann.post("/datasets", content=b"{", headers={"Content-Type": "application/json"}).status_code == 422


def test_large_answers_come_compressed_and_whole(ann: httpx.Client) -> None:
    plain = ann.get("/docs/swagger-ui-bundle.js", headers={"Accept-Encoding": "identity"})
    small = ann.get("/docs/swagger-ui-bundle.js", headers={"Accept-Encoding": "gzip"})
    assert (plain.status_code, small.status_code) == (200, 200)
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert plain.content == small.content
    assert small.num_bytes_downloaded < len(plain.content) / 2


@pytest.mark.parametrize(
    ("path", "words"), [("/models/flights:9", "There is no model version"), ("/nothing", "There is nothing")]
)
def test_what_is_not_there_is_a_problem_document(ann: httpx.Client, path: str, words: str) -> None:
    answer = ann.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert words in answer.json()["detail"]


def test_the_function_may_do_what_its_role_may(emulators: Emulators) -> None:
    """And has no other credentials: without a permission the table cannot be read."""
    mute = deployed(emulators, "s3:*")
    with mute.http(None) as http:
        answer = http.get("/health/ready")
    assert answer.status_code == 503
    assert "cannot be read" in answer.json()["detail"]
