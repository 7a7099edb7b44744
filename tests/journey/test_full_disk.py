"""A full disk: changes are refused with 507, reading goes on, and it recovers by itself."""

from pathlib import Path

import pytest

from mlops_api.client import MLOps, ServerError
from tests.support.server import Server
from tests.support.small_disk import filled, small_disk

SMALL = b"a,b\n" + b"1,2\n" * 40


def test_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", size="64m") as disk, Server(disk / "data") as server, server.client() as client:
        kept = client.datasets.upload(SMALL, name="kept")
        with filled(disk):
            with pytest.raises(ServerError, match=r"(?i)space|full") as refused:
                upload(client)
            assert refused.value.status == 507
            assert client.datasets.get(kept.version).status == "Ready"
            assert client.health()["status"] == "ok"
            assert client.dashboard.stats().counts["datasets"].value >= 1
        again = upload(client)
        assert client.datasets.wait(again, timeout=60).status == "Ready"


def upload(client: MLOps) -> str:
    return client.datasets.upload(SMALL, name="more", wait=False).version
