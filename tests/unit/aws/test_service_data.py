"""botocore's data, read by our loader: the same as by its own."""

import json

import pytest
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import Loader

from mlops_api.adapters.aws.service_data import ServiceData

SERVICES = ("dynamodb", "s3", "sagemaker", "sagemaker-runtime", "logs", "sns")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("kind", ["service-2", "endpoint-rule-set-1"])
def test_what_is_read_is_the_same_and_in_the_same_order(service: str, kind: str) -> None:
    ours, theirs = (loader.load_service_model(service, kind) for loader in (ServiceData(), Loader()))
    assert json.dumps(ours) == json.dumps(theirs)


@pytest.mark.parametrize("name", ["endpoints", "partitions", "sdk-default-configuration"])
def test_data_of_no_service_too(name: str) -> None:
    assert json.dumps(ServiceData().load_data(name)) == json.dumps(Loader().load_data(name))


def test_what_is_not_there_is_refused_as_botocore_does() -> None:
    with pytest.raises(UnknownServiceError, match="nothing-like-it"):
        ServiceData().load_service_model("nothing-like-it", "service-2")
    with pytest.raises(DataNotFoundError):
        ServiceData().load_service_model("dynamodb", "service-9")
