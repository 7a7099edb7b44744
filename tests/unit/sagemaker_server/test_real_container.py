"""The whole way with the real programs: train on S3 data, host the archive it left, ask it."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from mlops_contracts.metrics import METRIC_DEFINITIONS
from tests.sagemaker_server import Options
from tests.support.sagemaker import Studio
from tests.support.training_data import penguins, write_job


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
