"""Names, version ids and references: `flights`, `flights:3`, `flights:champion`.

A name is a SageMaker name (letters, digits, single hyphens inside), so that one name serves a dataset, a
model, an endpoint and a model package group without a translation table.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import StringConstraints

from mlops_api.domain.errors import Invalid

NAME_PATTERN = r"^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*$"
ALIAS_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
REFERENCE_PATTERN = r"^[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*:([1-9][0-9]{0,8}|[a-z][a-z0-9]*(-[a-z0-9]+)*)$"
JOB_PATTERN = r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$"
NAME_LENGTH = 48
ALIAS_LENGTH = 31
REFERENCE_LENGTH = NAME_LENGTH + 1 + ALIAS_LENGTH
JOB_LENGTH = 63
EXECUTION_LENGTH = 80

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=NAME_LENGTH)]
Reference = Annotated[str, StringConstraints(pattern=REFERENCE_PATTERN, max_length=REFERENCE_LENGTH)]

CHAMPION = "champion"

_NAME = re.compile(NAME_PATTERN)
_REFERENCE = re.compile(REFERENCE_PATTERN)
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


@dataclass(frozen=True)
class VersionRef:
    """`name:number` or `name:alias`; exactly one of `number` and `alias` is set.

    `bare`: only the name was given. It means the champion where one version is needed, and lets the weights
    decide where an endpoint answers.
    """

    name: str
    number: int | None
    alias: str | None
    bare: bool = False


def version_id(name: str, number: int) -> str:
    return f"{name}:{number}"


def parse_version(text: str, *, what: str = "version") -> VersionRef:
    """Parse `flights:3` or `flights:champion`.

    Raises:
        Invalid: naming the form that is expected.
    """
    name, _, rest = text.partition(":")
    if not _REFERENCE.fullmatch(text) or len(name) > NAME_LENGTH or len(rest) > ALIAS_LENGTH:
        raise Invalid(f"{text[:80]!r} is not a {what}. Write name:number or name:alias, such as flights:3.")
    return VersionRef(name, int(rest), None) if rest.isdigit() else VersionRef(name, None, rest)


def parse_model(text: str) -> VersionRef:
    """As parse_version, but a bare name means its champion."""
    if _NAME.fullmatch(text) and len(text) <= NAME_LENGTH:
        return VersionRef(text, None, CHAMPION, bare=True)
    return parse_version(text, what="model")


def job_name(model: str, algorithm: str, now: datetime) -> str:
    """`flights-xgboost-20261122-194501-k3f9`: at most 63 characters, as SageMaker demands."""
    suffix = "".join(secrets.choice(_ALPHABET) for _ in range(4))
    tail = f"-{algorithm.replace('_', '-')}-{now:%Y%m%d-%H%M%S}-{suffix}"
    return model[: 63 - len(tail)].rstrip("-") + tail
