"""One checkpoint file in SageMaker's checkpoints folder, replaced atomically."""

import os
import time
from pathlib import Path

EVERY_SECONDS = 10.0


class Checkpoint:
    """`key` names a job with its configuration and data: a checkpoint of another key is not read."""

    def __init__(self, folder: Path, key: str, every: float = EVERY_SECONDS) -> None:
        self._folder = folder
        self._path = folder / f"{key}.ubj"
        self._every = every
        self._last = time.monotonic()

    def due(self) -> bool:
        """True when the last one is `every` seconds old."""
        return time.monotonic() - self._last >= self._every

    def read(self) -> bytes | None:
        """What was written last, if anything was."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def write(self, content: bytes) -> None:
        """Survives a kill at any moment: the old one or the new one is there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(self._path)
        self._last = time.monotonic()
