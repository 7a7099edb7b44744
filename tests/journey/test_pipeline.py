"""An upload starts a pipeline: with a recipe, a file alone leads to candidates and their comparison.

Tests of this module run in order and build on each other, like the loop they follow.
"""

import gzip
import shutil
from pathlib import Path

import pytest

from mlops_api.client import Conflict, JobFailed, MLOps
from mlops_api.domain.pipelines import STEPS, Execution
from tests.journey.conftest import AnyServer
from tests.support.aws_server import AwsServer
from tests.support.local_storage import wait_for
from tests.support.server import FLIGHTS, Server

RECIPE = {"target": "late", "exclude": ["date", "month"]}
ALGORITHMS = {"logistic_regression", "random_forest", "xgboost"}
FLOOR = 0.68
"""AUC that each algorithm reaches on the flights; see test_journey for those of a random split."""


def deliver(server: AnyServer, file: Path) -> None:
    """Drop it: into the watched folder, or into the bucket. Nothing is called."""
    if isinstance(server, AwsServer):
        server.drop("flights", file)
        return
    assert server.watched is not None
    shutil.copy(file, server.watched / file.name)


def waited(client: MLOps, execution: str) -> Execution:
    """Its end; it is there within moments of the file."""
    wait_for(lambda: any(each.execution == execution for each in client.pipelines.list()), 30)
    return client.pipelines.wait(execution, timeout=280)


@pytest.fixture(scope="module")
def lines() -> list[str]:
    with gzip.open(FLIGHTS, "rt") as file:
        return file.readlines()


def test_a_recipe_is_set_before_there_is_a_table(client: MLOps) -> None:
    assert client.datasets.set_recipe("flights", RECIPE).revision == 1
    assert client.datasets.recipe("flights").recipe.target == "late"


def test_a_file_alone_leads_to_three_candidates_and_their_comparison(client: MLOps, server: AnyServer) -> None:
    deliver(server, FLIGHTS)
    ended = waited(client, "flights-v1")
    assert ended.status == "SUCCEEDED"
    assert [step.name for step in ended.steps] == list(STEPS)
    assert all(step.status == "SUCCEEDED" and step.entered_at and step.exited_at for step in ended.steps)
    assert {each.algorithm for each in ended.candidates} == ALGORITHMS
    assert all(each.status == "Completed" and (each.value or 0) > FLOOR for each in ended.candidates)
    versions = {version.version: version for version in client.models.list(model="flights")}
    assert versions.keys() == {each.model_version for each in ended.candidates}
    assert {version.approval_status for version in versions.values()} == {"PendingManualApproval"}
    assert ended.comparison is not None
    best = max(ended.candidates, key=lambda each: each.value or 0)
    assert (ended.comparison.metric, ended.comparison.candidate) == ("auc", best.model_version)
    assert ended.comparison.passed
    assert "no champion yet" in ended.comparison.reasons[0]
    assert ended.notification
    assert client.datasets.get("flights:1").rows == 65470


def alerts(server: AnyServer) -> dict[str, str]:
    """Subjects of what people were told, by what happened and where."""
    with server.http() as http:
        found = http.get("/monitoring/alerts").json()["alerts"]
    return {f"{each['kind']} {each['path']}": each["subject"] for each in found if each["kind"].startswith("pipeline.")}


def test_people_are_told(client: MLOps, server: AnyServer) -> None:
    ended = client.pipelines.get("flights-v1")
    assert alerts(server) == {"pipeline.succeeded /pipelines/flights-v1": ended.notification}


def test_what_was_done_is_the_platforms_not_a_persons(client: MLOps) -> None:
    jobs = [client.training.get(each.job) for each in client.pipelines.get("flights-v1").candidates]
    assert {job.execution for job in jobs} == {"flights-v1"}
    assert {job.split for job in jobs} == {"hash"}
    with pytest.raises(Conflict, match="nothing is left to do"):
        client.pipelines.retry("flights-v1")


def test_a_rejected_file_fails_naming_code_column_and_row(
    client: MLOps, server: AnyServer, lines: list[str], tmp_path: Path
) -> None:
    broken = [*lines[:5000]]
    broken[3999] = broken[3999].rstrip("\n") + ",surplus\n"
    (tmp_path / "flights.csv").write_text("".join(broken))
    deliver(server, tmp_path / "flights.csv")
    with pytest.raises(JobFailed, match="DatasetRejected") as failed:
        waited(client, "flights-v2")
    ended: Execution = failed.value.job
    assert (ended.status, ended.error) == ("FAILED", "DatasetRejected")
    assert [step.name for step in ended.steps if step.status == "FAILED"] == ["CheckQuality"]
    finding = client.datasets.get("flights:2").quality.violations[0]
    assert finding.row == 3999
    for part in (finding.code, f"row {finding.row}", "flights:2", "mlops data show"):
        assert part in (ended.cause or "")
    assert alerts(server)["pipeline.failed /pipelines/flights-v2"] == ended.notification
    if isinstance(server, Server) and server.watched is not None:
        report = server.watched / "flights.csv.refused.txt"
        wait_for(report.exists)
        assert "row 3999" in report.read_text()


def test_the_next_file_is_processed_and_compared_with_the_champion(
    client: MLOps, server: AnyServer, lines: list[str], tmp_path: Path
) -> None:
    champion = client.pipelines.get("flights-v1").model_version or ""
    client.models.approve(champion, deploy=True)
    client.inference.wait("flights", timeout=60)
    client.datasets.set_recipe("flights", RECIPE | {"algorithms": ["logistic_regression"], "gate": {"margin": 0.5}})
    (tmp_path / "flights.csv").write_text("".join(lines[:20000]))
    deliver(server, tmp_path / "flights.csv")
    ended = waited(client, "flights-v3")
    assert ended.status == "SUCCEEDED"
    assert ended.comparison is not None
    assert (ended.comparison.champion, ended.comparison.passed) == (champion, False)
    assert ended.comparison.champion_value is not None
    assert ended.comparison.rows == client.models.evaluation(ended.model_version or "").validation_rows
    assert "did not pass" in (ended.approval or "")
    assert client.models.get("flights:champion").version == champion


def test_one_execution_for_each_version(client: MLOps) -> None:
    found = [each.execution for each in client.pipelines.list(dataset="flights")]
    assert found == ["flights-v3", "flights-v2", "flights-v1"]
    jobs = [job.job for job in client.training.jobs(model="flights")]
    assert len(jobs) == len(set(jobs)) == 4
