"""Which exchanges are repeated, and when: exponential back-off with full jitter, Retry-After honoured."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mlops_api.client.effects import Exchange, Flow, Reply, Request, Sleep
from mlops_api.client.errors import MLOpsError, Timeout, Unreachable, error_from

RETRIED_STATUSES = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class RetryPolicy:
    """At most `attempts` exchanges; waits of up to base * 2^n seconds, never over `longest_wait`.

    Full jitter as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
    """

    attempts: int = 4
    base: float = 0.25
    longest_wait: float = 30.0
    uniform: Callable[[float, float], float] = random.uniform

    def wait(self, attempt: int, headers: Mapping[str, str]) -> float | None:
        """Seconds to wait after this attempt (from 1); None: do not try again."""
        if attempt >= self.attempts:
            return None
        asked = _retry_after(headers)
        if asked is None:
            return self.uniform(0, min(self.longest_wait, self.base * 2**attempt))
        return asked if asked <= self.longest_wait else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds; its date form is treated as absent."""
    text = headers.get("retry-after", "")
    return float(text) if text.isdigit() else None


def exchange(request: Request, policy: RetryPolicy) -> Flow[Reply]:
    """One exchange, repeated while that is safe and may help.

    Raises:
        MLOpsError: the answer was 400 or more, or there was none, after the last attempt.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            reply: Reply = yield Exchange(request)
            if reply.status < 400:
                return reply
            error, headers = error_from(reply.status, reply.headers, reply.content), reply.headers
        except (Unreachable, Timeout) as broken:
            error, headers = broken, {}
        wait = policy.wait(attempt, headers) if _may_repeat(request, error) else None
        if wait is None:
            raise error
        yield Sleep(wait)


def _may_repeat(request: Request, error: MLOpsError) -> bool:
    return request.repeatable and (error.status is None or error.status in RETRIED_STATUSES)
