"""Which tables Glue validates, what it is asked, and how its jobs are followed."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.validate import ParamValidator

from mlops_api.adapters.aws.glue_jobs import GlueChoice
from mlops_api.adapters.aws.job_requests import AwsJobRequests
from mlops_api.adapters.aws.s3_objects import S3Objects
from mlops_api.adapters.aws.sagemaker_common import AwsSageMaker
from mlops_api.adapters.aws.sagemaker_processing import SageMakerProcessing
from mlops_api.adapters.aws.sagemaker_training import SageMakerTraining
from mlops_api.domain.errors import NotFound
from mlops_api.ports import JobRequest, ProcessingSpec
from mlops_contracts.dataset import PreprocessConfig
from tests.sagemaker_server import SageMakerServer
from tests.support.aws_runners import IMAGE, QUICK, ROLE, sagemaker_clients
from tests.support.emulators import Cloud

SPEC = ProcessingSpec(
    "flights-v1", "datasets/flights/1/raw", "flights.csv.gz", "0" * 64, "datasets/flights/1/table", 3600
)
LARGE = 10 << 30
GLUE = GlueChoice("mlops-preprocess", LARGE)


@pytest.fixture
def store(moto: Cloud) -> Iterator[S3Objects]:
    with moto.objects() as objects:
        yield objects


@pytest.fixture
def server(moto: Cloud) -> Iterator[SageMakerServer]:
    with SageMakerServer(moto.clients.s3, QUICK) as server:
        yield server


def processing(store: S3Objects, server: SageMakerServer, glue: GlueChoice | None = GLUE) -> SageMakerProcessing:
    config = AwsSageMaker(role_arn=ROLE, image_uri=IMAGE, bucket=store._bucket)
    return SageMakerProcessing(sagemaker_clients(server.url), store, config, glue)


def request(store: S3Objects, server: SageMakerServer, size: int, glue: GlueChoice | None = GLUE) -> JobRequest:
    config = AwsSageMaker(role_arn=ROLE, image_uri=IMAGE, bucket=store._bucket)
    clients = sagemaker_clients(server.url)
    requests = AwsJobRequests(processing(store, server, glue), SageMakerTraining(clients, config))
    return requests.preprocess(SPEC, size_bytes=size)


def check(service: str, operation: str, params: Any) -> None:
    model = boto3.Session(region_name="eu-central-1").client(service).meta.service_model
    report = ParamValidator().validate(params, model.operation_model(operation).input_shape)
    assert not report.has_errors(), report.generate_report()


@pytest.mark.parametrize(
    ("size", "glue", "engine"),
    [
        (LARGE - 1, GLUE, "sagemaker"),
        (LARGE, GLUE, "glue"),
        (50 << 40, None, "sagemaker"),
        (50 << 40, GlueChoice(None, 0), "sagemaker"),
        (1, GlueChoice("mlops-preprocess", 0), "glue"),
    ],
)
def test_large_tables_are_glue_s_if_there_is_a_glue_job(
    store: S3Objects, server: SageMakerServer, size: int, glue: GlueChoice | None, engine: str
) -> None:
    found = request(store, server, size, glue)
    assert found.engine == engine
    if engine == "glue":
        check("glue", "StartJobRun", found.request)
    else:
        check("sagemaker", "CreateProcessingJob", found.request)


def test_the_arguments_say_where_everything_is(store: S3Objects, server: SageMakerServer) -> None:
    found = request(store, server, LARGE).request
    assert found == {
        "JobName": "mlops-preprocess",
        "Arguments": {
            "--job": "flights-v1",
            "--bucket": store._bucket,
            "--input_key": "datasets/flights/1/raw",
            "--config_key": "jobs/flights-v1/config/preprocess.json",
            "--output_prefix": "datasets/flights/1/table",
        },
    }
    config = PreprocessConfig.model_validate_json(store.read(found["Arguments"]["--config_key"]))
    assert (config.filename, config.sha256) == ("flights.csv.gz", "0" * 64)


def test_what_there_is_says_how_it_stands(store: S3Objects, server: SageMakerServer) -> None:
    runner = processing(store, server)
    with pytest.raises(NotFound):
        runner.describe("flights-v1")
    request(store, server, LARGE)
    assert runner.describe("flights-v1").status == "InProgress"
    store.put("datasets/flights/1/table/profile.json", b"{}")
    assert runner.describe("flights-v1").status == "InProgress"
    store.put("datasets/flights/1/table/dataset.json", json.dumps({}).encode())
    assert runner.describe("flights-v1").status == "Completed"


def test_what_is_glue_s_is_not_begun_in_sagemaker(store: S3Objects, server: SageMakerServer) -> None:
    request(store, server, LARGE)
    processing(store, server).start(SPEC)
    assert server.requests_of("CreateProcessingJob") == []
    with pytest.raises(NotFound):
        processing(store, server).stop("flights-v1")


def test_a_job_that_is_begun_is_not_given_another_configuration(store: S3Objects, server: SageMakerServer) -> None:
    store.put(SPEC.input_key, b"a,b\n1,2\n")
    processing(store, server).start(SPEC)
    before = store.info("jobs/flights-v1/config/preprocess.json")
    again = request(store, server, 1)
    assert store.info("jobs/flights-v1/config/preprocess.json") == before
    [sent] = server.requests_of("CreateProcessingJob")
    assert again.request == sent
