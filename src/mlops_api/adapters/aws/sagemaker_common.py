"""What the SageMaker adapters share: the account's choices, S3 addresses, tags, and how errors are read.

SageMaker answers most mistakes with ValidationException, so what is meant has to be told by its words.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from mlops_api.adapters.aws.errors import code_of, message_of, translated, unavailable
from mlops_api.domain.errors import Conflict, Invalid, NameTaken, NotFound
from mlops_api.domain.times import rfc3339

VALIDATION: Final = frozenset({"ValidationException", "ValidationError"})
_ABSENT = re.compile(r"not found|could not find|does not exist", re.IGNORECASE)
_TAKEN = re.compile(r"already exist|must be unique", re.IGNORECASE)
_ALGORITHM_ERROR = re.compile(r"AlgorithmError: (?P<reason>.*?)(, exit code: \d+)?", re.DOTALL)
MAX_REASON: Final = 1024


@dataclass(frozen=True)
class AwsSageMaker:
    """How this platform uses SageMaker. `image_uri`: the project's `ml` image; `role_arn`: what its jobs may do.

    `endpoint_instance_type` None: serverless endpoints. An endpoint with several variants is always on instances,
    since a serverless one serves a single variant; they are then `fallback_instance_type`.
    """

    role_arn: str
    image_uri: str
    bucket: str
    training_instance_type: str = "ml.m5.xlarge"
    processing_instance_type: str = "ml.m5.xlarge"
    transform_instance_type: str = "ml.m5.xlarge"
    endpoint_instance_type: str | None = "ml.m5.large"
    fallback_instance_type: str = "ml.m5.large"
    endpoint_instance_count: int = 1
    serverless_memory_mb: int = 2048
    serverless_concurrency: int = 5
    volume_gb: int = 30
    kms_key_id: str | None = None
    network_isolation: bool = True
    spot: bool = False
    spot_wait_seconds: int = 3600
    tags: Mapping[str, str] = field(default_factory=lambda: {"mlops:platform": "mlops"})

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def folder_uri(self, prefix: str) -> str:
        """With its slash, `flights/1` does not take in `flights/10`."""
        return self.uri(prefix.rstrip("/") + "/")

    def key(self, uri: str) -> str | None:
        """The key of an address in the platform's bucket, without a slash at its end; None for another bucket's."""
        own = f"s3://{self.bucket}/"
        return uri.removeprefix(own).rstrip("/") if uri.startswith(own) else None

    def tag_list(self, **more: str) -> list[dict[str, str]]:
        named = {f"mlops:{name.replace('_', '-')}": value for name, value in more.items()}
        return [{"Key": key, "Value": value} for key, value in (dict(self.tags) | named).items()]

    def encryption(self, name: str) -> dict[str, str]:
        """{name: key} when a KMS key is chosen. Without one S3 and the volumes are encrypted with AWS's own keys."""
        return {name: self.kms_key_id} if self.kms_key_id else {}


@contextmanager
def existing(subject: str) -> Iterator[None]:
    """Raises NotFound where SageMaker says, in whatever way, that the thing is not there; else as `translated`."""
    with translated(subject, {"ResourceNotFound": NotFound, "ResourceNotFoundException": NotFound}):
        try:
            yield
        except ClientError as error:
            if is_absent(error):
                raise NotFound(f"{subject}: there is none of that name.") from error
            raise


@contextmanager
def creating(subject: str) -> Iterator[None]:
    """Raises AlreadyThere for a name that is taken, Unavailable when a quota is used up, Invalid for what SageMaker
    refuses."""
    with translated(subject, {"ConflictException": Conflict}):
        try:
            yield
        except ClientError as error:
            _refuse_creation(subject, error)
            raise


class AlreadyThere(Exception):
    """A resource of that name exists."""


def _refuse_creation(subject: str, error: ClientError) -> None:
    code = code_of(error)
    if code == "ResourceInUse" or (code in VALIDATION and _TAKEN.search(message_of(error))):
        raise AlreadyThere(message_of(error)) from error
    if code == "ResourceLimitExceeded":
        raise unavailable(subject, f"a quota of the AWS account is used up ({message_of(error)})") from error
    if code in VALIDATION:
        raise Invalid(f"{subject}: SageMaker refused it: {message_of(error)}") from error


def is_absent(error: ClientError) -> bool:
    return code_of(error) in VALIDATION and _ABSENT.search(message_of(error)) is not None


def is_refused(error: ClientError) -> bool:
    """SageMaker says that the state does not allow it, or that the request is wrong."""
    return code_of(error) in VALIDATION


def plain_reason(reason: str | None) -> str | None:
    """What the container wrote, without the words that SageMaker wraps around it."""
    if not reason:
        return None
    match = _ALGORITHM_ERROR.fullmatch(reason)
    return (match["reason"] if match and match["reason"] else reason)[:MAX_REASON]


def moment(value: datetime | None) -> str | None:
    return None if value is None else rfc3339(value)


def s3_channel(uri: str) -> dict[str, Any]:
    return {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}


def foreign(kind: str, name: str) -> NameTaken:
    return NameTaken(
        f"The {kind} {name} exists in this AWS account and region, but it is not of this platform. "
        "Names of jobs are unique in an account and region: give one platform a region or an account of its own, "
        "or use another name."
    )


def all_pages(call: Any, key: str, **request: Any) -> Sequence[Mapping[str, Any]]:
    """Every item of a listing."""
    found: list[Mapping[str, Any]] = []
    token: str | None = None
    while True:
        page = call(**request, **({"NextToken": token} if token else {}))
        found.extend(page[key])
        token = page.get("NextToken")
        if not token:
            return found
