"""Validation against botocore's service models."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.sagemaker_server.refusals import ValidationException
from tests.sagemaker_server.shapes import (
    ReplyInvalid,
    check_reply,
    check_request,
    operation,
    parsed,
    pattern,
    rendered,
    service,
)

TAGS = operation("sagemaker", "AddTags")
ARN = "arn:aws:sagemaker:eu-central-1:123456789012:model/m"


def complaint(name: str, **params: Any) -> str:
    with pytest.raises(ValidationException) as caught:
        check_request(operation("sagemaker", name), params)
    return str(caught.value)


def test_violations_read_as_sagemakers() -> None:
    assert complaint("DescribeModel") == (
        "1 validation error detected: Value null at 'modelName' failed to satisfy constraint: Member must not be null"
    )
    found = complaint("AddTags", ResourceArn=ARN, Tags=[{"Key": "ok", "Value": "!"}, {"Key": "", "Value": ""}])
    assert found.startswith("2 validation errors detected: Value '!' at 'tags.1.member.value' failed to satisfy")
    assert "at 'tags.2.member.key' failed to satisfy constraint: Member must have length greater than" in found


@pytest.mark.parametrize(
    ("value", "good"),
    [("caf\u00e9 x_1:/=+-@", True), ("\u65e5\u672c", True), ("a!", False), ("a\n", False), ("a\u20ac", False)],
)
def test_unicode_classes_of_patterns(value: str, good: bool) -> None:
    request = {"ResourceArn": ARN, "Tags": [{"Key": "k", "Value": value}]}
    if good:
        check_request(TAGS, request)
    else:
        with pytest.raises(ValidationException):
            check_request(TAGS, request)


def test_types_and_unknown_members_are_botocores_business() -> None:
    assert "Invalid type for parameter MaxResults" in complaint("ListTrainingJobs", MaxResults="3")
    assert 'Unknown parameter in input: "Max"' in complaint("ListTrainingJobs", Max=3)


def test_times_travel_as_seconds() -> None:
    model = operation("sagemaker", "ListTrainingJobs")
    moment = datetime(2026, 11, 22, 20, 0, 0, 123000, tzinfo=UTC)
    request = parsed(model.input_shape, {"CreationTimeAfter": moment.timestamp(), "NameContains": None})
    assert request == {"CreationTimeAfter": moment}
    check_request(model, request)
    shape = operation("sagemaker", "DescribeModel").output_shape
    assert rendered(shape, {"CreationTime": moment, "ModelName": None}) == {"CreationTime": moment.timestamp()}


def test_replies_must_have_sagemakers_shape() -> None:
    model = operation("sagemaker", "DescribeModel")
    good = {"ModelName": "m", "ModelArn": ARN, "CreationTime": datetime.now(UTC)}
    check_reply(model, good)
    for wrong in ({"ModelName": "_"}, {"ModelArn": None}, {"Owner": "me"}):
        with pytest.raises(ReplyInvalid):
            check_reply(model, good | wrong)
    with pytest.raises(ReplyInvalid):
        check_reply(operation("sagemaker", "StopTrainingJob"), {"Stopped": True})


def test_every_pattern_but_four_unused_ones_compiles() -> None:
    unusable = set()
    for name in service("sagemaker").shape_names:
        text = service("sagemaker").shape_for(name).metadata.get("pattern")
        try:
            pattern(text or "")
        except re.error:
            unusable.add(name)
    assert unusable == {"AthenaCatalog", "Catalog", "Database", "TableName"}
