"""A model trained both ways is the same: the container's code is, and what it is given."""

from pathlib import Path

import pytest

from mlops_api.client import MLOps
from tests.support.aws_server import AwsServer
from tests.support.server import PENGUINS, Server

pytestmark = pytest.mark.aws

TARGETS = {"logistic_regression": "species", "random_forest": "species", "xgboost": "body_mass_g"}


def metrics(client: MLOps) -> dict[str, dict[str, float]]:
    """By algorithm."""
    dataset = client.datasets.upload(PENGUINS, name="penguins").version
    jobs = {
        name: client.training.start(dataset=dataset, target=target, algorithm=name, model=name.replace("_", "-"))
        for name, target in TARGETS.items()
    }
    return {name: client.training.wait(job.job, timeout=120).metrics for name, job in jobs.items()}


def test_metrics_are_equal_in_both_modes(aws: AwsServer, tmp_path: Path) -> None:
    with Server(tmp_path / "data") as local, local.client() as here, aws.client() as there:
        ours, theirs = metrics(here), metrics(there)
        validation = {name: {key for key in values if key.startswith("validation:")} for name, values in ours.items()}
        assert all(len(names) > 2 for names in validation.values())
        for name, keys in validation.items():
            assert {key: ours[name][key] for key in keys} == {key: theirs[name].get(key) for key in keys}, name
        for version in ("xgboost:1", "random-forest:1"):
            assert here.models.evaluation(version) == there.models.evaluation(version)
