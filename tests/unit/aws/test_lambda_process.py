"""What the handler's process does beside answering."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.aws import CREDENTIALS, NEEDED
from tests.support.platform import World, world

ROOT = Path(__file__).resolve().parents[3]

CODE = """
import gc, json
states = [gc.isenabled()]
from mlops_api import lambda_handler
states.append(gc.isenabled())
for _ in range(2):
    try:
        lambda_handler.handler({}, None)
    except Exception as error:
        states.append([gc.isenabled(), type(error).__name__, gc.get_freeze_count() > 1000])
print(json.dumps(states))
"""


REQUESTS = """
import json, sys
from mlops_api import lambda_handler
from tests.support.lambda_events import http_event
events = [http_event("POST", "/datasets", {}, headers={"host": "api.example.com"}),
          http_event("GET", "/openapi.json", headers={"host": "api.example.com"})]
print(json.dumps([lambda_handler.handler(event, None) for event in events]))
"""


def test_the_collector_rests_until_the_first_event_was_answered_also_with_an_error() -> None:
    answered = [True, "UnknownEvent", True]
    assert run(CODE) == [True, False, answered, answered]


def test_it_answers_as_a_server_does_and_warns_of_nothing(here: World) -> None:
    refused, schema = run(REQUESTS)
    assert refused["statusCode"] == 422
    assert json.loads(refused["body"])["errors"][0]["field"] == "name"
    assert (schema["statusCode"], json.loads(schema["body"])) == (200, here.app().openapi())


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as opened:
        yield opened


def run(code: str) -> Any:
    """In a process as Lambda's, where warnings are errors; what it printed last."""
    inside_lambda = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1", "MLOPS_MODE": "aws", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=CREDENTIALS | NEEDED | inside_lambda,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
