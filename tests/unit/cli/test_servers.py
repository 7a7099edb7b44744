"""`mlops up` and `mlops demo`, for real: processes, sockets, files."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import httpx
import pytest

from mlops_api.client import MLOps
from tests.support.server import Server, end_all, processes_of

MLOPS = [sys.executable, "-m", "mlops_api"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("MLOPS_URL", "MLOPS_TOKEN", "MLOPS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path / "data"
    end_all(tmp_path / "data")


def test_up_tells_where_it_is_and_refuses_a_second_server(folder: Path) -> None:
    command = [*MLOPS, "up", "--data-dir", str(folder), "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            told = json.loads(server.stdout.readline())
            assert (told["schema_version"], told["command"]) == (1, "up")
            with MLOps(told["data"]["url"], told["data"]["token"]) as client:
                assert client.health() == {"status": "ok"}
                assert list(client.models.list()) == []
            doctor = subprocess.run([*MLOPS, "doctor", "--data-dir", str(folder)], capture_output=True, check=False)
            assert doctor.returncode == 0, doctor.stdout
            second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
            assert second.returncode == 1
            assert told["data"]["url"] in json.loads(second.stdout)["error"]["message"]
        finally:
            server.terminate()
            server.wait(30)
        assert server.stdout.read() == ""


def test_a_demo_without_its_data_says_so(folder: Path) -> None:
    command = [*MLOPS, "demo", "--data-dir", str(folder), "--file", "nowhere.csv.gz"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 4
    assert "nowhere.csv.gz" in run.stderr


def test_a_demo_leaves_nothing_that_other_users_could_read(folder: Path) -> None:
    """Its folder is made by this process or by the server, both under the usual umask."""
    command = [*MLOPS, "demo", "--data-dir", str(folder), "--file", "nowhere.csv.gz"]
    subprocess.run(command, capture_output=True, timeout=60, check=False, umask=0o022)
    assert (folder / "token").exists()
    assert [path for path in [folder, *folder.rglob("*")] if path.stat().st_mode & 0o077] == []


@pytest.mark.slow
def test_the_demo_runs_twice_and_holds_every_reference(folder: Path) -> None:
    """First with a server of its own, then beside one that runs on the folder already."""
    for time, server in ((1, nullcontext()), (2, Server(folder))):
        with server:
            demo(folder, time)
        assert processes_of(folder) == []


def demo(folder: Path, time: int) -> None:
    command = [*MLOPS, "demo", "--data-dir", str(folder), "--json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=290, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    data = json.loads(run.stdout)["data"]
    assert data["short_of_reference"] == []
    assert [one["algorithm"] for one in data["models"]] == [
        "logistic_regression", "random_forest", "xgboost", "random_forest",
    ]  # fmt: skip
    for one in data["models"]:
        assert one["auc"] >= one["reference"] - 0.01
        assert one["auc"] > one["dummy"] + 0.1
    assert data["models"][-1]["version"] == f"penguins:{time}"
    results = Path(data["batch"]["path"]).read_text().splitlines()
    assert len(results) - 1 == data["batch"]["rows"] == 65_470
    assert data["batch"]["failed_rows"] == 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ending_the_server_on_request_is_no_failure(folder: Path, how: signal.Signals) -> None:
    command = [*MLOPS, "up", "--data-dir", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            told = "".join(iter(server.stderr.readline, "Press Ctrl-C to end.\n"))
            link = re.search(r"http://\S+/docs\?token=\S+", told)
            assert link, told
            with httpx.Client(follow_redirects=True) as browser:
                page = browser.get(link[0])
                assert (page.status_code, page.url.path, page.url.query) == (200, "/docs", b"")
                assert browser.get(page.url.join("/openapi.json")).status_code == 200
            server.send_signal(how)
            assert server.wait(30) == 0
            assert server.stderr.read().splitlines()[-1] == "Stopped."
            assert not (folder / "server.json").exists()
        finally:
            server.kill()


def test_a_port_that_is_taken_names_a_free_one(folder: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        up = [*MLOPS, "up", "--data-dir", str(folder), "--port", str(port)]
        run = subprocess.run(up, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 2
    assert re.search(rf"Port {port} is taken\. (\d+) is free: mlops up --port \1$", run.stderr, re.MULTILINE)


def test_a_file_is_no_data_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        run = subprocess.run(
            [*MLOPS, "up", "--data-dir", str(path)], capture_output=True, text=True, timeout=60, check=False
        )
        assert run.returncode == 2
        assert "cannot be the data folder" in run.stderr
        assert "Traceback" not in run.stderr
