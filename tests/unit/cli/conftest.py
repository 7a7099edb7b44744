"""A canned server that answers every call the command line makes."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops_api.cli.main import run
from tests.support import samples
from tests.support.canned_api import CannedApi, canned_api

BUNDLE = b"a bundle"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[CannedApi]:
    monkeypatch.chdir(tmp_path)
    for name in ("MLOPS_DATA_DIR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    with canned_api() as api:
        monkeypatch.setenv("MLOPS_URL", api.url)
        monkeypatch.setenv("MLOPS_TOKEN", api.token)
        _fill(api)
        yield api


def _fill(api: CannedApi) -> None:
    file = {"url": f"{api.url}/signed/file", "expires_at": samples.NOW, "size_bytes": len(BUNDLE)}
    file["sha256"] = hashlib.sha256(BUNDLE).hexdigest()
    upload = {"part_size": 10_000, "expires_at": samples.NOW}
    upload["parts"] = [{"part_number": 1, "url": f"{api.url}/signed/part", "size_bytes": 8}]
    created = samples.dataset_summary().model_dump() | {"status": "AwaitingUpload", "upload": upload}
    job, model, batch = samples.job(), samples.model(), samples.transform()
    version, name = r"[\w-]+:\w+", r"[\w-]+"
    answers = {
        ("GET", "/health/ready"): {"status": "ok"},
        ("GET", "/signed/file"): BUNDLE,
        ("PUT", "/signed/part"): b"",
        ("POST", "/datasets"): (201, created),
        ("POST", f"/datasets/{version}/complete"): (202, samples.dataset_summary()),
        ("GET", "/datasets"): {"datasets": [samples.dataset_summary().model_dump()], "next_token": None},
        ("GET", f"/datasets/{version}"): samples.dataset(),
        ("GET", f"/datasets/{version}/profile"): samples.profile(),
        ("GET", f"/datasets/{version}/preview"): samples.preview(),
        ("GET", f"/datasets/{version}/compare"): samples.difference(),
        ("GET", f"/datasets/{version}/download"): file,
        ("DELETE", f"/datasets/{version}"): (204, None),
        ("GET", f"/datasets/{name}/contract"): samples.contract(),
        ("PUT", f"/datasets/{name}/contract"): samples.contract(),
        ("DELETE", f"/datasets/{name}/contract"): (204, None),
        ("GET", f"/datasets/{version}/contract-suggestion"): samples.contract().contract,
        ("GET", f"/datasets/{name}/recipe"): samples.recipe(),
        ("PUT", f"/datasets/{name}/recipe"): samples.recipe(),
        ("DELETE", f"/datasets/{name}/recipe"): (204, None),
        ("GET", "/pipelines"): {"executions": [samples.execution().model_dump()]},
        ("GET", f"/pipelines/{name}"): samples.execution(),
        ("POST", "/pipelines/start"): (202, samples.execution(status="RUNNING")),
        ("POST", f"/pipelines/{name}/(stop|retry)"): (202, samples.execution()),
        ("GET", "/training/algorithms"): {"algorithms": []},
        ("POST", "/training/start"): (202, samples.job(status="InProgress")),
        ("GET", "/training/jobs"): {"jobs": [job.model_dump()]},
        ("GET", f"/training/jobs/{name}"): lambda asked: samples.job(asked.path.rpartition("/")[2]),
        ("GET", f"/training/jobs/{name}/logs"): {"lines": ["one", "two"], "next_after": 2, "complete": True},
        ("GET", f"/training/jobs/{name}/metrics"): {"points": [{"name": "validation:auc", "step": 1, "value": 0.7}]},
        ("POST", f"/training/jobs/{name}/stop"): (202, samples.job(status="Stopping")),
        ("GET", "/models"): {"models": [model.model_dump()]},
        ("GET", f"/models/{version}"): model,
        ("GET", f"/models/{version}/evaluation"): samples.evaluation(),
        ("GET", f"/models/{version}/card"): {"version": "flights:1", "markdown": "# Flights"},
        ("GET", f"/models/{version}/lineage"): samples.lineage(),
        ("GET", f"/models/{version}/compare"): samples.comparison(),
        ("GET", f"/models/{version}/bundle"): file,
        ("PUT", f"/models/{version}/(approve|reject)"): model,
        ("POST", f"/models/{name}/rollback"): model,
        ("PUT", f"/models/{name}/aliases/{name}"): model,
        ("DELETE", f"/models/{name}/aliases/{name}"): (204, None),
        ("POST", "/inference/predict"): {
            "model_version": "flights:1",
            "prediction_id": "p1",
            "predictions": [{"label": "1", "probabilities": {"0": 0.2, "1": 0.8}}],
        },
        ("GET", "/inference/endpoints"): {"endpoints": [samples.endpoint().model_dump()]},
        ("GET", f"/inference/endpoints/{name}"): samples.endpoint(),
        ("PUT", f"/inference/endpoints/{name}"): (202, samples.endpoint()),
        ("DELETE", f"/inference/endpoints/{name}"): (204, None),
        ("POST", "/inference/batch"): (202, samples.transform(status="InProgress")),
        ("GET", "/inference/batch"): {"transform_jobs": [batch.model_dump()]},
        ("GET", f"/inference/batch/{name}"): batch,
        ("GET", f"/inference/batch/{name}/results"): file,
        ("POST", f"/inference/batch/{name}/stop"): (202, samples.transform(status="Stopping")),
        ("GET", "/dashboard/stats"): samples.stats(),
        ("GET", "/monitoring/alarms"): {"alarms": [samples.alarm().model_dump()]},
        ("GET", "/monitoring/series"): samples.series(),
        ("GET", "/monitoring/alerts"): {"alerts": [samples.alert().model_dump()]},
    }
    for (method, path), answer in answers.items():
        api.on(method, path, answer)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def mlops(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line in this process: (exit code, stdout, stderr)."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        out, err = capsys.readouterr()
        return code, out, err

    return call
