"""A job on two machines, from the client to the version it registers, against the same job on one."""

import pytest

from mlops_api.client import MLOps
from mlops_api.domain.models import ModelVersion
from tests.support.aws_server import AwsServer
from tests.support.server import PENGUINS

pytestmark = pytest.mark.aws

CLOSE = {"logistic_regression": 1e-6, "random_forest": 0.0, "xgboost": 0.01}


def trained(client: MLOps, dataset: str, algorithm: str, hosts: int) -> ModelVersion:
    job = client.training.start(
        dataset=dataset,
        target="species",
        algorithm=algorithm,
        model=algorithm.replace("_", "-") + "-shared",
        instance_count=hosts,
    )
    ended = client.training.wait(job.job, timeout=180)
    assert ended.instance_count == hosts
    assert ended.model_version is not None
    together = any(f"of={hosts}" in line and "phase=together" in line for line in client.training.logs(job.job))
    assert together == (hosts > 1)
    return client.models.get(ended.model_version)


@pytest.mark.parametrize("algorithm", sorted(CLOSE))
def test_two_machines_give_the_model_of_one(aws: AwsServer, algorithm: str) -> None:
    with aws.client() as client:
        dataset = client.datasets.upload(PENGUINS, name=f"hosts-{algorithm.replace('_', '-')}").version
        alone, shared = (trained(client, dataset, algorithm, hosts) for hosts in (1, 2))
    assert shared.number == alone.number + 1
    assert shared.metrics["auc"] == pytest.approx(alone.metrics["auc"], abs=CLOSE[algorithm])
    if algorithm != "xgboost":
        assert shared.metrics == pytest.approx(alone.metrics, abs=CLOSE[algorithm])
