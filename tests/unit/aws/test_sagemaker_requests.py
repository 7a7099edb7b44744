"""What is asked of SageMaker: right by AWS's own description, encrypted, bounded in time."""

from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from mlops_api.adapters.aws.endpoint_parts import Wanted
from mlops_api.adapters.aws.processing_jobs import Work, processing_request
from mlops_api.adapters.aws.sagemaker_common import AwsSageMaker, plain_reason
from mlops_api.adapters.aws.sagemaker_names import digest_name, host_variant, is_of, parse_variant
from mlops_api.adapters.aws.sagemaker_training import training_request
from mlops_api.domain.errors import Invalid
from mlops_api.ports import TrainingSpec, VariantSpec
from mlops_contracts.metrics import METRIC_DEFINITIONS
from tests.support.aws_runners import IMAGE, ROLE

CONFIG = AwsSageMaker(role_arn=ROLE, image_uri=IMAGE, bucket="objects")
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"
SPEC = TrainingSpec("flights-xgboost-1", {"job_seed": "0"}, "datasets/flights/1/table", "training", 600)
WORK = Work(
    job="flights-v1",
    program="preprocess",
    inputs={"raw": "s3://objects/datasets/flights/1/raw"},
    config={},
    output_prefix="datasets/flights/1/table",
    max_runtime_seconds=60,
    instance_type="ml.m5.xlarge",
)
SERVICE = boto3.Session(region_name="eu-central-1").client("sagemaker").meta.service_model


def check(operation: str, request: dict[str, Any]) -> None:
    report = ParamValidator().validate(request, SERVICE.operation_model(operation).input_shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize(
    "spec",
    [SPEC, replace(SPEC, spot=True), replace(SPEC, instance_count=3), replace(SPEC, instance_type="ml.c5.xlarge")],
)
@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, kms_key_id=KEY)])
def test_requests_are_right_by_aws_own_description(spec: TrainingSpec, config: AwsSageMaker) -> None:
    check("CreateTrainingJob", training_request(spec, config))
    check("CreateProcessingJob", processing_request(WORK, config))
    check("CreateProcessingJob", processing_request(replace(WORK, progress_prefix="batch/b/progress"), config))
    wanted = Wanted.of("flights", [VariantSpec("v1", "flights:1", "training/j/output/model.tar.gz", 1.0)], config)
    check("CreateModel", dict(wanted.models[0]))
    check("CreateEndpointConfig", {"EndpointConfigName": wanted.name, "ProductionVariants": wanted.variants})


def test_a_training_job_is_bounded_in_time() -> None:
    request = training_request(SPEC, CONFIG)
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 600}
    assert request["EnableManagedSpotTraining"] is False
    assert "CheckpointConfig" not in request


@pytest.mark.parametrize(("spec", "config"), [(replace(SPEC, spot=True), CONFIG), (SPEC, replace(CONFIG, spot=True))])
def test_a_spot_job_may_wait_and_keeps_checkpoints(spec: TrainingSpec, config: AwsSageMaker) -> None:
    request = training_request(spec, config)
    assert request["EnableManagedSpotTraining"] is True
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 600 + 3600}
    assert request["CheckpointConfig"] == {
        "S3Uri": "s3://objects/training/flights-xgboost-1/checkpoints",
        "LocalPath": "/opt/ml/checkpoints",
    }


def test_sagemaker_reads_the_metrics_that_the_container_writes() -> None:
    definitions = training_request(SPEC, CONFIG)["AlgorithmSpecification"]["MetricDefinitions"]
    assert [(each["Name"], each["Regex"]) for each in definitions] == list(METRIC_DEFINITIONS)
    assert len(definitions) <= 40  # SageMaker's limit


def test_the_chosen_key_encrypts_volumes_and_outputs() -> None:
    config = replace(CONFIG, kms_key_id=KEY)
    training, processing = training_request(SPEC, config), processing_request(WORK, config)
    assert training["OutputDataConfig"]["KmsKeyId"] == training["ResourceConfig"]["VolumeKmsKeyId"] == KEY
    assert processing["ProcessingOutputConfig"]["KmsKeyId"] == KEY
    assert processing["ProcessingResources"]["ClusterConfig"]["VolumeKmsKeyId"] == KEY
    assert "KmsKeyId" not in str(training_request(SPEC, CONFIG)) + str(processing_request(WORK, CONFIG))


def test_containers_are_alone_and_peers_speak_in_secret() -> None:
    one, three = training_request(SPEC, CONFIG), training_request(replace(SPEC, instance_count=3), CONFIG)
    assert (one["EnableNetworkIsolation"], three["EnableNetworkIsolation"]) == (True, True)
    assert (one["EnableInterContainerTrafficEncryption"], three["EnableInterContainerTrafficEncryption"]) == (
        False,
        True,
    )
    assert processing_request(WORK, CONFIG)["NetworkConfig"] == {"EnableNetworkIsolation": True}


def test_a_prefix_does_not_take_in_its_neighbours() -> None:
    (channel,) = training_request(SPEC, CONFIG)["InputDataConfig"]
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == "s3://objects/datasets/flights/1/table/"


ONE = VariantSpec("v1", "flights:1", "a.tar.gz", 1.0)
TWO = VariantSpec("v2", "flights:2", "b.tar.gz", 1.0)


def test_a_serverless_endpoint_serves_one_variant_and_two_are_on_instances() -> None:
    config = replace(CONFIG, endpoint_instance_type=None)
    (alone,) = Wanted.of("flights", [ONE], config).variants
    assert alone["ServerlessConfig"] == {"MemorySizeInMB": 2048, "MaxConcurrency": 5}
    assert "InstanceType" not in alone
    together = Wanted.of("flights", [ONE, TWO], config)
    assert [each["InstanceType"] for each in together.variants] == ["ml.m5.large"] * 2
    # An isolated model cannot be served without instances.
    assert Wanted.of("flights", [ONE], config).models[0]["EnableNetworkIsolation"] is False
    assert together.models[0]["EnableNetworkIsolation"] is True


def test_equal_deployments_have_equal_names_and_others_have_not() -> None:
    name = Wanted.of("flights", [ONE], CONFIG).name
    assert Wanted.of("flights", [ONE], CONFIG).name == name
    others = [
        Wanted.of("flights", [replace(ONE, weight=2.0)], CONFIG),
        Wanted.of("flights", [replace(ONE, model_key="c.tar.gz")], CONFIG),
        Wanted.of("flights", [ONE, TWO], CONFIG),
        Wanted.of("flights", [ONE], replace(CONFIG, image_uri=IMAGE + "2")),
        Wanted.of("flights", [ONE], replace(CONFIG, endpoint_instance_type="ml.c5.large")),
    ]
    assert name not in {each.name for each in others}
    assert len({each.name for each in others}) == len(others)


@pytest.mark.parametrize("variant", ["v3", "a", "blue--green", "a-1", "x--7"])
def test_a_variant_s_name_gives_its_version_back(variant: str) -> None:
    name = host_variant("flights", variant, "flights:12")
    assert parse_variant("flights", name) == (variant, "flights:12")


@pytest.mark.parametrize("name", ["AllTraffic", "", "--3", "v3"])
def test_a_variant_that_somebody_else_named_has_no_version(name: str) -> None:
    assert parse_variant("flights", name) == (name, "")


def test_a_version_of_another_model_is_refused() -> None:
    with pytest.raises(Invalid, match="penguins:1 is not a version of flights"):
        host_variant("flights", "a", "penguins:1")
    with pytest.raises(Invalid, match="too long by 3"):
        host_variant("flights", "a" * 63, "flights:1")


def test_only_an_endpoints_own_parts_are_its_own() -> None:
    name = digest_name("flights", ["x"])
    assert is_of("flights", name)
    assert not is_of("flight", name)
    assert not is_of("flights", digest_name("flights-eu", ["x"]))


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        ("AlgorithmError: target is not a column, exit code: 1", "target is not a column"),
        ("AlgorithmError: two\nlines, exit code: 137", "two\nlines"),
        ("AlgorithmError: , exit code: 1", "AlgorithmError: , exit code: 1"),
        ("ClientError: Data download failed", "ClientError: Data download failed"),
        ("x" * 2000, "x" * 1024),
        ("", None),
        (None, None),
    ],
)
def test_the_containers_words_are_freed_of_sagemakers(said: str | None, plain: str | None) -> None:
    assert plain_reason(said) == plain
