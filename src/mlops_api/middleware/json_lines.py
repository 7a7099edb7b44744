"""JSON log lines: one object each, CR and LF escaped by JSON itself, secrets replaced."""

import logging
from collections.abc import Collection
from datetime import UTC, datetime

import orjson


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
