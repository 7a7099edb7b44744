"""What a name is, said to people, and the nearest one to what they wrote."""

from mlops_api.domain.naming import NAME_RULE, VERSION_RULE, slug


def not_a_name(text: str) -> str:
    suggestion = slug(text) or "flights"
    return f"{text[:80]!r} is not a name: {NAME_RULE}, such as {suggestion}."


def not_a_version(text: str) -> str:
    name, _, rest = text.partition(":")
    suggestion = f"{slug(name) or 'flights'}:{rest if rest.isdigit() else 1}"
    return f"{text[:80]!r} is not a version: {VERSION_RULE}, such as {suggestion}."
