"""What every endpoint host checks before it does anything."""

from collections.abc import Sequence

from mlops_api.domain.errors import BadRequest, Invalid
from mlops_api.ports import VariantSpec

_LONGEST_HEADER = 256


def checked_variants(variants: Sequence[VariantSpec]) -> tuple[VariantSpec, ...]:
    """Raises Invalid when there is none, a name comes twice or a weight is not above 0."""
    names = [each.variant for each in variants]
    if not names:
        raise Invalid("An endpoint needs at least one variant.")
    if len(set(names)) < len(names):
        raise Invalid(f"Variant names must differ; got {', '.join(names)}.")
    if wrong := [each.variant for each in variants if not each.weight > 0]:
        raise Invalid(f"Weights must be above 0; that of {', '.join(wrong)} is not.")
    return tuple(variants)


def checked_header(value: str) -> str:
    """Raises BadRequest for what would break out of a header line."""
    if len(value) > _LONGEST_HEADER or not value.isprintable() or not value.isascii():
        raise BadRequest("Content-Type and Accept must be at most 256 printable ASCII characters.")
    return value
