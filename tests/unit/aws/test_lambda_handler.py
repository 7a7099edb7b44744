"""The Lambda function's entry: which event reaches what, and how requests and answers pass."""

import base64
import gzip
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.domain.errors import BadRequest, Conflict, Invalid, NotFound
from mlops_api.domain.models import Approve
from mlops_api.lambda_entry import MOST_BYTES, LambdaEntry, UnknownEvent
from mlops_api.services.identity import GatewayIdentity
from tests.support.emulators import Cloud
from tests.support.lambda_events import http_event, object_created, rest_event, scheduled
from tests.support.manual_runners import event
from tests.support.platform import ANN, TestClock, World, processing_job, world_of
from tests.support.web import AUTHORIZED


@pytest.fixture
def here(moto: Cloud, tmp_path: Path) -> Iterator[World]:
    clock = TestClock()
    with closing(SqliteRecords(tmp_path / "records.sqlite3", now=lambda: clock().timestamp())) as records:
        yield world_of(tmp_path, records, clock, moto.metrics(clock), identity=GatewayIdentity("sub"))


@pytest.fixture
def entry(here: World) -> Iterator[LambdaEntry]:
    entry = LambdaEntry(here.platform, here.settings)
    yield entry
    entry.close()


def body(answer: dict[str, Any]) -> Any:
    content = answer["body"]
    return json.loads(base64.b64decode(content) if answer["isBase64Encoded"] else content)


# ---- requests


@pytest.mark.parametrize("make", [http_event, rest_event])
def test_requests_reach_the_app_and_the_caller_is_the_claims(here: World, entry: LambdaEntry, make: Any) -> None:
    request = {"name": "flights", "filename": "f.csv", "size_bytes": 3, "sha256": "0" * 64}
    answer = entry(make("POST", "/datasets", request, claims={"sub": "ann-1"}), None)
    assert answer["statusCode"] == 201, answer
    assert body(answer)["version"] == "flights:1"
    assert here.platform.datasets.get("flights:1").created_by == "ann-1"
    listed = entry(make("GET", "/datasets", query="limit=1", claims={"sub": "bob"}), None)
    assert [item["version"] for item in body(listed)["datasets"]] == ["flights:1"]


@pytest.mark.parametrize("make", [http_event, rest_event])
def test_headers_and_bodies_make_nobody_a_caller(entry: LambdaEntry, make: Any) -> None:
    headers = dict(AUTHORIZED) | {"x-amzn-oidc-identity": "eve", "cookie": "mlops_token=x"}
    answer = entry(make("GET", "/models", headers=headers, claims=None), None)
    assert answer["statusCode"] == 401
    assert "identity provider" in body(answer)["detail"]
    assert answer["headers"]["www-authenticate"] == "Bearer"


def test_no_link_sets_a_cookie(entry: LambdaEntry) -> None:
    answer = entry(http_event("GET", "/", query="token=x"), None)
    assert answer["statusCode"] == 307
    assert "cookies" not in answer
    assert "set-cookie" not in answer["headers"]


def test_health_needs_nobody(entry: LambdaEntry) -> None:
    answer = entry(http_event("GET", "/health/ready", claims=None), None)
    assert (answer["statusCode"], body(answer)) == (200, {"status": "ok"})
    assert answer["headers"]["x-content-type-options"] == "nosniff"


def test_another_host_is_refused(entry: LambdaEntry) -> None:
    assert entry(http_event("GET", "/models", headers={"host": "evil.example"}), None)["statusCode"] == 403


def test_a_body_in_base64_is_read(here: World, entry: LambdaEntry) -> None:
    request = json.dumps({"name": "flights", "filename": "f.csv", "size_bytes": 3, "sha256": "0" * 64})
    asked = http_event("POST", "/datasets", {}) | {"body": base64.b64encode(request.encode()).decode()}
    assert entry(asked | {"isBase64Encoded": True}, None)["statusCode"] == 201


def test_paths_with_colons_and_escapes(here: World, entry: LambdaEntry) -> None:
    version = here.ready().version
    assert entry(http_event("GET", f"/datasets/{version}"), None)["statusCode"] == 200
    assert entry(http_event("GET", "/datasets/flights%3A1"), None)["statusCode"] == 200


def test_errors_are_problems_in_plain_text(entry: LambdaEntry) -> None:
    answer = entry(http_event("GET", "/models/flights:9"), None)
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (404, False)
    assert json.loads(answer["body"])["request_id"] == answer["headers"]["x-request-id"]


# ---- large answers


def predictions(here: World, rows: int, word: str = "value") -> None:
    here.approved(deploy=True)
    content = json.dumps({"predictions": [{word: float(row)} for row in range(rows)]}).encode()
    here.host.answer = lambda *_: (200, content)


CLOSE = [(260_000, "value", 200), (280_000, "value", 413), (190_000, '"' * 6, 413)]
"""Rows, the name in each of them, and the status."""

PREDICT = {"model": "flights", "instances": [{}]}


def test_large_answers_are_compressed_for_who_accepts_it(here: World, entry: LambdaEntry) -> None:
    predictions(here, 200_000)
    answer = entry(http_event("POST", "/inference/predict", PREDICT, headers={"accept-encoding": "gzip"}), None)
    assert (answer["statusCode"], answer["headers"]["content-encoding"]) == (200, "gzip")
    assert len(answer["body"]) < MOST_BYTES / 4
    assert len(json.loads(gzip.decompress(base64.b64decode(answer["body"])))["predictions"]) == 200_000


def test_small_answers_are_not(here: World, entry: LambdaEntry) -> None:
    predictions(here, 10)
    answer = entry(http_event("POST", "/inference/predict", PREDICT, headers={"accept-encoding": "gzip"}), None)
    assert "content-encoding" not in answer["headers"]
    assert len(body(answer)["predictions"]) == 10


@pytest.mark.parametrize(
    ("rows", "word", "status"), [(260_000, "value", 200), (280_000, "value", 413), (190_000, '"' * 6, 413)]
)
def test_no_answer_is_larger_than_lambda_can_send(
    here: World, entry: LambdaEntry, rows: int, word: str, status: int
) -> None:
    """The last one fits as it is, and not once its quotation marks are escaped."""
    predictions(here, rows, word)
    answer = entry(http_event("POST", "/inference/predict", PREDICT), None)
    assert answer["statusCode"] == status
    assert len(json.dumps(answer)) <= MOST_BYTES
    if status == 413:
        assert "score in batch" in body(answer)["detail"]
        assert body(answer)["request_id"]


# ---- events


def test_each_event_reaches_its_service(here: World, entry: LambdaEntry) -> None:
    version = here.uploaded()
    job = processing_job(version)
    here.processing.end(job, "Failed", "out of memory")
    assert entry(event("processing", job), None) is None
    assert here.platform.datasets.get(version).status == "Rejected"
    trained = here.start(here.ready().version)
    here.training.end(trained.job, "Failed", "no")
    entry(event("training", trained.job), None)
    assert here.platform.training.get(trained.job).status == "Failed"


def test_batch_jobs_that_run_as_processing_jobs_are_settled(here: World, entry: LambdaEntry) -> None:
    here.approved(deploy=True)
    job = here.batch().transform_job
    here.transform.complete(job, b"row\n1\n", rows=1)
    entry(event("processing", job), None)
    assert here.platform.batch.get(job).status == "Completed"


def test_a_completion_that_was_cut_off_goes_on_when_the_file_appears(here: World, entry: LambdaEntry) -> None:
    created = here.create()
    parts = here.send(created).parts
    here.objects.complete_upload(_upload_id(here, created.version), [(part.part_number, part.etag) for part in parts])
    for _ in range(3):
        entry(object_created("datasets/flights/1/raw"), None)
    assert here.platform.datasets.get(created.version).status == "Validating"
    assert here.processing.starts == {"flights-v1": 1}
    actions = [entry.action for entry in here.platform.activity.page(after=None, limit=9, token=None).activity]
    assert actions.count("dataset.complete") == 1


def _upload_id(here: World, version: str) -> str:
    return here.records.get("dataset", version).data["upload_id"]


@pytest.mark.parametrize(
    "key",
    [
        "datasets/flights/1/raw",
        "datasets/flights/9/raw",
        "datasets/flights/1/table/data.parquet",
        "x",
        "training/a/output/model.tar.gz",
    ],
)
def test_other_objects_change_nothing(here: World, entry: LambdaEntry, key: str) -> None:
    created = here.create()  # nothing was sent: whoever says that the file is there is wrong
    entry(object_created(key), None)
    assert here.platform.datasets.get(created.version).status == "AwaitingUpload"


def test_the_schedule_tidies(here: World, entry: LambdaEntry) -> None:
    here.training.lost = RuntimeError("the process died")
    version = here.ready().version
    with pytest.raises(RuntimeError):
        here.start(version)
    here.training.lost = None
    abandoned = here.create("other").version
    here.clock.pass_time(days=2)
    assert entry(scheduled(), None) is None
    assert len(here.training.specs) == 1
    with pytest.raises(NotFound):
        here.platform.datasets.get(abandoned)


@pytest.mark.parametrize(
    "unknown",
    [
        {},
        {"Records": []},
        {"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification", "detail": {}},
        {"source": "mallory", "detail-type": "SageMaker Training Job State Change", "detail": {"TrainingJobName": "x"}},
        {"source": "mallory", "detail-type": "Scheduled Event", "detail": {}},
    ],
)
def test_unknown_events_are_errors(entry: LambdaEntry, unknown: dict[str, Any]) -> None:
    with pytest.raises(UnknownEvent, match="No reaction"):
        entry(unknown, None)


# ---- Step Functions


def test_tasks_start_and_follow(here: World, entry: LambdaEntry) -> None:
    version = here.ready().version
    assert entry({"task": "dataset", "version": version}, None)["status"] == "Ready"
    request = {"dataset": version, "target": "late", "algorithm": "xgboost", "model": "flights"}
    started = [entry({"task": "start_training", "key": "execution-1", "request": request}, None) for _ in range(3)]
    assert len({job["job"] for job in started}) == len(here.training.specs) == 1
    job = started[0]["job"]
    here.completed(job)
    assert entry({"task": "training_job", "job": job}, None)["model_version"] == "flights:1"
    assert started[0]["created_by"] == "platform"
    here.platform.registry.approve(ANN, "flights:1", Approve(deploy=True), None)
    assert entry({"task": "endpoint", "endpoint": "flights"}, None)["status"] == "Creating"
    batch = {"model": "flights:1", "input": version}
    done = [entry({"task": "start_batch", "key": "execution-1", "request": batch}, None) for _ in range(3)]
    assert len({job["transform_job"] for job in done}) == 1
    assert entry({"task": "batch_job", "job": done[0]["transform_job"]}, None)["status"] == "InProgress"
    assert entry({"task": "tidy"}, None) is None


@pytest.mark.parametrize(
    ("task", "error", "words"),
    [
        ({"task": "approve", "version": "flights:1"}, BadRequest, "known: prepare, preprocess"),
        ({"task": "dataset"}, Invalid, "version: Field required"),
        ({"task": "dataset", "version": "flights:9"}, NotFound, "flights:9"),
        ({"task": "tidy", "force": True}, Invalid, "force"),
        ({"task": "start_training", "key": "", "request": {}}, Invalid, "request.dataset"),
    ],
)
def test_wrong_tasks_say_what_is_wrong(entry: LambdaEntry, task: dict[str, Any], error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        entry(task, None)


def test_a_task_fails_by_the_name_of_its_error(here: World, entry: LambdaEntry) -> None:
    version = here.create().version
    request = {"dataset": version, "target": "late", "algorithm": "xgboost", "model": "flights"}
    with pytest.raises(Conflict, match="AwaitingUpload"):
        entry({"task": "start_training", "key": "k", "request": request}, None)
