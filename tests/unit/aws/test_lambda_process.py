"""What the handler's process does beside answering."""

import json
import os
import subprocess
import sys

from tests.support.aws import CREDENTIALS, NEEDED

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


def test_the_collector_rests_until_the_first_event_was_answered_also_with_an_error() -> None:
    inside_lambda = {"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1", "MLOPS_MODE": "aws", "PATH": os.environ["PATH"]}
    environment = CREDENTIALS | NEEDED | inside_lambda
    done = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    answered = [True, "UnknownEvent", True]
    assert json.loads(done.stdout.splitlines()[-1]) == [True, False, answered, answered]
