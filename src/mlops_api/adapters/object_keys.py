"""Which keys an ObjectStore takes; refused before any store is touched, so that adapters agree."""

import unicodedata

from mlops_api.domain.errors import BadRequest

MAX_KEY_BYTES = 900


def check_key(key: str) -> None:
    """Raises BadRequest for a key that ports.ObjectStore does not allow."""
    _check_text(key)
    if not key:
        raise BadRequest("An object key is empty.")
    _check_segments(key, key.split("/"))


def check_prefix(prefix: str) -> None:
    """A prefix is the beginning of a key, cut anywhere; the empty one begins them all. Raises BadRequest."""
    _check_text(prefix)
    _check_segments(prefix, prefix.split("/")[:-1])


def _check_text(text: str) -> None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise _refusal(text, "it is not valid Unicode") from error
    if size > MAX_KEY_BYTES:
        raise _refusal(text, f"it has {size} bytes, and {MAX_KEY_BYTES} are allowed")
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise _refusal(text, "it has a control character")


def _check_segments(text: str, segments: list[str]) -> None:
    if any(segment in {"", ".", ".."} for segment in segments):
        raise _refusal(text, "a part between slashes is empty, `.` or `..`")


def _refusal(text: str, reason: str) -> BadRequest:
    return BadRequest(f"{text[:80]!a} is no object key: {reason}.")
