"""Calls about the server itself."""

import json
from typing import Any

from mlops_api.client.effects import Flow, Reply, Request, Send


def read_health() -> Flow[dict[str, Any]]:
    reply: Reply = yield Send(Request("GET", "/health/ready"))
    answer: dict[str, Any] = json.loads(reply.content)
    return answer
