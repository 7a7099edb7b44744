"""Errors of the wire API. Each is one exception of botocore's service models, with SageMaker's own wording.

Refusal
 |-- ValidationException         400, the API's own code: bad members, unknown resources, wrong states
 |-- ResourceInUse               400  names that are taken
 |-- ResourceNotFound            400  Cloud Watch Logs says ResourceNotFoundException
 |-- RuntimeRefusal              sagemaker-runtime: ValidationError 400, ServiceUnavailable 503
 |    `-- ModelError             424, with what the container answered
 `-- NotServed                   501, this server's own: nothing here pretends to do what it does not
"""

from collections.abc import Iterable, Mapping
from typing import Any


class Refusal(Exception):
    """An answer other than 200. `members` are those of the error's shape, besides the message."""

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.members = members


class ValidationException(Refusal):
    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


class ResourceInUse(Refusal):
    def __init__(self, message: str) -> None:
        super().__init__("ResourceInUse", message)


class ResourceNotFound(Refusal):
    def __init__(self, message: str, code: str = "ResourceNotFound") -> None:
        super().__init__(code, message)


class RuntimeRefusal(Refusal):
    """Of sagemaker-runtime, whose validation error has another name than the control plane's."""


class ModelError(RuntimeRefusal):
    """The container answered with an error, or not at all (`original_status` 0)."""

    def __init__(self, message: str, original_status: int, original_message: str, log_stream_arn: str) -> None:
        super().__init__(
            "ModelError",
            message,
            424,
            OriginalStatusCode=original_status,
            OriginalMessage=original_message,
            LogStreamArn=log_stream_arn,
        )


class NotServed(Refusal):
    """SageMaker may do this; the test server does not, and says so rather than ignore it."""

    def __init__(self, what: str) -> None:
        super().__init__("NotServedHere", f"The SageMaker test server does not serve {what}.", 501)


def refuse_members(operation: str, params: Mapping[str, Any], members: Iterable[str]) -> None:
    """Raises NotServed when a request uses a member whose effect this server does not have."""
    for name in members:
        if name in params:
            raise NotServed(f"{operation}.{name}")
