"""Errors of AWS, translated once.

throttled, or AWS's own fault (5xx), or nobody answers --> Unavailable, after botocore's bounded retries
a code that the caller names                           --> the caller's error
anything else                                          --> passes through untouched
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from botocore.exceptions import (
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's name for what cannot be reached
    HTTPClientError,
    IncompleteReadError,
    ResponseStreamingError,
)

from mlops_api.domain.errors import PlatformError, Unavailable

THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_UNREACHABLE = (ConnectionError, HTTPClientError, IncompleteReadError, ResponseStreamingError)
Codes = Mapping[str, Callable[[str], PlatformError]]
"""AWS error code -> the error to raise, given a sentence."""

_RETRY_AFTER = 2
"""Seconds. botocore has just spent up to 3 of them on retries."""


@contextmanager
def translated(subject: str, codes: Codes | None = None) -> Iterator[None]:
    """Raise `domain.errors` for what AWS answers inside.

    `subject` begins the sentence: "record thing a". The errors of
    `codes` are given that and AWS's own words.
    """
    try:
        yield
    except ClientError as error:
        known = _known(subject, error, codes or {})
        if known is None:
            raise
        raise known from error
    except _UNREACHABLE as error:
        raise unavailable(subject, f"AWS did not answer in time ({type(error).__name__})") from error


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def message_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Message", ""))


def unavailable(subject: str, reason: str) -> Unavailable:
    return Unavailable(f"{subject}: {reason}. Try again.", retry_after=_RETRY_AFTER)


def _known(subject: str, error: ClientError, codes: Codes) -> PlatformError | None:
    code = code_of(error)
    if code in codes:
        return codes[code](f"{subject}: {message_of(error) or code}")
    if code in THROTTLED:
        return unavailable(subject, f"AWS is throttling ({code})")
    if _status(error) >= 500:
        return unavailable(subject, f"AWS failed ({code})")
    return None


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
