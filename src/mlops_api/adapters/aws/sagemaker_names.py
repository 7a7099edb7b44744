"""Names of what an endpoint is made of. They tell what it serves, so that nothing has to be remembered elsewhere.

    endpoint       flights
    variant        v3--3                    the platform's variant v3 with version 3 of the endpoint's model
    model          flights-0f3a...          12 digits of a digest of the version, its bundle and how it is served
    configuration  flights-91bc...          12 digits of a digest of its variants

InvokeEndpoint answers with the variant's name: it gives the version without another call, also in the middle of an
update. An equal deployment has equal names.
"""

import hashlib
import json
import re
from typing import Any, Final

from mlops_api.domain.errors import Invalid
from mlops_api.domain.names import parse_version, version_id

_DIGITS: Final = 12
_LONGEST: Final = 63
_SEPARATOR: Final = "--"


def host_variant(endpoint: str, variant: str, model_version: str) -> str:
    """Raises Invalid for a version of another model, or a name that is too long."""
    version = parse_version(model_version)
    if version.name != endpoint or version.number is None:
        raise Invalid(f"{model_version} is not a version of {endpoint}; an endpoint has the name of its model.")
    name = f"{variant}{_SEPARATOR}{version.number}"
    if len(name) > _LONGEST:
        raise Invalid(f"The variant name {variant} is too long by {len(name) - _LONGEST} characters.")
    return name


def parse_variant(endpoint: str, name: str) -> tuple[str, str]:
    """(variant, model version) of SageMaker's variant name; the name itself and "" when this platform did not give
    it."""
    variant, _, number = name.rpartition(_SEPARATOR)
    return (variant, version_id(endpoint, int(number))) if variant and number.isdigit() else (name, "")


def digest_name(endpoint: str, content: Any) -> str:
    text = json.dumps(content, sort_keys=True)
    return f"{endpoint}-{hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]}"


def is_of(endpoint: str, name: str) -> bool:
    """Whether digest_name made the name for this endpoint."""
    return re.fullmatch(rf"{re.escape(endpoint)}-[0-9a-f]{{{_DIGITS}}}", name) is not None
