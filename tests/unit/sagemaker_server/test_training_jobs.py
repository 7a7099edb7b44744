"""Training jobs of the SageMaker server, with boto3 on the wire."""

import io
import json
import tarfile
import time
from datetime import datetime
from typing import Any

import pytest

from tests.support.sagemaker import Studio, refused

CHANGE = "SageMaker Training Job State Change"
METRICS = [
    {"Name": "validation:auc", "Regex": r"#metric validation:auc=([0-9.]+);"},
    {"Name": "progress", "Regex": r"#metric progress=([0-9.]+);"},
]


def secondaries(found: dict[str, Any]) -> list[str]:
    return [each["Status"] for each in found["SecondaryStatusTransitions"]]


def archive(studio: Studio, job: str) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(studio.read(f"models/{job}/output/model.tar.gz"))) as tar:
        return {each.name: tar.extractfile(each).read() for each in tar.getmembers()}  # type: ignore[union-attr] # all are files


def test_a_job_from_starting_to_its_archive(studio: Studio) -> None:
    studio.train("j", "model")
    found = studio.trained("j")
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == ("Completed", "Completed")
    assert secondaries(found) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert found["ModelArtifacts"]["S3ModelArtifacts"] == studio.uri("models/j/output/model.tar.gz")
    assert archive(studio, "j") == {"a.bin": b"weights", "manifest.json": b"{}", "model-card.md": b"# Card"}
    times = [found[name] for name in ("CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime")]
    assert times == sorted(times)
    assert all(isinstance(each, datetime) for each in times)


def test_the_container_sees_what_sagemaker_gives_it(studio: Studio) -> None:
    studio.put("data/rows.csv", b"1\n")
    studio.put("data/more/part.csv", b"2\n")
    studio.train("j", "env files model", Environment={"STAGE": "test"})
    studio.trained("j")
    lines = studio.server.logs.lines("/aws/sagemaker/TrainingJobs", "j/algo-1-")
    environment = json.loads(next(each for each in lines if each.startswith("env "))[4:])
    assert environment["TRAINING_JOB_NAME"] == "j"
    assert environment["TRAINING_JOB_ARN"].endswith(":training-job/j")
    assert environment["STAGE"] == "test"
    assert not any(name.startswith("AWS_") and name != "AWS_REGION" for name in environment)
    assert lines[-2:] == ["more/part.csv", "rows.csv"]


def test_metrics_are_what_the_requests_expressions_find(studio: Studio) -> None:
    algorithm = studio.training_request("j")["AlgorithmSpecification"] | {"MetricDefinitions": METRICS}
    do = "metric:validation:auc=0.5 metric:validation:auc=0.75 metric:validation:f1=0.1 metric:progress=1 model"
    studio.train("j", do, AlgorithmSpecification=algorithm)
    found = {each["MetricName"]: each["Value"] for each in studio.trained("j")["FinalMetricDataList"]}
    assert found == {"validation:auc": 0.75, "progress": 1.0}


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ("fail:no-such-target", "AlgorithmError: no-such-target, exit code: 1"),
        ("exit:3", "AlgorithmError: , exit code: 3"),
        ("signal:9", "AlgorithmError: , exit code: 137"),
    ],
)
def test_a_failure_in_sagemakers_words(studio: Studio, do: str, reason: str) -> None:
    studio.train("j", do)
    found = studio.trained("j")
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == ("Failed", "Failed")
    assert found["FailureReason"] == reason
    assert studio.keys("models/") == []
    assert studio.events(CHANGE)[-1]["FailureReason"] == reason


def test_stop_keeps_what_the_job_left(studio: Studio) -> None:
    studio.train("j", "model print:begun sleep:30")
    studio.until_logged("/aws/sagemaker/TrainingJobs", "begun")
    studio.api.stop_training_job(TrainingJobName="j")
    assert studio.training("j")["TrainingJobStatus"] in ("Stopping", "Stopped")
    found = studio.trained("j")
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert secondaries(found)[-3:] == ["Stopping", "Uploading", "Stopped"]
    assert "a.bin" in archive(studio, "j")
    assert refused(studio.api.stop_training_job, TrainingJobName="j") == (
        "ValidationException",
        "The request was rejected because the training job is in status Stopped.",
    )


def test_a_job_that_ignores_sigterm_is_killed(studio: Studio) -> None:
    object.__setattr__(studio.server.options, "stop_seconds", 0.3)
    studio.train("j", "ignore-term print:begun sleep:30")
    studio.until_logged("/aws/sagemaker/TrainingJobs", "begun")
    studio.api.stop_training_job(TrainingJobName="j")
    assert studio.trained("j")["TrainingJobStatus"] == "Stopped"
    assert studio.keys("models/") == []


def test_what_a_container_left_behind_ends_with_it(studio: Studio) -> None:
    studio.train("j", "child model")
    began = time.monotonic()
    assert studio.trained("j")["TrainingJobStatus"] == "Completed"
    assert time.monotonic() - began < 20  # the child would hold the log open for 60 s


def test_max_runtime(studio: Studio) -> None:
    studio.train("j", "sleep:30", StoppingCondition={"MaxRuntimeInSeconds": 1})
    found = studio.trained("j")
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_a_spot_interruption_keeps_the_checkpoints(studio: Studio) -> None:
    spot = {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120},
        "CheckpointConfig": {"S3Uri": studio.uri("checkpoints/j")},
    }
    studio.train("j", "checkpoint:x print:begun once:sleep:30 model", **spot)
    studio.until_logged("/aws/sagemaker/TrainingJobs", "begun")
    studio.server.faults.interrupt("j")
    found = studio.trained("j")
    assert found["TrainingJobStatus"] == "Completed"
    lost = ["Downloading", "Training", "Interrupted", "Starting", "Downloading", "Training"]
    assert secondaries(found) == ["Starting", *lost, "Uploading", "Completed"]
    assert studio.read("checkpoints/j/count") == b"xx"
    streams = studio.logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="j/algo-1-"
    )
    assert len(streams["logStreams"]) == 2


def test_a_job_waits_for_spot_no_longer_than_asked(studio: Studio) -> None:
    stopping = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}
    studio.train("j", "sleep:30", EnableManagedSpotTraining=True, StoppingCondition=stopping)
    found = studio.trained("j")
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")


def test_several_hosts_merge_their_models(studio: Studio) -> None:
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 10}
    studio.train("j", "print:begun model", ResourceConfig=resources)
    assert studio.trained("j")["TrainingJobStatus"] == "Completed"
    assert studio.server.logs.lines("/aws/sagemaker/TrainingJobs", "j/algo-2-") == ["begun"]
    assert sorted(archive(studio, "j")) == ["a.bin", "manifest.json", "model-card.md"]


def test_faults_of_the_machine(studio: Studio) -> None:
    studio.server.faults.no_capacity("poor")
    studio.train("poor")
    assert studio.trained("poor")["FailureReason"].startswith("CapacityError: ")
    studio.train("j", "print:begun sleep:30")
    studio.until_logged("/aws/sagemaker/TrainingJobs", "begun")
    studio.server.faults.kill("j")
    assert studio.trained("j")["FailureReason"] == "AlgorithmError: , exit code: 137"


def test_events_tell_every_change_more_than_once(studio: Studio) -> None:
    studio.train("j", "model")
    studio.trained("j")
    told = [(each["TrainingJobStatus"], each["SecondaryStatus"]) for each in studio.events(CHANGE)]
    assert told[:2] == [("InProgress", "Starting")] * 2
    assert told[-2:] == [("Completed", "Completed")] * 2
    ids = [each["id"] for each in studio.server.events]
    assert len(set(ids)) == len(ids)
    assert studio.events(CHANGE)[-1]["TrainingEndTime"].isdigit()


# --------------------------------------------------------------------------- refusals


def test_a_name_is_taken_for_ever(studio: Studio) -> None:
    studio.train("j", "model")
    studio.trained("j")
    code, message = refused(studio.api.create_training_job, **studio.training_request("j"))
    assert code == "ResourceInUse"
    assert message.startswith("Training job names must be unique within an AWS account and region")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"TrainingJobName": "no_underscores"}, "at 'trainingJobName' failed to satisfy constraint"),
        ({"TrainingJobName": "x" * 64}, "regular expression pattern"),
        ({"RoleArn": "arn:aws:iam::1:role/short"}, "at 'roleArn'"),
        ({"HyperParameters": {f"h{n}": "1" for n in range(101)}}, "length less than or equal to 100"),
        ({"HyperParameters": {"h": "x" * 2501}}, "length less than or equal to 2500"),
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "TrainingImage must be specified"),
        ({"AlgorithmSpecification": {"TrainingImage": "python:3.11", "TrainingInputMode": "File"}}, "image URI"),
        ({"AlgorithmSpecification": {"TrainingImage": "x", "TrainingInputMode": "Floppy"}}, "enum value set"),
        ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds must be specified"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 90}}, "EnableManagedSpotTraining"),
        (
            {
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 59},
            },
            "Invalid MaxWaitTimeInSeconds",
        ),
        ({"ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1}}, "VolumeSizeInGB"),
        ({"OutputDataConfig": {"S3OutputPath": "models"}}, "at 'outputDataConfig.s3OutputPath'"),
    ],
)
def test_what_sagemaker_refuses(studio: Studio, changes: dict[str, Any], words: str) -> None:
    studio.put("data/rows.csv", b"1\n")
    code, message = refused(studio.api.create_training_job, **(studio.training_request("j") | changes))
    assert code == "ValidationException"
    assert words in message
    assert studio.api.list_training_jobs()["TrainingJobSummaries"] == []


def test_data_that_is_not_there_is_refused_at_once(studio: Studio) -> None:
    code, message = refused(studio.api.create_training_job, **studio.training_request("j"))
    assert code == "ValidationException"
    assert message.startswith(f'No S3 objects found under S3 URL "{studio.uri("data/")}" given in input data source.')


def test_what_is_not_served_is_said_so(studio: Studio) -> None:
    code, _ = refused(
        studio.api.create_training_job, **studio.training_request("j", RetryStrategy={"MaximumRetryAttempts": 3})
    )
    assert code == "NotServedHere"


def test_unknown_jobs(studio: Studio) -> None:
    for act in (studio.api.describe_training_job, studio.api.stop_training_job):
        assert refused(act, TrainingJobName="never") == ("ValidationException", "Requested resource not found.")


# --------------------------------------------------------------------------- lists


def test_lists_page_without_gap_or_repeat(studio: Studio) -> None:
    for number in range(5):
        studio.train(f"job-{number}", "model" if number else "exit:1")
    for number in range(5):
        studio.trained(f"job-{number}")
    pages = list(studio.api.get_paginator("list_training_jobs").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(each["TrainingJobSummaries"]) for each in pages] == [2, 2, 1]
    names = [each["TrainingJobName"] for page in pages for each in page["TrainingJobSummaries"]]
    assert names == [f"job-{number}" for number in range(5)]
    newest = studio.api.list_training_jobs(SortBy="CreationTime", SortOrder="Descending", MaxResults=1)
    assert newest["TrainingJobSummaries"][0]["TrainingJobName"] == "job-4"
    failed = studio.api.list_training_jobs(StatusEquals="Failed")["TrainingJobSummaries"]
    assert [each["TrainingJobName"] for each in failed] == ["job-0"]
    assert refused(studio.api.list_training_jobs, NextToken=newest["NextToken"])[0] == "ValidationException"
