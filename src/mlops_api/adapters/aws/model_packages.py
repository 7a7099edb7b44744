"""ModelMirror on SageMaker's model registry: a group for each model, a package for each of its versions.

SageMaker numbers packages itself, so a package carries its version as metadata. A package that was decided upon
cannot become PendingManualApproval again.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.errors import translated
from mlops_api.adapters.aws.sagemaker_common import AlreadyThere, AwsSageMaker, all_pages, creating, existing
from mlops_api.domain.errors import NotFound
from mlops_api.ports import MirroredVersion, OutsideVersion

_VERSION: Final = "mlops-version"
_BUCKET: Final = "mlops-bucket"
_LONGEST_COMMENT: Final = 1024
_CONTENT_TYPES: Final = ["application/json", "application/jsonlines", "text/csv"]


class ModelPackages:
    """ports.ModelMirror; safe to use from many threads."""

    def __init__(self, clients: AwsClients, config: AwsSageMaker) -> None:
        self._clients = clients
        self._config = config

    def show(self, version: MirroredVersion) -> None:
        group = self._group(version.model)
        found = self._find(group, version) or self._create(version)
        status = version.approval_status
        if status in (found["ModelApprovalStatus"], "PendingManualApproval"):
            return
        with translated(f"{version.version} cannot be shown in SageMaker's model registry"):
            self._clients.sagemaker.update_model_package(
                ModelPackageArn=found["ModelPackageArn"],
                ModelApprovalStatus=status,
                ApprovalDescription=version.comment[:_LONGEST_COMMENT],
            )

    def read(self, reference: str) -> OutsideVersion | None:
        """`reference`: the package's ARN."""
        try:
            found = self._described(reference)
        except NotFound:
            return None
        version = self._version_of(found)
        if version is None:
            return None
        return OutsideVersion(
            version=version,
            approval_status=found["ModelApprovalStatus"],
            by=_who(found.get("LastModifiedBy") or found.get("CreatedBy") or {}),
            comment=found.get("ApprovalDescription", ""),
        )

    def _group(self, model: str) -> str:
        """Its ARN."""
        sagemaker = self._clients.sagemaker
        try:
            with existing(f"Model package group {model}"):
                found = sagemaker.describe_model_package_group(ModelPackageGroupName=model)
            return str(found["ModelPackageGroupArn"])
        except NotFound:
            pass
        try:
            with creating(f"Model package group {model} cannot be created"):
                made = sagemaker.create_model_package_group(
                    ModelPackageGroupName=model, Tags=self._config.tag_list(model=model)
                )
        except AlreadyThere:
            return self._group(model)
        return str(made["ModelPackageGroupArn"])

    def _find(self, group: str, version: MirroredVersion) -> Mapping[str, Any] | None:
        """The version's package: mostly the one of its number, else any of the group."""
        likely = f"{group.replace(':model-package-group/', ':model-package/')}/{version.number}"
        found = self._matching(likely, version)
        if found is not None:
            return found
        with translated(f"Model packages of {version.model}"):
            listed = all_pages(
                self._clients.sagemaker.list_model_packages,
                "ModelPackageSummaryList",
                ModelPackageGroupName=version.model,
                SortBy="CreationTime",
                SortOrder="Descending",
            )
        others = (self._matching(each["ModelPackageArn"], version) for each in listed)
        return next((each for each in others if each is not None), None)

    def _matching(self, arn: str, version: MirroredVersion) -> Mapping[str, Any] | None:
        try:
            found = self._described(arn)
        except NotFound:
            return None
        return found if self._version_of(found) == version.version else None

    def _version_of(self, found: Mapping[str, Any]) -> str | None:
        """Which of this platform's versions a package is; None for somebody else's."""
        own: Mapping[str, str] = found.get("CustomerMetadataProperties", {})
        return own.get(_VERSION) if own.get(_BUCKET) == self._config.bucket else None

    def _create(self, version: MirroredVersion) -> Mapping[str, Any]:
        with creating(f"Model package of {version.version} cannot be created"):
            made = self._clients.sagemaker.create_model_package(**package_request(version, self._config))
        return self._described(made["ModelPackageArn"])

    def _described(self, arn: str) -> Mapping[str, Any]:
        with existing(f"Model package {arn}"):
            found: Mapping[str, Any] = self._clients.sagemaker.describe_model_package(ModelPackageName=arn)
        return found


def package_request(version: MirroredVersion, config: AwsSageMaker) -> dict[str, Any]:
    """What CreateModelPackage takes. The token makes a repeated request the same one."""
    token = hashlib.sha256(f"{config.bucket}/{version.bundle_key}/{version.version}".encode()).hexdigest()[:36]
    statistics = {"ContentType": "application/json", "S3Uri": config.uri(version.evaluation_key)}
    return {
        "ModelPackageGroupName": version.model,
        "ModelPackageDescription": f"{version.version} of the platform on bucket {config.bucket}",
        "ClientToken": token,
        "ModelApprovalStatus": version.approval_status,
        "CustomerMetadataProperties": {_VERSION: version.version, _BUCKET: config.bucket},
        "InferenceSpecification": {
            "Containers": [{"Image": config.image_uri, "ModelDataUrl": config.uri(version.bundle_key)}],
            "SupportedContentTypes": _CONTENT_TYPES,
            "SupportedResponseMIMETypes": _CONTENT_TYPES,
        },
        "ModelMetrics": {"ModelQuality": {"Statistics": statistics}},
    }


def _who(by: Mapping[str, Any]) -> str:
    """A Studio user's profile, or the principal of a role's session."""
    return str(by.get("UserProfileName") or by.get("IamIdentity", {}).get("PrincipalId") or "")
