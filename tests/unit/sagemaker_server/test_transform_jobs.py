"""Batch transform of the SageMaker server over the real model server (`python -m training serve`)."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sagemaker_server import Options
from tests.sagemaker_server.s3 import pack
from tests.support.sagemaker import TERMINAL, Studio, refused
from tests.support.small_bundles import write_binary

GROUP = "/aws/sagemaker/TransformJobs"
GOOD = b"8,100,true,AA\n18,900,false,UA\n"
BAD = b"8,100,true,AA\nnoon,100,true,AA\n"


@pytest.fixture
def options() -> Options:
    return Options(stop_seconds=5, drain_seconds=5)


@pytest.fixture
def studio(studio: Studio, tmp_path: Path) -> Studio:
    """With a model `m`: a small real bundle."""
    pack([write_binary(tmp_path / "bundle")], tmp_path / "model.tar.gz")
    studio.put("m/model.tar.gz", (tmp_path / "model.tar.gz").read_bytes())
    studio.model("m", "m/model.tar.gz")
    return studio


def request(studio: Studio, job: str = "t", **changes: Any) -> dict[str, Any]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": studio.uri("in/")}}
    return {
        "TransformJobName": job,
        "ModelName": "m",
        "TransformInput": {"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": studio.uri("out"), "Accept": "text/csv", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    } | changes


def transform(studio: Studio, **changes: Any) -> dict[str, Any]:
    studio.api.create_transform_job(**request(studio, **changes))
    return studio.until(
        lambda: studio.api.describe_transform_job(TransformJobName="t"),
        lambda found: found["TransformJobStatus"] in TERMINAL,
    )


def test_one_line_out_for_each_line_in(studio: Studio) -> None:
    studio.put("in/a.csv", GOOD)
    studio.put("in/deep/b.csv", BAD)
    found = transform(studio)
    assert (found["TransformJobStatus"], found.get("FailureReason")) == ("Completed", None)
    assert studio.keys("out/") == ["out/a.csv.out", "out/deep/b.csv.out"]
    assert len(studio.read("out/a.csv.out").splitlines()) == 2
    first, second = studio.read("out/deep/b.csv.out").splitlines()
    assert b"noon" in second
    assert b"noon" not in first
    told = [each["TransformJobStatus"] for each in studio.events("SageMaker Transform Job State Change")]
    assert told == ["InProgress"] * 2 + ["Completed"] * 2
    assert "phase=serving" in studio.server.logs.lines(GROUP, "t/")


def test_each_batch_is_a_request_and_the_records_come_in_order(studio: Studio) -> None:
    studio.put("in/a.csv", GOOD * 3)
    whole = transform(studio)
    assert whole["TransformJobStatus"] == "Completed"
    together = studio.read("out/a.csv.out")
    studio.api.create_transform_job(
        **request(studio, "single", BatchStrategy="SingleRecord", MaxConcurrentTransforms=3)
    )
    studio.until(
        lambda: studio.api.describe_transform_job(TransformJobName="single"),
        lambda found: found["TransformJobStatus"] == "Completed",
    )
    assert studio.read("out/a.csv.out") == together
    assert len(together.splitlines()) == 6


def test_results_joined_to_their_input(studio: Studio) -> None:
    studio.put("in/a.csv", GOOD)
    transform(studio, DataProcessing={"JoinSource": "Input", "OutputFilter": "$[0,3,-1]"})
    lines = [line.split(b",") for line in studio.read("out/a.csv.out").splitlines()]
    assert [line[:2] for line in lines] == [[b"8", b"AA"], [b"18", b"UA"]]
    assert all(len(line) == 3 for line in lines)


def test_json_lines_joined(studio: Studio) -> None:
    row = {"dep_hour": 8, "distance": 100, "weekend": True, "carrier": "AA"}
    studio.put("in/a.jsonl", json.dumps(row).encode() + b"\n")
    source = request(studio)["TransformInput"] | {"ContentType": "application/jsonlines"}
    target = request(studio)["TransformOutput"] | {"Accept": "application/jsonlines"}
    transform(studio, TransformInput=source, TransformOutput=target, DataProcessing={"JoinSource": "Input"})
    (line,) = studio.read("out/a.jsonl.out").splitlines()
    assert json.loads(line).keys() == row.keys() | {"SageMakerOutput"}


def test_a_body_the_container_refuses_fails_the_job(studio: Studio) -> None:
    studio.put("in/a.csv", b"what?")
    source = request(studio)["TransformInput"] | {"ContentType": "application/xml", "SplitType": "None"}
    found = transform(studio, TransformInput=source)
    assert found["FailureReason"] == "ClientError: See job logs for more information"
    studio.until_logged(GROUP, "Bad HTTP status received from algorithm: 415")
    assert studio.keys("out/") == []


def test_a_model_that_cannot_be_loaded_fails_the_job(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    pack([tmp_path / "empty"], tmp_path / "empty.tar.gz")
    studio.put("m/empty.tar.gz", (tmp_path / "empty.tar.gz").read_bytes())
    studio.model("empty", "m/empty.tar.gz")
    studio.put("in/a.csv", GOOD)
    assert transform(studio, ModelName="empty")["FailureReason"].startswith("AlgorithmError: ")


def test_a_record_over_the_payload(studio: Studio) -> None:
    studio.put("in/a.csv", b"1" * (2**20 + 10))
    assert "MaxPayloadInMB" in transform(studio, MaxPayloadInMB=1)["FailureReason"]


def test_stop(studio: Studio) -> None:
    studio.put("in/a.csv", GOOD)
    studio.api.create_transform_job(**request(studio))
    studio.api.stop_transform_job(TransformJobName="t")
    found = studio.until(
        lambda: studio.api.describe_transform_job(TransformJobName="t"),
        lambda found: found["TransformJobStatus"] in TERMINAL,
    )
    assert found["TransformJobStatus"] == "Stopped"
    assert studio.keys("out/") == []


def test_refusals(studio: Studio) -> None:
    create = studio.api.create_transform_job
    assert refused(create, **request(studio, ModelName="never"))[1].startswith("Could not find model ")
    assert "100 MB" in refused(create, **request(studio, MaxPayloadInMB=60, MaxConcurrentTransforms=2))[1]
    join = {"JoinSource": "Input", "InputFilter": "$"}
    lines = request(studio)["TransformOutput"] | {"AssembleWith": "None"}
    assert "JoinSource" in refused(create, **request(studio, DataProcessing=join, TransformOutput=lines))[1]
    odd = {"InputFilter": "$..[?(@.x)]"}
    assert refused(create, **request(studio, DataProcessing=odd))[0] == "NotServedHere"
    studio.put("in/a.csv", GOOD)
    transform(studio)
    assert refused(create, **request(studio))[0] == "ResourceInUse"
    assert [each["TransformJobName"] for each in studio.api.list_transform_jobs()["TransformJobSummaries"]] == ["t"]
