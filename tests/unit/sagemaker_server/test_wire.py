"""Protocols, faults, events and logs of the SageMaker server."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from tests.sagemaker_server import Options, Refusal, SageMakerServer, event_bus, posted
from tests.sagemaker_server.log_groups import MAX_EVENT_BYTES, LogGroups
from tests.support.sagemaker import Studio, client, refused

GROUP = "/aws/sagemaker/TrainingJobs"


# --------------------------------------------------------------------------- requests


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        ({}, b"{}", 404, "UnknownOperationException"),
        ({"X-Amz-Target": "SageMaker.ListTrainingJobs"}, b"{}", 403, "MissingAuthenticationTokenException"),
        ({"X-Amz-Target": "SageMaker.Fly", "region": "eu-central-1"}, b"{}", 404, "UnknownOperationException"),
        (
            {"X-Amz-Target": "SageMaker.ListTrainingJobs", "region": "us-west-1"},
            b"{}",
            403,
            "InvalidSignatureException",
        ),
        ({"X-Amz-Target": "SageMaker.ListTrainingJobs", "region": "eu-central-1"}, b"[", 400, "SerializationException"),
        (
            {"X-Amz-Target": "SageMaker.ListTrainingJobs", "region": "eu-central-1"},
            b'{"MaxResults": 101}',
            400,
            "ValidationException",
        ),
        (
            {"X-Amz-Target": "SageMaker.ListTrainingJobs", "region": "eu-central-1"},
            b'{"MaxResult": 1}',
            400,
            "ValidationException",
        ),
        ({"X-Amz-Target": "SageMaker.ListDomains", "region": "eu-central-1"}, b"{}", 501, "NotServedHere"),
    ],
)
def test_requests_that_are_no_requests(
    studio: Studio, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    sent = {name: value for name, value in headers.items() if name != "region"}
    if "region" in headers:
        scope = f"test/20261122/{headers['region']}/sagemaker/aws4_request"
        sent["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    found = httpx.post(studio.server.url, headers=sent, content=body)
    assert (found.status_code, found.json()["__type"]) == (status, code)


def test_a_reply_that_sagemaker_would_not_give_is_a_bug_of_the_server(s3: Any) -> None:
    stack = ExitStack()
    server = stack.enter_context(SageMakerServer(s3))
    server._operations["ListTrainingJobs"] = lambda _: {"TrainingJobSummaries": [{"TrainingJobName": "j"}]}
    with closing(client("sagemaker", server.url)) as api:
        assert refused(api.list_training_jobs)[0] == "InternalFailure"
    with pytest.raises(RuntimeError, match="TrainingJobSummaries"):
        stack.close()


def test_requests_are_kept_for_the_test(studio: Studio) -> None:
    studio.api.list_training_jobs(MaxResults=3)
    assert studio.server.requests_of("ListTrainingJobs") == [{"MaxResults": 3}]


# --------------------------------------------------------------------------- faults


def test_throttles_are_counted(studio: Studio) -> None:
    studio.server.faults.throttle(2, "ListTrainingJobs")
    for _ in range(2):
        assert refused(studio.api.list_training_jobs) == ("ThrottlingException", "Rate exceeded")
    assert studio.api.list_models()["Models"] == []
    assert studio.api.list_training_jobs()["TrainingJobSummaries"] == []


def test_botocore_absorbs_throttles(studio: Studio) -> None:
    patient = Config(retries={"mode": "standard", "total_max_attempts": 3})
    studio.server.faults.throttle(2)
    with closing(client("sagemaker", studio.server.url, patient)) as api:
        assert api.list_training_jobs()["TrainingJobSummaries"] == []
    assert len(studio.server.requests_of("ListTrainingJobs")) == 3


def test_any_refusal_can_be_planned(studio: Studio) -> None:
    limit = "The account-level service limit 'ml.m5.large for training job usage' is 0 Instances"
    studio.server.faults.refuse(1, Refusal("ResourceLimitExceeded", limit), "CreateTrainingJob")
    assert refused(studio.api.create_training_job, **studio.training_request("j")) == ("ResourceLimitExceeded", limit)


def test_faults_by_http(studio: Studio) -> None:
    with httpx.Client(base_url=studio.server.url + "/_control/") as control:
        assert control.post("throttle", json={"calls": 1}).status_code == 200
        assert refused(studio.api.list_models)[0] == "ThrottlingException"
        assert control.post("interrupt", json={"job": "never"}).json()["message"] == "no job 'never'"
        assert "there are: throttle" in control.post("explode", json={}).json()["message"]


# --------------------------------------------------------------------------- events


def register(server: SageMakerServer) -> None:
    """Something that gives an event."""
    with closing(client("sagemaker", server.url)) as api:
        api.create_model_package_group(ModelPackageGroupName="g")
        api.create_model_package(ModelPackageGroupName="g")
    server.settle()


def test_an_event_comes_again_when_its_receiver_failed(s3: Any) -> None:
    seen: list[str] = []

    def receive(event: Any) -> None:
        seen.append(event["id"])
        if len(seen) < 3:
            raise ConnectionError("down")

    with SageMakerServer(s3, Options(events=receive, events_per_change=1)) as server:
        register(server)
        assert len(seen) == 3
        assert len(set(seen)) == 1
        assert [each["id"] for each in server.events] == seen[:1]


def test_events_can_be_posted(s3: Any) -> None:
    with receiver() as (url, bodies), SageMakerServer(s3, Options(events=posted(url))) as server:
        register(server)
        assert [json.loads(each) for each in bodies] == server.events
        assert [each["detail-type"] for each in server.events] == ["SageMaker Model Package State Change"] * 2


def test_events_can_go_to_a_bus() -> None:
    event = {"source": "aws.sagemaker", "detail-type": "X", "detail": {"a": 1}, "resources": ["arn:aws:x"]}
    entry = {"Source": "aws.sagemaker", "DetailType": "X", "Detail": '{"a": 1}', "Resources": ["arn:aws:x"]}
    with closing(client("events", "http://127.0.0.1:1")) as bus, Stubber(bus) as stubber:
        stubber.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{}]}, {"Entries": [entry]})
        event_bus(bus)(event)
        stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "Throttled"}]})
        with pytest.raises(RuntimeError, match="Throttled"):
            event_bus(bus)(event)


@contextmanager
def receiver() -> Iterator[tuple[str, list[bytes]]]:
    """A URL that takes POSTs, and what came. The first is answered by 503."""
    bodies: list[bytes] = []
    statuses = [503]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = statuses.pop() if statuses else 204
            if status == 204:
                bodies.append(body)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", bodies
        server.shutdown()
        thread.join()


# --------------------------------------------------------------------------- logs


def test_log_events_page_forward_until_the_token_stays(studio: Studio) -> None:
    stream = studio.server.logs.stream(GROUP, "j/algo-1-1")
    for number in range(25):
        stream.append(f"line {number}")
    lines: list[str] = []
    token: dict[str, Any] = {}
    while True:
        found = studio.logs.get_log_events(
            logGroupName=GROUP, logStreamName="j/algo-1-1", startFromHead=True, limit=10, **token
        )
        if token.get("nextToken") == found["nextForwardToken"]:
            break
        lines += [each["message"] for each in found["events"]]
        token = {"nextToken": found["nextForwardToken"]}
    assert lines == [f"line {number}" for number in range(25)]
    newest = studio.logs.get_log_events(logGroupName=GROUP, logStreamName="j/algo-1-1", limit=2)
    assert [each["message"] for each in newest["events"]] == ["line 23", "line 24"]
    before = studio.logs.get_log_events(
        logGroupName=GROUP, logStreamName="j/algo-1-1", limit=2, nextToken=newest["nextBackwardToken"]
    )
    assert [each["message"] for each in before["events"]] == ["line 21", "line 22"]


def test_streams_by_prefix_and_what_is_not_there(studio: Studio) -> None:
    for name in ("a/algo-1-1", "a/algo-2-1", "b/algo-1-1"):
        studio.server.logs.stream(GROUP, name).append("x")
    found = studio.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="a/")["logStreams"]
    assert [each["logStreamName"] for each in found] == ["a/algo-1-1", "a/algo-2-1"]
    assert refused(studio.logs.describe_log_streams, logGroupName="none") == (
        "ResourceNotFoundException",
        "The specified log group does not exist.",
    )
    assert refused(studio.logs.get_log_events, logGroupName=GROUP, logStreamName="none")[0] == (
        "ResourceNotFoundException"
    )
    wrong = {"logGroupName": GROUP, "logStreamName": "a/algo-1-1", "nextToken": "x"}
    assert refused(studio.logs.get_log_events, **wrong)[0] == "InvalidParameterException"


def test_filtered_events_are_merged_by_time(studio: Studio) -> None:
    for name in ("a/algo-1-1", "a/algo-2-1"):
        studio.server.logs.stream(GROUP, name).append(name)
    pages = studio.logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, logStreamNamePrefix="a/", PaginationConfig={"PageSize": 1}
    )
    assert [each["message"] for page in pages for each in page["events"]] == ["a/algo-1-1", "a/algo-2-1"]


def test_lines_are_split_and_dropped_as_the_log_driver_does() -> None:
    stream = LogGroups("r", "1").stream("g", "s")
    stream.append("")
    stream.append("x" * (MAX_EVENT_BYTES + 1))
    assert [len(each.message) for each in stream.events] == [MAX_EVENT_BYTES, 1]


# --------------------------------------------------------------------------- concurrency


def test_of_many_callers_one_creates_the_job(studio: Studio) -> None:
    studio.put("data/rows.csv", b"1\n")
    outcomes: list[str] = []

    def create() -> None:
        try:
            studio.api.create_training_job(**studio.training_request("j"))
            outcomes.append("created")
        except ClientError as error:
            outcomes.append(str(error.response["Error"]["Code"]))

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["ResourceInUse"] * 7 + ["created"]
    assert studio.trained("j")["TrainingJobStatus"] == "Completed"
