"""What a name is, said to people, and the nearest one to what they wrote."""

import unicodedata

from mlops_api.domain.naming import NAME_RULE, VERSION_RULE

LONGEST = 48


def slug(text: str) -> str:
    """`Flüge 2024` as `Fluge-2024`; empty when no letter or digit is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = "".join(c if c.isalnum() else " " for c in plain).split()
    return "-".join(words)[:LONGEST].rstrip("-")


def not_a_name(text: str) -> str:
    suggestion = slug(text) or "flights"
    return f"{text[:80]!r} is not a name: {NAME_RULE}, such as {suggestion}."


def not_a_version(text: str) -> str:
    name, _, rest = text.partition(":")
    suggestion = f"{slug(name) or 'flights'}:{rest if rest.isdigit() else 1}"
    return f"{text[:80]!r} is not a version: {VERSION_RULE}, such as {suggestion}."
