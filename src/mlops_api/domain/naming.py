"""What names.py demands, said to people: nobody should have to read a regular expression."""

from mlops_api.domain.names import NAME_PATTERN, REFERENCE_PATTERN

NAME_RULE = "a name has letters, digits and single hyphens between them, at most 48 characters"
VERSION_RULE = "write name:number or name:alias"

_RULES = {NAME_PATTERN: f"{NAME_RULE}.", REFERENCE_PATTERN: f"{VERSION_RULE}, such as flights:3."}


def rule_of(pattern: object) -> str | None:
    """The rule behind a pattern of names.py; None for any other."""
    return _RULES.get(str(pattern))
