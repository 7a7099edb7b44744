"""What stands in server.log after a real server was used, refused and misused: never the token."""

import json
import socket
from pathlib import Path

import httpx
import pytest

from mlops_api.middleware.security import COOKIE
from tests.support.server import Server


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """(token, data folder) of a server that has ended."""
    folder = tmp_path_factory.mktemp("data")
    with Server(folder) as server:
        url, token = str(server.info()["url"]), str(server.info()["token"])
        bearer = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url) as client:
            assert client.get("/", params={"token": token}).status_code == 303
            assert client.get("/models", headers=bearer).status_code == 200
            assert client.get("/models", headers={"Cookie": f"{COOKIE}={token}"}).status_code == 200
            assert client.get("/models", headers=bearer | {"X-Request-Id": token}).status_code == 200
            assert client.get("/models", params={"next_token": token}, headers=bearer).status_code == 400
            assert client.get(f"/models/{token}", headers=bearer).status_code == 422
            assert client.post("/datasets", json={"name": token}, headers=bearer).status_code == 422
            assert client.post("/datasets", content=b"{" + token.encode(), headers=bearer).status_code == 422
            assert client.get("/models", headers=bearer | {"Host": "evil.example"}).status_code == 403
        address = (str(httpx.URL(url).host), httpx.URL(url).port or 0)
        with socket.create_connection(address, timeout=5) as connection:
            connection.sendall(f"GET /?token={token} HTTP/9\r\n{token}\r\n\r\n".encode())
            assert connection.recv(100)
    return token, folder


def test_the_token_is_nowhere_in_the_logs(used: tuple[str, Path]) -> None:
    token, folder = used
    logs = [path for path in folder.rglob("*.log*") if path.is_file()]
    assert folder / "server.log" in logs
    assert [path.name for path in logs if token in path.read_text()] == []


def test_every_line_is_one_json_object(used: tuple[str, Path]) -> None:
    _, folder = used
    lines = [json.loads(line) for line in (folder / "server.log").read_text().splitlines()]
    requests = [line for line in lines if line["logger"] == "mlops_api.requests"]
    assert {line["status"] for line in requests} >= {200, 303, 400, 403, 422}
    assert all(line["request_id"] and line["ms"] >= 0 for line in requests)


def test_the_log_is_for_its_owner_only(used: tuple[str, Path]) -> None:
    _, folder = used
    assert folder.stat().st_mode & 0o077 == 0
