"""Output files appear whole or not at all: written under another name, synced, renamed."""

import os
from pathlib import Path

from pydantic import BaseModel


def write_json(path: Path, document: BaseModel) -> None:
    """Store a contract document as JSON."""
    write_bytes(path, document.model_dump_json(indent=1).encode() + b"\n")


def write_bytes(path: Path, data: bytes) -> None:
    """Store bytes."""
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(data)
    publish(partial, path)


def publish(partial: Path, path: Path) -> None:
    """Give a finished file its name."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
