"""One server per folder, and what only its owner may read."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_api.adapters.local.data_folder import DataFolder
from mlops_api.domain.errors import Conflict

_SERVER = """
import os, signal, sys
from pathlib import Path
from mlops_api.adapters.local.data_folder import DataFolder
folder = DataFolder.open(Path(sys.argv[1]))
folder.write_server_info("http://127.0.0.1:4711", folder.token, os.getpid())
print("ready", flush=True)
signal.pause()
"""


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_layout_and_modes(tmp_path: Path) -> None:
    with DataFolder.open(tmp_path / "new" / "data") as folder:
        folder.write_server_info("http://127.0.0.1:1", folder.token, 1)
        assert folder.records == folder.path / "records.sqlite3"
        for path in (folder.path, folder.objects, folder.jobs, folder.endpoints):
            assert mode(path) == 0o700
        for name in ("token", "secret", "server.json", "lock"):
            assert mode(folder.path / name) == 0o600


def test_token_and_secret_are_random_and_kept(tmp_path: Path) -> None:
    with DataFolder.open(tmp_path / "a") as folder:
        token, secret = folder.token, folder.secret
    with DataFolder.open(tmp_path / "a") as again, DataFolder.open(tmp_path / "b") as other:
        assert (again.token, again.secret) == (token, secret)
        assert len({token, secret.decode(), other.token, other.secret.decode()}) == 4
        assert len(token) >= 43


def test_a_token_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    with DataFolder.open(tmp_path) as folder:
        (folder.path / "token").chmod(0o644)
    with DataFolder.open(tmp_path):
        assert mode(tmp_path / "token") == 0o600


def test_a_folder_that_others_could_enter_is_closed_to_them_unless_it_is_not_ours_alone(tmp_path: Path) -> None:
    for name in ("empty", "used", "shared"):
        (tmp_path / name).mkdir(mode=0o755)
    (tmp_path / "used" / "token").write_text("t" * 43)
    (tmp_path / "shared" / "thesis.tex").write_text("")
    for name in ("empty", "used", "shared"):
        DataFolder.open(tmp_path / name).close()
    assert [mode(tmp_path / name) for name in ("empty", "used", "shared")] == [0o700, 0o700, 0o755]


def test_a_damaged_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("")
    with pytest.raises(Conflict, match="token is damaged"):
        DataFolder.open(tmp_path)
    (tmp_path / "token").unlink()
    DataFolder.open(tmp_path).close()


def test_server_info_lives_as_long_as_the_server(tmp_path: Path) -> None:
    info = tmp_path / "server.json"
    with DataFolder.open(tmp_path) as folder:
        assert not info.exists()
        folder.write_server_info("http://127.0.0.1:1", "t", 12)
        folder.write_server_info("http://127.0.0.1:2", "t", 12)
        assert json.loads(info.read_bytes()) == {"url": "http://127.0.0.1:2", "token": "t", "pid": 12}
    assert not info.exists()
    folder.close()


def test_a_second_server_is_refused_and_told_about_the_first(tmp_path: Path) -> None:
    with DataFolder.open(tmp_path) as folder:
        with pytest.raises(Conflict, match=rf"starting \(process {os.getpid()}\)"):
            DataFolder.open(tmp_path)
        folder.write_server_info("http://127.0.0.1:4711", folder.token, os.getpid())
        with pytest.raises(Conflict, match=r"http://127.0.0.1:4711 .*choose another data folder"):
            DataFolder.open(tmp_path)
        assert (tmp_path / "server.json").exists()
    DataFolder.open(tmp_path).close()


def test_a_server_of_another_process_holds_the_folder_until_it_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _SERVER, str(tmp_path)], stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"ready\n"
        with pytest.raises(Conflict, match=rf"http://127.0.0.1:4711 \(process {first.pid}\)"):
            DataFolder.open(tmp_path)
        os.kill(first.pid, signal.SIGKILL)
    assert (tmp_path / "server.json").exists(), "it was killed, so it could not tidy up"
    with DataFolder.open(tmp_path):
        assert not (tmp_path / "server.json").exists()


def test_a_program_that_a_killed_server_left_behind_does_not_hold_the_folder(tmp_path: Path) -> None:
    program = _SERVER.replace(
        "signal.pause()",
        "import subprocess; subprocess.run([sys.executable, '-c', 'print(1, flush=True); input()'], close_fds=False)",
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        assert first.stdout is not None
        assert [first.stdout.readline() for _ in range(2)] == [b"ready\n", b"1\n"]
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        DataFolder.open(tmp_path).close()
        assert first.stdin is not None
        first.stdin.write(b"\n")  # the program was there all the time, and ends now


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(FileExistsError):
        DataFolder.open(tmp_path / "data")
