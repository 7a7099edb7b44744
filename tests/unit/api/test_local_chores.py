"""What runs by itself on one machine, and what MLOPS_ADOPT_JOBS=false switches off."""

import threading
from pathlib import Path

import pytest

from mlops_api.adapters.local.data_folder import DataFolder
from mlops_api.bootstrap import local_platform
from mlops_api.services.datasets import DatasetService
from mlops_api.services.training import TrainingService
from mlops_api.settings import Settings


@pytest.mark.parametrize("adopt", [True, False])
def test_uploads_are_swept_whether_or_not_jobs_are_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adopt: bool
) -> None:
    swept, reconciled = threading.Event(), threading.Event()
    monkeypatch.setattr(DatasetService, "sweep", lambda _: swept.set())
    monkeypatch.setattr(TrainingService, "reconcile", lambda _: reconciled.set())
    with DataFolder.open(tmp_path / "data") as folder:
        platform = local_platform(Settings(adopt_jobs=adopt), folder, "http://127.0.0.1:1")
        platform.start()
        try:
            assert swept.wait(10)
        finally:
            platform.close()
    assert reconciled.is_set() == adopt
