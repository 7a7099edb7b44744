"""Processing jobs of the SageMaker server, with boto3 on the wire."""

import sys
from typing import Any

import pytest

from tests.sagemaker_server import Options
from tests.support.sagemaker import IMAGE, ROLE, TERMINAL, Studio, refused

PROGRAM = """
import os, pathlib, sys, time
root = pathlib.Path(sys.argv[1])
out = root / "output"
for step in sys.argv[2:]:
    name, _, value = step.partition(":")
    if name == "copy":
        for path in sorted((root / "input").rglob("*")):
            if path.is_file():
                target = out / path.relative_to(root / "input")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(path.read_bytes())
    elif name == "write":
        (out / value).write_text(value)
    elif name == "message":
        (root.parent / "output" / "message").write_text(value)
    elif name == "print":
        print(value, os.environ["STAGE"], flush=True)
    elif name == "sleep":
        time.sleep(float(value))
    elif name == "exit":
        sys.exit(int(value))
"""
CHANGE = "SageMaker Processing Job State Change"


@pytest.fixture
def options() -> Options:
    return Options(entry_point=(sys.executable, "-c", PROGRAM), stop_seconds=2, checkpoint_seconds=0.1)


def request(studio: Studio, job: str, *steps: str, mode: str = "EndOfJob", **changes: Any) -> dict[str, Any]:
    source = {"S3Uri": studio.uri("raw/"), "LocalPath": "/opt/ml/processing/input/raw", "S3DataType": "S3Prefix"}
    target = {"S3Uri": studio.uri(f"out/{job}"), "LocalPath": "/opt/ml/processing/output", "S3UploadMode": mode}
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10}
    return {
        "ProcessingJobName": job,
        "ProcessingInputs": [{"InputName": "raw", "S3Input": source | {"S3InputMode": "File"}}],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": target}]},
        "ProcessingResources": {"ClusterConfig": cluster},
        "AppSpecification": {"ImageUri": IMAGE, "ContainerArguments": ["/opt/ml/processing", *steps]},
        "Environment": {"STAGE": "test"},
        "RoleArn": ROLE,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    } | changes


def process(studio: Studio, *steps: str, job: str = "p", **changes: Any) -> dict[str, Any]:
    studio.put("raw/deep/rows.csv", b"1\n2\n")
    studio.api.create_processing_job(**request(studio, job, *steps, **changes))
    return ended(studio, job)


def ended(studio: Studio, job: str) -> dict[str, Any]:
    return studio.until(
        lambda: studio.api.describe_processing_job(ProcessingJobName=job),
        lambda found: found["ProcessingJobStatus"] in TERMINAL,
    )


def test_inputs_reach_the_container_and_outputs_the_bucket(studio: Studio) -> None:
    found = process(studio, "copy", "print:hello", "write:report.json")
    assert (found["ProcessingJobStatus"], found.get("FailureReason")) == ("Completed", None)
    assert studio.read("out/p/raw/deep/rows.csv") == b"1\n2\n"
    assert studio.read("out/p/report.json") == b"report.json"
    assert studio.server.logs.lines("/aws/sagemaker/ProcessingJobs", "p/algo-1-") == ["hello test"]
    assert [each["ProcessingJobStatus"] for each in studio.events(CHANGE)] == ["InProgress"] * 2 + ["Completed"] * 2


def test_a_failure_tells_only_what_was_left_as_a_message(studio: Studio) -> None:
    found = process(studio, "message:no such column", "write:half", "exit:3")
    assert found["ProcessingJobStatus"] == "Failed"
    assert found["FailureReason"] == "AlgorithmError: See job logs for more information"
    assert found["ExitMessage"] == "no such column"
    assert studio.keys("out/") == []


def test_continuous_outputs_arrive_while_the_job_runs(studio: Studio) -> None:
    studio.put("raw/rows.csv", b"1\n")
    studio.api.create_processing_job(**request(studio, "p", "write:early", "sleep:30", mode="Continuous"))
    studio.until(lambda: {"keys": studio.keys("out/")}, lambda found: found["keys"] == ["out/p/early"])
    studio.api.stop_processing_job(ProcessingJobName="p")
    assert ended(studio, "p")["ProcessingJobStatus"] == "Stopped"


def test_max_runtime(studio: Studio) -> None:
    found = process(studio, "sleep:30", StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert found["ProcessingJobStatus"] == "Stopped"
    assert (found["ProcessingEndTime"] - found["ProcessingStartTime"]).total_seconds() >= 1


def test_input_that_is_not_there_fails_the_job(studio: Studio) -> None:
    studio.api.create_processing_job(**request(studio, "p"))
    assert ended(studio, "p")["FailureReason"].startswith("ClientError: No S3 objects found under S3 URL")


def test_refusals(studio: Studio) -> None:
    process(studio, "write:x")
    code, message = refused(studio.api.create_processing_job, **request(studio, "p"))
    assert (code, message[:26]) == ("ResourceInUse", "Job Name must be unique wi")
    assert refused(studio.api.stop_processing_job, ProcessingJobName="p")[1].endswith("is in status Completed.")
    unknown = {"ProcessingJobName": "never"}
    assert "Could not find requested job" in refused(studio.api.describe_processing_job, **unknown)[1]
    assert "Could not find job to update" in refused(studio.api.stop_processing_job, **unknown)[1]
    outside = request(studio, "q")
    outside["ProcessingInputs"][0]["S3Input"]["LocalPath"] = "/etc"
    assert refused(studio.api.create_processing_job, **outside)[0] == "ValidationException"
