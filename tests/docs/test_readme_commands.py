"""The README's commands, run as written against a real server."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import Server

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with Server(tmp_path_factory.mktemp("readme") / "data") as server:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        yield os.environ | {"PATH": path, "MLOPS_DATA_DIR": str(server.data_dir)}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("console") for line in block.splitlines() if line.startswith("mlops ")]


def test_the_commands_do_the_job(environ: dict[str, str]) -> None:
    assert len(commands()) > 5
    for command in commands():
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    for script in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "penguins:1 Approved" in done.stdout
