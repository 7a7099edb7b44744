"""What every Notifier refuses, and the text people read."""

import re

from mlops_api.domain.errors import BadRequest
from mlops_api.ports import Notice

MAX_SUBJECT = 200
MAX_BODY = 20_000
_WORD = re.compile(r"[!-~]{1,200}")
_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,200}")


def check_notice(notice: Notice) -> None:
    """Raises BadRequest for what ports.Notice rules out."""
    for name in ("key", "kind"):
        if not _WORD.fullmatch(getattr(notice, name)):
            raise BadRequest(f"A notice's {name} is 1 to 200 printable ASCII characters without blanks.")
    if not _LINE.fullmatch(notice.subject):
        raise BadRequest(f"A notice's subject is one line of 1 to {MAX_SUBJECT} characters.")
    if len(notice.body) > MAX_BODY:
        raise BadRequest(f"A notice's body has {len(notice.body)} characters; {MAX_BODY} are allowed.")


def text_of(notice: Notice) -> str:
    """The whole notice as plain text."""
    parts = [notice.subject, notice.body, f"See {notice.path}" if notice.path else ""]
    return "\n\n".join(part for part in parts if part)
