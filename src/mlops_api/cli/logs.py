"""JSON log lines: one object each, CR and LF escaped by JSON itself, secrets replaced."""

import logging
from collections.abc import Collection
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

import orjson

_LARGEST = 10 << 20


class JsonLines(logging.Formatter):
    """`secrets`: texts that never appear in a line."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        super().__init__()
        self._secrets = tuple(secret for secret in secrets if secret)

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        text = orjson.dumps(line, default=str).decode()
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        return text


def log_to(folder: Path, secrets: Collection[str]) -> None:
    """Everything from INFO on into server.log (rotated at 10 MB, five kept)."""
    handler = RotatingFileHandler(folder / "server.log", maxBytes=_LARGEST, backupCount=5)
    handler.setFormatter(JsonLines(secrets))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.addHandler(handler)
