"""The walk-throughs of docs/api.md (curl) and docs/client.md (Python), run as written against a real server."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import EXAMPLES, Server

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder with the examples and a server of its own, and the environment in which both are found."""
    folder = tmp_path_factory.mktemp("walkthroughs")
    (folder / "examples").mkdir()
    (folder / "examples" / "data").symlink_to(EXAMPLES)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MLOPS_")}
    with Server(folder / "mlops-data"):
        yield folder, environ | {"PATH": path}


def blocks(page: str, language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) > 3
    return "\n".join(found)


def output_of(place: tuple[Path, dict[str, str]], *command: str) -> str:
    folder, environ = place
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_goes_from_a_file_to_a_prediction(place) -> None:
    out = output_of(place, "/bin/sh", "-euc", blocks("api.md", "sh"))
    for word in ('"status":"Validating"', "Ready", "Completed", "InService", '"predictions":[{"label":"Gentoo"'):
        assert word in out


def test_a_recipe_leads_to_what_the_page_of_pipelines_shows(place) -> None:
    [block] = re.findall(r"^```console\n(.*?)^```", (DOCS / "pipelines.md").read_text(), re.MULTILINE | re.DOTALL)
    out = output_of(place, "/bin/sh", "-euc", block)
    assert re.search(r"^Notify +SUCCEEDED", out, re.MULTILINE)
    assert re.search(r"^flights-v1-xgboost-2 +xgboost +Completed", out, re.MULTILINE)
    assert "There is no champion yet" in out


def test_the_python_client_does_as_its_page_says(place) -> None:
    out = output_of(place, sys.executable, "-W", "error", "-c", blocks("client.md", "python")).splitlines()
    assert out[0] == "Gentoo"
    assert "1 300" in out
    assert any(line.startswith("2 candidates, compared with penguins:") for line in out)
    assert any(line.startswith("344 0 ") for line in out)
    assert any(line.startswith("1 year ") for line in out)
    assert "['Gentoo', 'Gentoo', 'Gentoo']" in out
    assert out[-1].endswith(":1 Ready")
