"""How much one table may cost. A table beyond a limit is refused, with the limit in the message."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit, setrlimit

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes unless the name says otherwise."""

    max_bytes: int = 16 << 30
    """Of the table as plain text, or of a Parquet file's columns once decompressed."""
    max_ratio: int = 250
    """Decompressed to compressed, of what was read so far; counted once more than `ratio_after` bytes have come out."""
    ratio_after: int = 32 * MEBIBYTE
    max_rows: int = 200_000_000
    max_columns: int = 4096
    max_cell: int = MEBIBYTE
    """Characters."""
    max_line: int = 64 * MEBIBYTE
    max_row_group: int = 2 << 30
    memory: int = 256 * MEBIBYTE
    """What the SQL engine may hold before it spills to disk."""
    disk_reserve: int = 1 << 30
    """Left free for others while a file is unpacked, or a twentieth of a small disk."""
    address_space: int = 12 << 30
    threads: int = 1

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Limits":
        """Threads from MLOPS_THREADS, else the number of CPUs."""
        return cls(threads=max(1, int(environ.get("MLOPS_THREADS") or os.cpu_count() or 1)))


@contextmanager
def bounded_memory(limits: Limits) -> Iterator[None]:
    """Cap this process's address space while a hostile file is open; past it, MemoryError instead of the OOM killer."""
    soft, hard = getrlimit(RLIMIT_AS)
    ceilings = [limits.address_space, *(each for each in (soft, hard) if each != RLIM_INFINITY)]
    setrlimit(RLIMIT_AS, (min(ceilings), hard))
    try:
        yield
    finally:
        setrlimit(RLIMIT_AS, (soft, hard))
