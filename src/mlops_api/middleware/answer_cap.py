"""No answer over what Lambda can send: it would end as a 502 that explains nothing."""

import base64
import json

from mlops_api.domain.errors import TooLarge
from mlops_api.middleware.asgi import App, Message, Receive, Scope, Send, send_problem

_MOST_PER_BYTE = 6
"""What a control character takes in a JSON document; no other byte takes more."""

_WRAPPING = 16 * 1024
"""Headers and status, which are in the same document."""


class AnswerCap:
    """Holds an answer back until it is whole, as Mangum does anyway. `most`: bytes of the JSON document around it."""

    def __init__(self, app: App, most: int) -> None:
        self._app = app
        self._most = most - _WRAPPING

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        held: list[Message] = []

        async def hold(message: Message) -> None:
            held.append(message)

        await self._app(scope, receive, hold)
        if self._fits(b"".join(message.get("body", b"") for message in held)):
            for message in held:
                await send(message)
            return
        await send_problem(_too_large(), scope, send)

    def _fits(self, body: bytes) -> bool:
        return len(body) * _MOST_PER_BYTE <= self._most or _in_document(body) <= self._most


def _in_document(body: bytes) -> int:
    """Bytes the body takes, written by the runtime as ASCII: text with its escapes, anything else as base64."""
    try:
        return len(json.dumps(body.decode()))
    except UnicodeDecodeError:
        return len(base64.b64encode(body))


def _too_large() -> TooLarge:
    return TooLarge(
        "The answer is over 6 MB, which Lambda cannot send. Ask for fewer rows or a smaller page, accept gzip, "
        "or score in batch: POST /inference/batch."
    )
