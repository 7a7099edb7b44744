"""What names.py demands, said to people: nobody should have to read a regular expression."""

import unicodedata

from mlops_api.domain.names import NAME_LENGTH, NAME_PATTERN, REFERENCE_PATTERN

NAME_RULE = "a name has letters, digits and single hyphens between them, at most 48 characters"
VERSION_RULE = "write name:number or name:alias"

_RULES = {NAME_PATTERN: f"{NAME_RULE}.", REFERENCE_PATTERN: f"{VERSION_RULE}, such as flights:3."}


def rule_of(pattern: object) -> str | None:
    """The rule behind a pattern of names.py; None for any other."""
    return _RULES.get(str(pattern))


def slug(text: str) -> str:
    """`Flüge 2024` as `Fluge-2024`; empty when no letter or digit is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = "".join(c if c.isalnum() else " " for c in plain).split()
    return "-".join(words)[:NAME_LENGTH].rstrip("-")


def dataset_name(filename: str) -> str:
    """Of the dataset that a file is a version of: its name up to the first dot. Empty when there is none in it."""
    return slug(filename.partition(".")[0])
