"""The real handler in a process of its own, driven by AWS's runtime client, behind API Gateway's events."""

import httpx
import pytest

from tests.support.aws_server import AwsServer
from tests.support.lambda_events import scheduled
from tests.support.runtime_api import FunctionError
from tests.support.server import PENGUINS

pytestmark = pytest.mark.aws


def test_health_and_lists(aws: AwsServer) -> None:
    with aws.http() as http:
        assert http.get("/health/ready").json() == {"status": "ok"}
        nothing = http.get("/models", params={"model": "of-nobody"})  # other modules share this server
        assert nothing.json() == {"models": [], "next_token": None}
        assert http.get("/nothing").status_code == 404


def test_nobody_without_the_authorizer(aws: AwsServer) -> None:
    answer = httpx.get(aws.gateway.url + "/models", headers={"Authorization": "Bearer other"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_from_a_file_to_a_prediction(aws: AwsServer) -> None:
    with aws.client() as client:
        dataset = client.datasets.upload(PENGUINS, name="birds")
        assert (dataset.status, dataset.created_by) == ("Ready", "ann")
        job = client.training.start(dataset="birds:1", target="species", algorithm="random_forest", model="birds")
        done = client.training.wait(job.job, timeout=120)
        assert done.metrics["validation:auc"] >= 0.99
        client.models.approve("birds:1", deploy=True)
        client.inference.wait("birds", timeout=60)
        row = {"island": "Biscoe", "bill_length_mm": 47.0, "bill_depth_mm": 15.0, "flipper_length_mm": 217.0,
               "body_mass_g": 5000.0, "sex": "male", "year": 2008}  # fmt: skip
        answer = client.inference.predict("birds", [row])
    assert (answer.model_version, answer.predictions[0].label) == ("birds:1", "Gentoo")


def test_events_and_errors_pass_the_runtime(aws: AwsServer) -> None:
    assert aws.function.invoke(scheduled()) is None
    with pytest.raises(FunctionError, match="UnknownEvent: No reaction"):
        aws.function.invoke({"hello": "world"})
    with pytest.raises(FunctionError, match=r"NotFound: There is no dataset version 'none:1'"):
        aws.function.invoke({"task": "dataset", "version": "none:1"})
