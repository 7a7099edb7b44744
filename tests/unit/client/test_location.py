"""Where the server is: argument, environment, file; and a token goes to no server but its own."""

import json
import ssl
from pathlib import Path

import pytest

from mlops_api.client import MLOps, RetryPolicy, Unreachable
from mlops_api.client.location import Location, locate

FILE = {"url": "http://127.0.0.1:1234", "token": "of-the-file", "pid": 7}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MLOPS_URL", "MLOPS_TOKEN", "MLOPS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mlops-data"
    folder.mkdir()
    (folder / "server.json").write_text(json.dumps(FILE))
    return folder


def test_the_default_folder() -> None:
    assert locate() == Location("http://127.0.0.1:1234", "of-the-file", 7)


def test_the_environment_outranks_the_file(monkeypatch) -> None:
    monkeypatch.setenv("MLOPS_URL", "http://there:1/")
    monkeypatch.setenv("MLOPS_TOKEN", "of-the-environment")
    assert locate() == Location("http://there:1", "of-the-environment")


def test_an_argument_outranks_everything(monkeypatch, folder) -> None:
    monkeypatch.setenv("MLOPS_URL", "http://there:1")
    monkeypatch.setenv("MLOPS_TOKEN", "of-the-environment")
    assert locate("http://here:2", "mine") == Location("http://here:2", "mine")
    assert locate(data_dir=folder) == Location("http://127.0.0.1:1234", "of-the-file", 7)


def test_a_token_is_not_told_to_another_server() -> None:
    assert locate("http://elsewhere:1").token is None
    assert locate("http://127.0.0.1:1234/").token == FILE["token"]


def test_the_folder_may_come_from_the_environment(monkeypatch, tmp_path, folder) -> None:
    folder.rename(tmp_path / "other")
    with pytest.raises(Unreachable, match="mlops up"):
        locate()
    monkeypatch.setenv("MLOPS_DATA_DIR", str(tmp_path / "other"))
    assert locate().url == FILE["url"]


@pytest.mark.parametrize("content", ["{", "[]", '{"token": "x"}', "null"])
def test_a_file_that_cannot_be_read_is_named(content, folder) -> None:
    (folder / "server.json").write_text(content)
    with pytest.raises(Unreachable, match=r"server\.json"):
        locate()


def test_the_token_is_in_no_representation() -> None:
    with MLOps() as client:
        assert "of-the-file" not in repr(client)


def test_a_proxy_of_the_environment_is_not_used_for_this_machine(monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    with MLOps("http://127.0.0.1:9", retry=RetryPolicy(attempts=1)) as near:
        assert not near._http.trust_env
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
            near.health()
    with MLOps("http://far.invalid") as far:
        assert far._http.trust_env


def test_a_server_of_this_machine_costs_no_certificate_authorities_and_trusts_nobody() -> None:
    with MLOps("http://127.0.0.1:9") as near:
        context = near._http._transport._pool._ssl_context
        assert context.get_ca_certs() == []
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    with MLOps("https://127.0.0.1:9") as secure:
        assert secure._http._transport._pool._ssl_context.get_ca_certs()
