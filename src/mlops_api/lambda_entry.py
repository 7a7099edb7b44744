"""The API as a Lambda function: what an event reaches, by its shape.

API Gateway, HTTP or REST ({"requestContext"})       -> the app, through Mangum
EventBridge ({"source", "detail-type"})
    SageMaker ... State Change                       -> services.events
    Object Created (S3)                              -> services.events: a file of the inbox, or an upload whose
                                                        completion was cut off
    Scheduled Event                                  -> Platform.tidy
Step Functions ({"task"})                            -> services.tasks
anything else                                        -> UnknownEvent

EventBridge and asynchronous calls deliver at least once and in any order: every reaction is idempotent. What raises
is delivered again by AWS, and goes to the function's failure queue in the end.
"""

import asyncio
import logging
import sys
from collections.abc import Mapping
from typing import Any

from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES
from starlette.middleware.gzip import GZipMiddleware

from mlops_api.app import create_app
from mlops_api.bootstrap import aws_platform
from mlops_api.middleware.answer_cap import AnswerCap
from mlops_api.middleware.json_lines import JsonLines
from mlops_api.services.platform import Platform
from mlops_api.settings import Settings

MOST_BYTES = 6_291_556
"""Of an answer, as the JSON document that Lambda takes."""

_GZIP_FROM = 64 * 1024
_GZIP_LEVEL = 4
"""A fraction of the time that 9 takes, for few more bytes."""

_TEXT = ("application/problem+json",)
"""Sent as it is; what is not text goes as base64, a third longer."""

Event = Mapping[str, Any]


class UnknownEvent(Exception):
    """Some trigger is attached to the function that nothing here reacts to."""


class LambdaEntry:
    """Everything a process needs, built once. `__call__` is Lambda's handler."""

    def __init__(self, platform: Platform, settings: Settings) -> None:
        self._platform = platform
        # Mangum asks for the thread's loop. Kept from call to call: the loop owns the threads that serve requests.
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        app = GZipMiddleware(create_app(platform, settings), minimum_size=_GZIP_FROM, compresslevel=_GZIP_LEVEL)
        capped = AnswerCap(app, MOST_BYTES)
        # A Lambda process is frozen, not shut down: a lifespan would never see its end.
        self._web = Mangum(capped, lifespan="off", text_mime_types=[*DEFAULT_TEXT_MIME_TYPES, *_TEXT])

    def __call__(self, event: Event, context: Any) -> Any:
        if "requestContext" in event:
            return self._answer(event, context)
        if "detail-type" in event and "source" in event:
            self._react(event)
            return None
        if "task" in event:
            return self._run(event)
        names = ", ".join(map(str, list(event)[:10])) or "nothing"
        raise UnknownEvent(
            f"No reaction to an event of {names}. API Gateway, EventBridge and Step Functions are known."
        )

    def close(self) -> None:
        self._platform.close()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def _answer(self, event: Event, context: Any) -> Any:
        asyncio.set_event_loop(self._loop)  # others may have set theirs
        return self._web(dict(event), context)

    def _run(self, task: Event) -> Any:
        from mlops_api.services.tasks import Tasks

        return Tasks(self._platform).run(task)

    def _react(self, event: Event) -> None:
        if event["source"] == "aws.events" and event["detail-type"] == "Scheduled Event":
            self._platform.tidy()
        elif not self._platform.events.handle(event):
            raise UnknownEvent(f"No reaction to {event['detail-type']!r} of {event['source']!r}. Mend the rule.")


def from_environment() -> LambdaEntry:
    _log_to_standard_output()
    settings = Settings()
    return LambdaEntry(aws_platform(settings), settings)


def _log_to_standard_output() -> None:
    """Which CloudWatch keeps. In place of the runtime's own handler, whose lines are no JSON."""
    lines = logging.StreamHandler(sys.stdout)
    lines.setFormatter(JsonLines())
    logging.basicConfig(handlers=[lines], level=logging.INFO, force=True)
    logging.getLogger("mangum").setLevel(logging.WARNING)  # it tells of each request, and so does ours
