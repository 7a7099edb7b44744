"""Model packages and tags of the SageMaker server, with boto3 on the wire."""

from tests.support.sagemaker import IMAGE, Studio, refused

SPECIFICATION = {
    "Containers": [{"Image": IMAGE, "ModelDataUrl": "s3://bucket/model.tar.gz"}],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["application/json"],
}
CHANGE = "SageMaker Model Package State Change"


def register(studio: Studio, group: str = "flights", **more: object) -> str:
    request = {"ModelPackageGroupName": group, "InferenceSpecification": SPECIFICATION} | more
    arn: str = studio.api.create_model_package(**request)["ModelPackageArn"]
    return arn


def test_versions_are_numbered_in_their_group(studio: Studio) -> None:
    for group in ("flights", "trains"):
        studio.api.create_model_package_group(ModelPackageGroupName=group)
    arns = [register(studio) for _ in range(3)]
    assert [arn.split(":model-package/")[1] for arn in arns] == ["flights/1", "flights/2", "flights/3"]
    assert register(studio, "trains").endswith("/trains/1")
    found = studio.api.describe_model_package(ModelPackageName=arns[1])
    assert (found["ModelPackageVersion"], found["ModelApprovalStatus"]) == (2, "PendingManualApproval")
    assert found["InferenceSpecification"] == SPECIFICATION
    studio.api.delete_model_package(ModelPackageName=arns[2])
    assert register(studio).endswith("/flights/4")


def test_approvals_move_as_sagemaker_lets_them(studio: Studio) -> None:
    studio.api.create_model_package_group(ModelPackageGroupName="flights")
    arn = register(studio)
    for status in ("Approved", "Rejected", "Approved", "Approved"):
        studio.api.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription=status)
        found = studio.api.describe_model_package(ModelPackageName=arn)
        assert (found["ModelApprovalStatus"], found["ApprovalDescription"]) == (status, status)
    code, message = refused(
        studio.api.update_model_package, ModelPackageArn=arn, ModelApprovalStatus="PendingManualApproval"
    )
    assert (code, message) == (
        "ValidationException",
        "Invalid ModelApprovalStatus transition from Approved to PendingManualApproval.",
    )
    studio.server.settle()
    told = [each["ModelApprovalStatus"] for each in studio.events(CHANGE)][::2]
    assert told == ["PendingManualApproval", "Approved", "Rejected", "Approved", "Approved"]


def test_metadata_is_merged_and_removed(studio: Studio) -> None:
    studio.api.create_model_package_group(ModelPackageGroupName="flights")
    arn = register(studio, CustomerMetadataProperties={"a": "1", "b": "2"})
    studio.api.update_model_package(
        ModelPackageArn=arn, CustomerMetadataProperties={"c": "3"}, CustomerMetadataPropertiesToRemove=["a"]
    )
    found = studio.api.describe_model_package(ModelPackageName=arn)
    assert found["CustomerMetadataProperties"] == {"b": "2", "c": "3"}


def test_the_same_token_registers_once(studio: Studio) -> None:
    studio.api.create_model_package_group(ModelPackageGroupName="flights")
    assert register(studio, ClientToken="a") == register(studio, ClientToken="a")
    assert register(studio, ClientToken="b").endswith("/2")


def test_lists_by_group_and_approval(studio: Studio) -> None:
    for group in ("flights", "trains"):
        studio.api.create_model_package_group(ModelPackageGroupName=group)
        for _ in range(3):
            arn = register(studio, group)
        studio.api.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    pages = studio.api.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName="flights", PaginationConfig={"PageSize": 2}
    )
    versions = [each["ModelPackageVersion"] for page in pages for each in page["ModelPackageSummaryList"]]
    assert versions == [1, 2, 3]
    approved = studio.api.list_model_packages(ModelPackageGroupName="trains", ModelApprovalStatus="Approved")
    assert [each["ModelPackageVersion"] for each in approved["ModelPackageSummaryList"]] == [3]


def test_groups(studio: Studio) -> None:
    studio.api.create_model_package_group(ModelPackageGroupName="flights")
    code, message = refused(studio.api.create_model_package_group, ModelPackageGroupName="flights")
    assert (code, message[:34]) == ("ValidationException", "Model Package Group already exists")
    assert refused(studio.api.describe_model_package_group, ModelPackageGroupName="never")[1].endswith(
        "does not exist."
    )
    register(studio)
    assert refused(studio.api.delete_model_package_group, ModelPackageGroupName="flights")[0] == "ConflictException"
    listed = studio.api.list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert [each["ModelPackageGroupName"] for each in listed] == ["flights"]


def test_tags(studio: Studio) -> None:
    tags = [{"Key": "model", "Value": "flights"}]
    arn = studio.api.create_model_package_group(ModelPackageGroupName="flights", Tags=tags)["ModelPackageGroupArn"]
    studio.api.add_tags(ResourceArn=arn, Tags=[{"Key": "owner", "Value": "me"}, {"Key": "model", "Value": "f"}])
    assert studio.api.list_tags(ResourceArn=arn)["Tags"] == [
        {"Key": "model", "Value": "f"},
        {"Key": "owner", "Value": "me"},
    ]
    studio.api.delete_tags(ResourceArn=arn, TagKeys=["model"])
    assert len(studio.api.list_tags(ResourceArn=arn)["Tags"]) == 1
    many = [{"Key": str(number), "Value": ""} for number in range(50)]
    assert refused(studio.api.add_tags, ResourceArn=arn, Tags=many)[0] == "ValidationException"
    assert refused(studio.api.list_tags, ResourceArn=arn.replace("flights", "never"))[0] == "ResourceNotFound"
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    assert refused(studio.api.create_model_package_group, ModelPackageGroupName="x", Tags=twice)[0] == (
        "ValidationException"
    )
