"""Hosts with networks of their own, which find each other by the names in resourceconfig.json, as on SageMaker."""

import time

import pytest

from tests.support.mixed_table import mixed_table
from tests.support.namespaces import Namespaces, NotPossible, namespaces
from tests.support.training_hosts import TrainingHosts, training_hosts
from training import bundle

NAMES = ("algo-1", "algo-2")
OTHERS = ("three", "amount")


@pytest.fixture(scope="module")
def network():
    try:
        with namespaces(NAMES) as made:
            yield made
    except NotPossible as reason:
        pytest.skip(f"no network namespaces here: {reason}")


def started(job: TrainingHosts, network: Namespaces, algorithm: str, chosen: dict[str, object]) -> None:
    job.lay_out(mixed_table(), chosen, algorithm=algorithm, target="two", exclude=OTHERS)
    job.start(inside=[network.inside(number) for number in range(len(NAMES))])


def test_hosts_find_each_other_by_name(tmp_path, network):
    with training_hosts(tmp_path, 2) as job:
        started(job, network, "logistic_regression", {})
        assert job.ended() == [0, 0], [job.log(rank) for rank in (0, 1)]
        assert bundle.load(job.roots[0] / "model").manifest.metrics["auc"] > 0.8
        assert "rank=1 of=2" in job.log(1)


def test_a_host_that_vanishes_from_the_network_is_noticed(tmp_path, network):
    with training_hosts(tmp_path, 2) as job:
        started(job, network, "xgboost", {"n_estimators": 5000, "early_stopping_rounds": 0})
        deadline = time.monotonic() + 60
        while "round=20" not in job.log(0):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        network.unplug(1)
        assert job.ended(90) == [1, 1]
        assert "algo-2 of this job ended early or cannot be reached" in job.failure(0)
        assert "algo-1 of this job ended early or cannot be reached" in job.failure(1)
