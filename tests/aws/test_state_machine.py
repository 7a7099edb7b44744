"""infra/pipeline.asl.json executed: by the emulator, with the worker in Lambda's runtime, and real jobs.

Only the Resource of `.sync` states is another than in the file; see support/sync_shim. Waits before a retry are a
fiftieth of what the file says.
"""

import hashlib
import random
import secrets
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from mlops_api.client import MLOps, NotFound
from mlops_api.domain.datasets import CreateDataset
from mlops_api.domain.pipelines import ENDED, STEPS, Execution, Recipe
from mlops_api.ports import TrainingSpec
from mlops_api.services.platform import Platform
from mlops_api.services.principal import Principal
from tests.support.aws_server import AwsServer
from tests.support.lambda_events import object_created
from tests.support.local_storage import wait_for
from tests.support.server import PENGUINS

pytestmark = pytest.mark.aws

ANN = Principal("ann")
ONE = Recipe(target="species", algorithms=["random_forest"])
TWO = Recipe(target="species", algorithms=["random_forest", "logistic_regression"])


@pytest.fixture(scope="module")
def platform(aws: AwsServer) -> Iterator[Platform]:
    with aws.platform() as platform:
        yield platform


@pytest.fixture(scope="module")
def client(aws: AwsServer) -> Iterator[MLOps]:
    with aws.client() as client:
        yield client


@pytest.fixture
def name() -> str:
    """Of a dataset of this test alone."""
    return f"birds-{secrets.token_hex(4)}"


def ended(platform: Platform, execution: str, seconds: float = 150) -> Execution:
    deadline = time.monotonic() + seconds
    while (found := platform.pipelines.get(execution)).status not in ENDED:
        assert time.monotonic() < deadline, found
        time.sleep(0.3)
    return found


def upload(client: MLOps, name: str, content: Any = PENGUINS) -> str:
    """The execution that it starts."""
    client.datasets.upload(content, name=name, wait=False)
    return f"{name}-v1"


def trained(platform: Platform, client: MLOps, name: str, recipe: Recipe) -> Execution:
    platform.pipelines.recipes.put(ANN, name, recipe)
    return ended(platform, upload(client, name))


def statuses(execution: Execution) -> Mapping[str, str]:
    return {step.name: step.status for step in execution.steps}


def test_an_upload_leads_to_candidates_and_a_comparison(platform: Platform, client: MLOps, name: str) -> None:
    execution = trained(platform, client, name, Recipe(target="species"))
    assert execution.status == "SUCCEEDED", execution
    assert [step.name for step in execution.steps] == list(STEPS)
    assert set(statuses(execution).values()) == {"SUCCEEDED"}
    assert [candidate.status for candidate in execution.candidates] == ["Completed"] * 3
    assert execution.comparison is not None
    assert execution.comparison.candidate == execution.model_version
    version = platform.registry.get(str(execution.model_version))
    assert version.approval_status == "PendingManualApproval"
    times = [(step.entered_at, step.exited_at) for step in execution.steps]
    flat = [moment for pair in times for moment in pair if moment is not None]
    assert flat == sorted(flat)
    assert len(flat) == 2 * len(STEPS)
    by_name = {step.name: step for step in execution.steps}
    assert by_name["CheckQuality"].output == {
        "dataset": f"{name}:1", "rows": 344, "columns": 8, "warnings": by_name["CheckQuality"].output["warnings"],
        "train": True,
    }  # fmt: skip
    assert by_name["Prepare"].output["engine"] == "sagemaker"
    assert by_name["Train"].output["candidates"] == [
        {"job": each.job, "status": "Completed", "model_version": each.model_version} for each in execution.candidates
    ]


def test_without_a_recipe_it_ends_behind_the_verdict(platform: Platform, client: MLOps, name: str) -> None:
    execution = ended(platform, upload(client, name))
    assert execution.status == "SUCCEEDED"
    assert [step.name for step in execution.steps] == list(STEPS[:3])
    assert client.datasets.get(f"{name}:1").status == "Ready"


def test_a_refused_table_fails_it_and_says_where(platform: Platform, client: MLOps, name: str) -> None:
    platform.pipelines.recipes.put(ANN, name, ONE)
    execution = ended(platform, upload(client, name, b"a,b\n1,2\n3\n4,5\n"))
    assert (execution.status, execution.error) == ("FAILED", "DatasetRejected")
    assert "ragged_row" in str(execution.cause)
    assert "row" in str(execution.cause)
    assert statuses(execution)["CheckQuality"] == "FAILED"
    step = next(step for step in execution.steps if step.name == "CheckQuality")
    assert (step.error, step.cause) == ("DatasetRejected", execution.cause)
    assert statuses(execution)["RecordFailure"] == "SUCCEEDED"
    assert client.datasets.get(f"{name}:1").status == "Rejected"


def test_one_failed_candidate_does_not_fail_the_others(
    aws: AwsServer, platform: Platform, client: MLOps, name: str
) -> None:
    aws.sagemaker.faults.no_capacity(f"{name}-v1-random-forest-1")
    execution = trained(platform, client, name, TWO)
    assert execution.status == "SUCCEEDED"
    assert [candidate.status for candidate in execution.candidates] == ["Failed", "Completed"]
    assert "apacity" in str(execution.candidates[0].failure_reason)
    assert execution.model_version == execution.candidates[1].model_version


def test_a_name_that_is_somebody_else_s_fails_its_candidate(
    aws: AwsServer, platform: Platform, client: MLOps, name: str
) -> None:
    platform.pipelines.recipes.put(ANN, name, ONE)
    taken = f"{name}-v1-logistic-regression-2"
    with aws.stack() as stack:
        theirs = TrainingSpec(taken, {}, "nothing", "elsewhere", 60)
        stack.objects.put("nothing/x", b"x")
        stack.training.start(theirs)
    execution = trained(platform, client, name, TWO)
    assert execution.status == "SUCCEEDED", execution
    assert [candidate.status for candidate in execution.candidates] == ["Completed", "Failed"]
    assert "not of this platform" in str(execution.candidates[1].failure_reason)


def test_an_execution_by_hand_trains_and_validates_nothing_again(
    aws: AwsServer, platform: Platform, client: MLOps, name: str
) -> None:
    ended(platform, upload(client, name))
    platform.pipelines.recipes.put(ANN, name, ONE)
    execution = ended(platform, client.pipelines.start(f"{name}:1").execution)
    assert (execution.execution, execution.status) == (f"{name}-v1-2", "SUCCEEDED")
    assert [step.name for step in execution.steps] == list(STEPS)
    assert [candidate.status for candidate in execution.candidates] == ["Completed"]
    jobs = [each["ProcessingJobName"] for each in aws.sagemaker.requests_of("CreateProcessingJob")]
    assert jobs.count(f"{name}-v1") == 1


def test_when_all_fail_it_fails(aws: AwsServer, platform: Platform, client: MLOps, name: str) -> None:
    aws.sagemaker.faults.no_capacity(f"{name}-v1-random-forest-1")
    execution = trained(platform, client, name, ONE)
    assert (execution.status, execution.error) == ("FAILED", "NoCandidate")
    assert f"{name}-v1-random-forest-1" in str(execution.cause)
    assert statuses(execution)["Evaluate"] == "FAILED"


def test_a_job_whose_answer_was_lost_is_gone_on_with(
    aws: AwsServer, platform: Platform, client: MLOps, name: str
) -> None:
    """The retry finds the name in use; there is one job of each name, and its outcome is the execution's."""
    for operation in ("CreateProcessingJob", "CreateTrainingJob"):
        aws.sagemaker.faults.lose_answers(1, operation)
    execution = trained(platform, client, name, ONE)
    assert execution.status == "SUCCEEDED", execution
    assert [candidate.status for candidate in execution.candidates] == ["Completed"]
    made = [
        request.get("ProcessingJobName") or request["TrainingJobName"]
        for operation in ("CreateProcessingJob", "CreateTrainingJob")
        for request in aws.sagemaker.requests_of(operation)
    ]
    assert (made.count(f"{name}-v1"), made.count(f"{name}-v1-random-forest-1")) == (2, 2)


def test_throttling_is_waited_out(aws: AwsServer, platform: Platform, client: MLOps, name: str) -> None:
    for operation in ("CreateProcessingJob", "CreateTrainingJob", "DescribeTrainingJob"):
        aws.sagemaker.faults.throttle(2, operation)
    execution = trained(platform, client, name, ONE)
    assert execution.status == "SUCCEEDED", execution


def test_stop_ends_it_and_the_job_that_runs(platform: Platform, client: MLOps, name: str) -> None:
    large = {"random_forest": {"n_estimators": 2000, "min_samples_leaf": 1}}
    platform.pipelines.recipes.put(ANN, name, ONE.model_copy(update={"hyperparameters": large}))
    execution, job = upload(client, name), f"{name}-v1-random-forest-1"
    wait_for(lambda: begun(client, job), 60)
    stopped = client.pipelines.stop(execution)
    assert stopped.status == "ABORTED"
    assert statuses(stopped)["Train"] == "ABORTED"
    wait_for(lambda: client.training.get(job).status == "Stopped", 60)
    assert [step.name for step in platform.pipelines.get(execution).steps if step.status != "PENDING"] == list(
        STEPS[:5]
    )
    assert [version.version for version in client.models.list(model=name)] == []


def begun(client: MLOps, job: str) -> bool:
    try:
        return client.training.get(job).secondary_status == "Training"
    except NotFound:
        return False


def test_the_requests_are_those_of_the_runners(aws: AwsServer, platform: Platform, client: MLOps, name: str) -> None:
    """The state machine passes them on word for word."""
    execution = trained(platform, client, name, ONE)
    sent = {each["TrainingJobName"]: each for each in aws.sagemaker.requests_of("CreateTrainingJob")}
    spec = platform.training.spec(execution.candidates[0].job)
    with aws.stack() as stack:
        now = stack.requests.train(spec).request
    then = sent[spec.job]
    for request in (then, now):
        request["HyperParameters"].pop("job_problem_type")  # known, by now, from the job's end
    assert then == now


def test_a_hundred_events_in_any_order_are_one_execution_each(
    aws: AwsServer, platform: Platform, client: MLOps, name: str
) -> None:
    """Of an upload that was cut off, of two files dropped under one key, and of what the platform wrote itself;
    beside those that S3 sends to the worker."""
    cut_off(aws, platform, name)
    for _ in range(2):
        aws.drop(f"{name}-dropped", PENGUINS)
    keys = [f"datasets/{name}/1/raw", f"inbox/{name}-dropped/{PENGUINS.name}", f"datasets/{name}/1/table/dataset.json"]
    events = [object_created(key) for key in keys for _ in range(34)]
    random.Random(20261125).shuffle(events)  # noqa: S311 - an order, no secret
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(aws.function.invoke, events))
    executions = [f"{name}-v1", f"{name}-dropped-v1", f"{name}-dropped-v2"]
    assert [ended(platform, each).status for each in executions] == ["SUCCEEDED"] * 3
    begun = [each for each in aws.workflow.executions() if name in each]
    assert sorted(begun) == sorted(executions)
    jobs = [each["ProcessingJobName"] for each in aws.sagemaker.requests_of("CreateProcessingJob")]
    assert [jobs.count(each) for each in executions] == [1, 1, 1]
    assert {each.version for each in client.datasets.list(name=f"{name}-dropped")} == {
        f"{name}-dropped:1", f"{name}-dropped:2",
    }  # fmt: skip


def cut_off(aws: AwsServer, platform: Platform, name: str) -> None:
    """An upload whose parts are put together, and nobody says so."""
    content = PENGUINS.read_bytes()
    request = CreateDataset(
        name=name, filename=PENGUINS.name, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()
    )
    created = platform.datasets.create(ANN, request, None)
    assert created.upload is not None
    [part] = created.upload.parts
    sent = httpx.put(part.url, content=content, headers=dict(part.headers))
    upload_id = platform.records.get("dataset", created.version).data["upload_id"]
    with aws.stack() as stack:
        stack.objects.complete_upload(upload_id, [(1, sent.headers["etag"])])
