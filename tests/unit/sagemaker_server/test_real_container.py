"""The whole way with the real programs: train on S3 data, host the archive it left, ask it."""

import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from mlops_contracts.metrics import METRIC_DEFINITIONS
from tests.sagemaker_server import Options
from tests.support.mixed_table import mixed_table
from tests.support.sagemaker import Studio
from tests.support.training_data import penguins, write_job

GROUP = "/aws/sagemaker/TrainingJobs"
TWO = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 10}


@pytest.fixture
def options() -> Options:
    return Options()


def test_train_host_and_predict(studio: Studio, tmp_path: Path) -> None:
    write_job(tmp_path, penguins(), algorithm="logistic_regression", target="species", model="penguins")
    for path in (tmp_path / "input/data/training").iterdir():
        studio.put(f"data/{path.name}", path.read_bytes())
    hyperparameters = json.loads((tmp_path / "input/config/hyperparameters.json").read_text())
    algorithm = studio.training_request("j")["AlgorithmSpecification"] | {
        "MetricDefinitions": [{"Name": name, "Regex": regex} for name, regex in METRIC_DEFINITIONS]
    }
    studio.train("j", HyperParameters=hyperparameters, AlgorithmSpecification=algorithm)
    found = studio.trained("j")
    assert found["TrainingJobStatus"] == "Completed", studio.server.logs.lines("/aws/sagemaker/TrainingJobs")
    metrics = {each["MetricName"]: each["Value"] for each in found["FinalMetricDataList"]}
    assert metrics["progress"] == 1.0
    assert metrics["validation:accuracy"] > 0.9
    with tarfile.open(fileobj=io.BytesIO(studio.read("models/j/output/model.tar.gz"))) as tar:
        assert {"manifest.json", "linear.json", "evaluation.json"} <= set(tar.getnames())

    studio.model("penguins", "models/j/output/model.tar.gz")
    studio.config("c", penguins=1.0)
    studio.api.create_endpoint(EndpointName="e", EndpointConfigName="c")
    assert studio.endpoint("e")["EndpointStatus"] == "InService"
    row = {name: value[0] for name, value in penguins().slice(0, 1).to_pydict().items() if name != "species"}
    answer = studio.runtime.invoke_endpoint(
        EndpointName="e", Body=json.dumps({"instances": [row]}), ContentType="application/json"
    )
    assert json.loads(answer["Body"].read())["predictions"][0]["label"] == "Adelie"


def test_a_failure_carries_the_containers_words(studio: Studio, tmp_path: Path) -> None:
    write_job(tmp_path, penguins(), algorithm="logistic_regression", target="species", model="penguins")
    for path in (tmp_path / "input/data/training").iterdir():
        studio.put(f"data/{path.name}", path.read_bytes())
    hyperparameters = json.loads((tmp_path / "input/config/hyperparameters.json").read_text())
    studio.train("j", HyperParameters=hyperparameters | {"job_target": '"never"'})
    reason = studio.trained("j")["FailureReason"]
    assert reason.startswith("AlgorithmError: ")
    assert "never" in reason
    assert reason.endswith(", exit code: 1")


# --------------------------------------------------------------------------- several hosts


def start_boosting(studio: Studio, folder: Path, hosts: int, rounds: int, **changes: Any) -> None:
    """Job `j`: XGBoost on so many hosts; `changes` to the request."""
    write_job(
        folder,
        mixed_table(),
        {"n_estimators": rounds, "learning_rate": 0.01, "early_stopping_rounds": 0},
        algorithm="xgboost",
        target="two",
        exclude=("three", "amount"),
    )
    for path in (folder / "input/data/training").iterdir():
        studio.put(f"data/{path.name}", path.read_bytes())
    hyperparameters = json.loads((folder / "input/config/hyperparameters.json").read_text())
    studio.train("j", HyperParameters=hyperparameters, ResourceConfig=TWO | {"InstanceCount": hosts}, **changes)


def lines(studio: Studio, host: int) -> list[str]:
    """What a host printed, in all attempts."""
    return studio.server.logs.lines(GROUP, f"j/algo-{host}-")


@pytest.mark.parametrize("hosts", [1, 2])
def test_a_spot_job_goes_on_from_its_checkpoint(studio: Studio, tmp_path: Path, hosts: int) -> None:
    spot = {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 300, "MaxWaitTimeInSeconds": 600},
        "CheckpointConfig": {"S3Uri": studio.uri("checkpoints/j")},
    }
    start_boosting(studio, tmp_path, hosts, 1500, **spot)
    studio.until_logged(GROUP, "round=301.0", 120)
    studio.server.faults.interrupt("j")
    found = studio.trained("j", 120)
    assert found["TrainingJobStatus"] == "Completed", lines(studio, 1)
    resumed = [re.search(r"phase=resume rounds=(\d+)", "\n".join(lines(studio, host))) for host in range(1, hosts + 1)]
    assert all(resumed)
    assert len({each[1] for each in resumed if each}) == 1
    assert int(resumed[0][1]) > 300  # type: ignore[index] # all are there
    assert [name.rpartition(".")[2] for name in studio.keys("checkpoints/")] == ["ubj"]
    with tarfile.open(fileobj=io.BytesIO(studio.read("models/j/output/model.tar.gz"))) as tar:
        assert tar.getnames().count("manifest.json") == 1


def test_when_a_host_dies_the_job_fails_and_the_others_end(studio: Studio, tmp_path: Path) -> None:
    start_boosting(studio, tmp_path, 2, 5000)
    studio.until_logged(GROUP, "round=1.0", 120)
    studio.server.faults.kill("j", host=1)
    found = studio.trained("j")
    assert found["TrainingJobStatus"] == "Failed"
    assert found["FailureReason"].endswith(("exit code: 137", "exit code: 1"))
    assert studio.keys("models/") == []
