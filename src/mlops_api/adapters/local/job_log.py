"""Reads a job's log while it grows: pages of lines by byte offset, and the metrics in it."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from mlops_api.ports import LogChunk, MetricValue
from mlops_contracts.metrics import read_metrics

MAX_LINE = 8192


def read_lines(path: Path, after: int, limit: int, *, ended: bool) -> LogChunk:
    """At most `limit` whole lines from byte `after`; the last one need not be whole once the job has `ended`."""
    lines: list[str] = []
    position = max(0, after)
    for line, end in _lines(path, position, ended=ended):
        lines.append(line)
        position = end
        if len(lines) >= limit:
            break
    return LogChunk(lines, position)


def last_line(path: Path) -> str:
    """The last line that says something, or ''."""
    try:
        with path.open("rb") as log:
            log.seek(max(0, path.stat().st_size - MAX_LINE))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _lines(path: Path, position: int, *, ended: bool) -> Iterator[tuple[str, int]]:
    """(line, byte offset behind it)."""
    try:
        log = path.open("rb")
    except FileNotFoundError:
        return
    with log:
        log.seek(position)
        while line := log.readline(MAX_LINE):
            whole = line.endswith(b"\n") or _skip_rest(log)
            if not whole and not ended:
                return
            yield line.rstrip(b"\r\n").decode("utf-8", "replace"), log.tell()


def _skip_rest(log: BinaryIO) -> bool:
    """Go behind the end of a line that is too long; False when it has no end yet."""
    while rest := log.readline(1 << 16):
        if rest.endswith(b"\n"):
            return True
    return False


class MetricReader:
    """The metrics of one log, each byte of which is read once. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}
        self._values: dict[tuple[str, int | str], MetricValue] = {}

    def refresh(self, *, ended: bool = False) -> None:
        with self._lock:
            for line, end in _lines(self._path, self._position, ended=ended):
                self._position = end
                self._take(line)

    @property
    def last(self) -> dict[str, float]:
        with self._lock:
            return dict(self._last)

    @property
    def values(self) -> Sequence[MetricValue]:
        with self._lock:
            return list(self._values.values())

    def _take(self, line: str) -> None:
        found = dict(read_metrics(line))
        step = int(found["round"]) if "round" in found else None
        for name, value in found.items():
            self._last[name] = value
            if name != "round":
                # A retry repeats the rounds since its checkpoint; they replace those of the attempt that died.
                place = step if step is not None else f"at {len(self._values)}"
                self._values[name, place] = MetricValue(name, value, step)
