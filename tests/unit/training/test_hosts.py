"""Several `train` processes, as SageMaker runs them on several machines, against one."""

import json
import signal
import socket
import time

import numpy as np
import pytest

from mlops_contracts.evaluation import Evaluation
from mlops_contracts.metrics import read_metrics
from tests.support.mixed_table import mixed_table
from tests.support.training_data import flights
from tests.support.training_hosts import training_hosts
from training import bundle, train
from training.failure import STOPPED, JobError
from training.features import columns_from_table
from training.hosts import Place

QUICK = {
    "random_forest": {"n_estimators": 25},
    "xgboost": {"n_estimators": 60, "learning_rate": 0.2},
    "logistic_regression": {},
}
OTHERS = {"two": ("three", "amount"), "three": ("two", "amount"), "amount": ("two", "three")}
LONG = {
    "logistic_regression": {},
    "random_forest": {"n_estimators": 2000},
    "xgboost": {"n_estimators": 5000, "early_stopping_rounds": 0},
}
NOTICED = 15
"""Seconds, on a busy machine, in which a host ends whose peer was killed."""


def trained(folder, hosts, table, hyperparameters, **config):
    """The bundle of a job on so many hosts, and the log of its first one."""
    with training_hosts(folder / f"of-{hosts}", hosts) as job:
        job.lay_out(table, hyperparameters, **config)
        job.start()
        codes = job.ended()
        assert codes == [0] * hosts, [job.log(rank) for rank in range(hosts)]
        for rank, root in enumerate(job.roots):
            assert (root / "model/manifest.json").exists() == (rank == 0)
            assert not (root / "output/failure").exists()
            told = [name for line in job.log(rank).splitlines() for name, _ in read_metrics(line)]
            assert bool(told) == (rank == 0)
        return bundle.load(job.roots[0] / "model"), job.log(0)


def scores(loaded, table):
    return loaded.scores(columns_from_table(table, loaded.manifest.features))


# --------------------------------------------------------------------------- the same model


@pytest.mark.parametrize(
    ("target", "chosen", "hosts"),
    [("two", {"class_weight": "balanced", "C": 30.0}, 2), ("three", {"C": 0.3}, 3)],
)
def test_logistic_regression_is_that_of_one_host(tmp_path, target, chosen, hosts):
    config = {"algorithm": "logistic_regression", "target": target, "exclude": OTHERS[target]}
    alone, _ = trained(tmp_path, 1, mixed_table(), chosen, **config)
    shared, log = trained(tmp_path, hosts, mixed_table(), chosen, **config)
    assert scores(shared, mixed_table(seed=1)) == pytest.approx(scores(alone, mixed_table(seed=1)), abs=1e-7)
    assert shared.manifest.metrics == pytest.approx(alone.manifest.metrics, abs=1e-7)
    assert f"hosts={hosts}" in log


@pytest.mark.parametrize(("target", "trees", "hosts"), [("amount", 25, 2), ("three", 2, 3)])
def test_a_forest_has_the_trees_of_one_host(tmp_path, target, trees, hosts):
    config = {"algorithm": "random_forest", "target": target, "exclude": OTHERS[target], "seed": 3}
    alone, _ = trained(tmp_path, 1, mixed_table(), {"n_estimators": trees}, **config)
    shared, log = trained(tmp_path, hosts, mixed_table(), {"n_estimators": trees}, **config)
    for name in ("feature", "threshold", "left", "value", "root", "depth"):
        assert np.array_equal(getattr(shared.scorer, name), getattr(alone.scorer, name)), name
    assert shared.manifest.metrics == alone.manifest.metrics
    assert f"trees={trees} of={trees}" in log


@pytest.mark.parametrize(("target", "hosts"), [("three", 3), ("amount", 2)])
def test_xgboost_is_as_good_as_on_one_host(tmp_path, target, hosts):
    config = {"algorithm": "xgboost", "target": target, "exclude": OTHERS[target]}
    alone, _ = trained(tmp_path, 1, mixed_table(3000), QUICK["xgboost"], **config)
    shared, _ = trained(tmp_path, hosts, mixed_table(3000), QUICK["xgboost"], **config)
    if target == "amount":
        assert shared.manifest.metrics["rmse"] == pytest.approx(alone.manifest.metrics["rmse"], rel=0.02)
    else:
        assert shared.manifest.metrics["auc"] == pytest.approx(alone.manifest.metrics["auc"], abs=0.01)


@pytest.mark.parametrize("algorithm", sorted(QUICK))
def test_two_hosts_on_the_flights(tmp_path, algorithm):
    config = {"algorithm": algorithm, "target": "late", "exclude": ("date", "month"), "split": "hash"}
    alone, _ = trained(tmp_path, 1, flights(), QUICK[algorithm], **config)
    shared, _ = trained(tmp_path, 2, flights(), QUICK[algorithm], **config)
    bound = {"xgboost": 0.01, "logistic_regression": 1e-6, "random_forest": 0}[algorithm]
    assert shared.manifest.metrics["auc"] == pytest.approx(alone.manifest.metrics["auc"], abs=bound)


def test_early_stopping_stops_all_hosts_at_the_same_round(tmp_path):
    chosen = {"n_estimators": 2000, "learning_rate": 0.5, "early_stopping_rounds": 5}
    config = {"algorithm": "xgboost", "target": "two", "exclude": OTHERS["two"]}
    _, log = trained(tmp_path, 3, mixed_table(), chosen, **config)
    rounds = int(log.split("phase=fit rounds=")[1].split()[0])
    assert rounds < 200


# --------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("algorithm", "killed", "when"),
    [
        ("xgboost", 0, "round=20"),
        ("xgboost", 2, "round=20"),
        ("random_forest", 1, "phase=fit algorithm"),
        ("logistic_regression", 2, "phase=together"),
    ],
)
def test_when_a_host_is_killed_the_others_end_with_a_reason(tmp_path, algorithm, killed, when):
    with training_hosts(tmp_path, 3) as job:
        job.lay_out(mixed_table(20_000), LONG[algorithm], algorithm=algorithm, target="two", exclude=OTHERS["two"])
        job.start()
        until(lambda: when in job.log(0))
        job.processes[killed].kill()
        began = time.monotonic()
        codes = job.ended()
        assert time.monotonic() - began < NOTICED
        assert codes == [-signal.SIGKILL if rank == killed else 1 for rank in range(3)]
        for rank in {0, 1, 2} - {killed}:
            assert "ended early or cannot be reached" in job.failure(rank) or "failed: Host" in job.failure(rank)
            assert not (job.roots[rank] / "model").exists()


def test_a_stop_of_one_host_stops_all(tmp_path):
    with training_hosts(tmp_path, 2) as job:
        job.lay_out(mixed_table(), LONG["xgboost"], algorithm="xgboost", target="two", exclude=OTHERS["two"])
        job.start()
        until(lambda: "round=2" in job.log(0))
        job.processes[1].send_signal(signal.SIGTERM)
        assert job.ended() == [STOPPED, STOPPED]
        assert [(root / "output/failure").exists() for root in job.roots] == [False, False]
        assert list((job.roots[0] / "checkpoints").glob("*.ubj"))
        assert not (job.roots[1] / "checkpoints").exists()

        job.start()
        until(lambda: "phase=resume rounds=" in job.log(0) and "phase=resume rounds=" in job.log(1))
        assert len({job.log(rank).split("phase=resume rounds=")[1].split()[0] for rank in (0, 1)}) == 1


def test_what_the_user_can_mend_is_said_by_every_host(tmp_path):
    with training_hosts(tmp_path, 2) as job:
        job.lay_out(mixed_table(), {}, algorithm="xgboost", target="nothing")
        job.start()
        assert job.ended() == [1, 1]
        assert all("The target 'nothing' is not a column" in job.failure(rank) for rank in (0, 1))


def test_hosts_that_see_other_rows_do_not_train(tmp_path):
    with training_hosts(tmp_path, 2) as job:
        config = {"algorithm": "logistic_regression", "target": "two", "exclude": OTHERS["two"]}
        job.lay_out(mixed_table(), {}, **config)
        others = training_hosts(tmp_path / "other", 2)
        with others as other:
            other.lay_out(mixed_table(1400), {}, **config)
            channel = "input/data/training/data.parquet"
            (job.roots[1] / channel).write_bytes((other.roots[1] / channel).read_bytes())
        job.start()
        assert job.ended() == [1, 1]
        assert "do not see the same rows" in job.failure(0)


def test_too_few_rows_for_the_hosts(tmp_path):
    with training_hosts(tmp_path, 3) as job:
        job.lay_out(mixed_table(150), {}, algorithm="xgboost", target="two", exclude=OTHERS["two"])
        job.start()
        assert job.ended() == [1, 1, 1]
        assert job.failure(0) == "120 training rows are too few for 3 hosts; use at most 2."


@pytest.mark.parametrize(("here", "reason"), [(0, "did not report in time: algo-2"), (1, "algo-1 cannot be reached")])
def test_hosts_that_do_not_come_are_named(tmp_path, here, reason):
    with training_hosts(tmp_path, 2) as job:
        job.lay_out(mixed_table(), {}, algorithm="xgboost", target="two")
        job.start([here], MLOPS_MEET_SECONDS="1")
        assert job.ended() == [1]
        assert reason in job.failure(here)


def test_strangers_are_sent_away(tmp_path):
    with training_hosts(tmp_path, 2) as job:
        job.lay_out(mixed_table(), {}, algorithm="logistic_regression", target="two", exclude=OTHERS["two"])
        job.start([0])
        for said in (b"GET / HTTP/1.1\r\n\r\n", b'{"host": "algo-7"}\n', b'{"host": "algo-1"}\n', b"[]\n"):
            with reached(job.port) as stranger:
                stranger.sendall(said)
                assert stranger.recv(10) == b""
        first = job.processes
        job.start([1])
        job.processes = first + job.processes
        assert job.ended() == [0, 0]


# --------------------------------------------------------------------------- which host this is


def test_the_place_is_read_from_the_resource_configuration(tmp_path):
    path = tmp_path / "resourceconfig.json"
    assert (Place.read(path).rank, Place.read(path).size, Place.read(path).first) == (0, 1, True)
    path.write_text(json.dumps({"current_host": "algo-2", "hosts": ["algo-3", "algo-2", "algo-1"]}))
    place = Place.read(path)
    assert (place.rank, place.size, place.first, place.coordinator()) == (1, 3, False, ("algo-1", 7777))


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"current_host": "a", "hosts": ["b"]}', '{"current_host": "a", "hosts": ["a", "a"]}'],
)
def test_a_resource_configuration_that_is_none(tmp_path, content):
    path = tmp_path / "resourceconfig.json"
    path.write_text(content)
    with pytest.raises(JobError, match="does not name current_host and hosts"):
        Place.read(path)


def test_a_coordinator_has_address_and_port(monkeypatch):
    place = Place("a", ("a", "b"))
    monkeypatch.setenv("MLOPS_COORDINATOR", "10.0.0.1:80")
    assert place.coordinator() == ("10.0.0.1", 80)
    monkeypatch.setenv("MLOPS_COORDINATOR", "10.0.0.1")
    with pytest.raises(JobError, match="address:port"):
        place.coordinator()


def test_one_host_imports_nothing_to_talk_with(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_ML_ROOT", str(tmp_path / "of-1/algo-1"))
    loaded, log = trained(
        tmp_path, 1, mixed_table(), {}, algorithm="logistic_regression", target="two", exclude=OTHERS["two"]
    )
    assert "phase=together" not in log
    evaluation = (tmp_path / "of-1/algo-1/model/evaluation.json").read_bytes()
    assert Evaluation.model_validate_json(evaluation).metrics == loaded.manifest.metrics
    assert train.main([]) == 0


def until(happened, seconds=60):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def reached(port):
    deadline = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=20)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
