"""A disk that can be filled: a tmpfs of its own, where this machine lets us mount one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(folder: Path, *, size: str = "4m") -> Iterator[Path]:
    """Mount it on `folder`; skips the test where that is not allowed."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a full disk needs a mount, which is not allowed here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave no byte free on the disk of `folder`; free it again afterwards."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for chunk in (1 << 16, 1 << 12, 1):
            _write_until_full(file.fileno(), chunk)
    try:
        yield
    finally:
        ballast.unlink()


def _write_until_full(descriptor: int, chunk: int) -> None:
    try:
        while True:
            os.write(descriptor, b"x" * chunk)
    except OSError:  # that was the aim
        return
