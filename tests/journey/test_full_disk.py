"""A full disk: changes are refused with 507, reading goes on, and it recovers by itself."""

import contextlib
from pathlib import Path

import pytest

from mlops_api.client import JobFailed, MLOps, ServerError
from mlops_api.domain.training import TrainingJob
from tests.support.server import PENGUINS, Server
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


def test_jobs_and_approvals_on_a_full_disk(tmp_path: Path) -> None:
    """A job under way ends either way, decisions are refused whole, and nothing acknowledged is lost."""
    with small_disk(tmp_path / "disk", size="128m") as disk, Server(disk / "data") as server, server.client() as client:
        client.datasets.upload(PENGUINS, name="penguins")
        trained = client.training.wait(start(client, 0), timeout=120).model_version
        assert trained is not None
        under_way = start(client, 1)
        with filled(disk):
            for change in (lambda: start(client, 2), lambda: client.models.approve(trained, deploy=True)):
                with pytest.raises(ServerError) as refused:
                    change()
                assert refused.value.status == 507
            assert client.models.get(trained).approval_status == "PendingManualApproval"
        assert ended(client, under_way).status in ("Completed", "Failed")
        assert {job.job for job in client.training.jobs()} >= {under_way}
        again = client.training.wait(start(client, 2), timeout=120)
        assert again.status == "Completed"
        assert client.models.approve(trained).approval_status == "Approved"


def ended(client: MLOps, job: str) -> TrainingJob:
    """Its last state: whether it needed the disk while that was full is up to chance."""
    with contextlib.suppress(JobFailed):
        client.training.wait(job, timeout=120)
    return client.training.get(job)


def start(client: MLOps, seed: int) -> str:
    return client.training.start(
        dataset="penguins:1", target="sex", algorithm="random_forest", model="penguins", seed=seed
    ).job
