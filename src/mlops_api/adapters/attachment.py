"""The header that names a download."""

import re
from urllib.parse import quote


def attachment(filename: str) -> str:
    """Content-Disposition (RFC 6266): a plain name for old clients, the exact one in UTF-8."""
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", filename) or "download"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
