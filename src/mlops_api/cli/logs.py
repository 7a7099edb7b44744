"""The server's log below its data folder."""

import logging
from collections.abc import Collection
from logging.handlers import RotatingFileHandler
from pathlib import Path

from mlops_api.middleware.json_lines import JsonLines

_LARGEST = 10 << 20


def log_to(folder: Path, secrets: Collection[str]) -> None:
    """Everything from INFO on into server.log (rotated at 10 MB, five kept)."""
    handler = RotatingFileHandler(folder / "server.log", maxBytes=_LARGEST, backupCount=5)
    handler.setFormatter(JsonLines(secrets))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)
