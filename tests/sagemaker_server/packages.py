"""The model registry: model package groups and their numbered versions.

PendingManualApproval --> Approved <--> Rejected
        '--> Rejected
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tests.sagemaker_server.pages import page, selected
from tests.sagemaker_server.refusals import NotServed, Refusal, ValidationException, refuse_members
from tests.sagemaker_server.world import Operation, World, now

_ECHOED = (
    "ModelPackageDescription",
    "InferenceSpecification",
    "MetadataProperties",
    "ModelMetrics",
    "Domain",
    "Task",
    "SamplePayloadUrl",
    "CustomerMetadataProperties",
    "DriftCheckBaselines",
    "SkipModelValidation",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
)

_UPDATED = ("ApprovalDescription", "SourceUri", "InferenceSpecification", "ModelCard", "ModelLifeCycle")


class ModelPackage:
    """One version of a group."""

    def __init__(self, world: World, group: str, version: int, request: Mapping[str, Any]) -> None:
        self.group, self.version = group, version
        self.arn = world.arn("model-package", f"{group}/{version}")
        self.created = now()
        self.modified: datetime | None = None
        self.approval = request.get("ModelApprovalStatus", "PendingManualApproval")
        self.members = {name: request[name] for name in _ECHOED if name in request}

    def describe(self) -> dict[str, Any]:
        """The DescribeModelPackage reply."""
        return {
            # Versions have no name of their own; the reply repeats the group's.
            "ModelPackageName": self.group,
            "ModelPackageGroupName": self.group,
            "ModelPackageVersion": self.version,
            "ModelPackageArn": self.arn,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "CertifyForMarketplace": False,
            "ModelApprovalStatus": self.approval,
            **self.members,
        }

    def summary(self) -> dict[str, Any]:
        """What a list shows."""
        return {
            "ModelPackageGroupName": self.group,
            "ModelPackageVersion": self.version,
            "ModelPackageArn": self.arn,
            "ModelPackageDescription": self.members.get("ModelPackageDescription"),
            "CreationTime": self.created,
            "ModelPackageStatus": "Completed",
            "ModelApprovalStatus": self.approval,
        }


class ModelPackages:
    """CreateModelPackageGroup, CreateModelPackage and their families."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._groups: dict[str, dict[str, Any]] = {}
        self._packages: dict[str, ModelPackage] = {}
        self._last_version: dict[str, int] = {}
        self._by_token: dict[str, str] = {}
        self.operations: dict[str, Operation] = {
            "CreateModelPackageGroup": self._create_group,
            "DescribeModelPackageGroup": self._describe_group,
            "DeleteModelPackageGroup": self._delete_group,
            "ListModelPackageGroups": self._list_groups,
            "CreateModelPackage": self._create,
            "DescribeModelPackage": lambda params: self._find(params["ModelPackageName"]).describe(),
            "UpdateModelPackage": self._update,
            "DeleteModelPackage": self._delete,
            "ListModelPackages": self._list,
        }

    # ---------------------------------------------------------------- groups

    def _group(self, name_or_arn: str) -> dict[str, Any]:
        name = name_or_arn.rsplit("/", 1)[-1]
        if name not in self._groups:
            raise ValidationException(
                f"ModelPackageGroup {self._world.arn('model-package-group', name)} does not exist."
            )
        return self._groups[name]

    def _create_group(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params["ModelPackageGroupName"]
        arn = self._world.arn("model-package-group", name)
        with self._world.lock:
            if name in self._groups:
                raise ValidationException(f"Model Package Group already exists: {arn}")
            self._world.tags.own(arn, params.get("Tags", ()))
            self._groups[name] = {
                "ModelPackageGroupName": name,
                "ModelPackageGroupArn": arn,
                "ModelPackageGroupDescription": params.get("ModelPackageGroupDescription"),
                "CreationTime": now(),
                "CreatedBy": {},
                "ModelPackageGroupStatus": "Completed",
            }
        return {"ModelPackageGroupArn": arn}

    def _describe_group(self, params: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.lock:
            return dict(self._group(params["ModelPackageGroupName"]))

    def _delete_group(self, params: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.lock:
            group = self._group(params["ModelPackageGroupName"])
            name = group["ModelPackageGroupName"]
            if any(each.group == name for each in self._packages.values()):
                raise Refusal("ConflictException", f"Cannot delete ModelPackageGroup {name}: it has model packages.")
            del self._groups[name]
            self._world.tags.disown(group["ModelPackageGroupArn"])
        return {}

    def _list_groups(self, params: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.lock:
            chosen = selected(self._groups.values(), params, _group_facts)
        groups, token = page(chosen, params, lambda each: each["ModelPackageGroupName"])
        hidden = ("CreatedBy",)
        summaries = [{name: each[name] for name in each if name not in hidden} for each in groups]
        return {"ModelPackageGroupSummaryList": summaries, "NextToken": token}

    # ---------------------------------------------------------------- versions

    def _find(self, arn: str) -> ModelPackage:
        with self._world.lock:
            if arn not in self._packages:
                raise ValidationException(f"ModelPackage {arn} does not exist.")
            return self._packages[arn]

    def _create(self, params: Mapping[str, Any]) -> dict[str, Any]:
        if "ModelPackageGroupName" not in params or "ModelPackageName" in params:
            raise NotServed("model packages without a group")
        refused = ("ValidationSpecification", "SourceAlgorithmSpecification", "AdditionalInferenceSpecifications")
        refuse_members("CreateModelPackage", params, (*refused, "SecurityConfig", "ManagedStorageType"))
        if "Tags" in params:
            raise ValidationException("Tags cannot be given to a versioned model package; tag its group.")
        token = params.get("ClientToken")
        with self._world.lock:
            if token in self._by_token:
                return {"ModelPackageArn": self._by_token[token]}
            group = self._group(params["ModelPackageGroupName"])["ModelPackageGroupName"]
            # A deleted version's number is not used again.
            version = self._last_version[group] = self._last_version.get(group, 0) + 1
            package = ModelPackage(self._world, group, version, params)
            self._packages[package.arn] = package
            if token:
                self._by_token[token] = package.arn
        self._tell(package)
        return {"ModelPackageArn": package.arn}

    def _update(self, params: Mapping[str, Any]) -> dict[str, Any]:
        refuse_members("UpdateModelPackage", params, ("AdditionalInferenceSpecificationsToAdd",))
        with self._world.lock:
            package = self._find(params["ModelPackageArn"])
            asked = params.get("ModelApprovalStatus", package.approval)
            if asked == "PendingManualApproval" != package.approval:
                raise ValidationException(
                    f"Invalid ModelApprovalStatus transition from {package.approval} to PendingManualApproval."
                )
            package.approval, package.modified = asked, now()
            package.members |= {name: params[name] for name in _UPDATED if name in params}
            _update_metadata(package.members, params)
        self._tell(package)
        return {"ModelPackageArn": package.arn}

    def _delete(self, params: Mapping[str, Any]) -> dict[str, Any]:
        with self._world.lock:
            del self._packages[self._find(params["ModelPackageName"]).arn]
        return {}

    def _list(self, params: Mapping[str, Any]) -> dict[str, Any]:
        group = params.get("ModelPackageGroupName")
        with self._world.lock:
            name = self._group(group)["ModelPackageGroupName"] if group else None
            wanted = params.get("ModelApprovalStatus")
            found = [
                each
                for each in self._packages.values()
                if (name is None or each.group == name) and wanted in (None, each.approval)
            ]
            chosen, token = page(selected(found, params, _facts), params, lambda each: each.arn)
        return {"ModelPackageSummaryList": [each.summary() for each in chosen], "NextToken": token}

    def _tell(self, package: ModelPackage) -> None:
        self._world.events.send("SageMaker Model Package State Change", package.arn, package.describe())


def _update_metadata(members: dict[str, Any], params: Mapping[str, Any]) -> None:
    metadata = members.get("CustomerMetadataProperties", {}) | params.get("CustomerMetadataProperties", {})
    for key in params.get("CustomerMetadataPropertiesToRemove", ()):
        metadata.pop(key, None)
    members.pop("CustomerMetadataProperties", None)
    if metadata:
        members["CustomerMetadataProperties"] = metadata


def _facts(package: ModelPackage) -> dict[str, Any]:
    name = f"{package.group}/{package.version:09d}"
    return {"name": name, "created": package.created, "modified": package.modified or package.created, "status": None}


def _group_facts(group: Mapping[str, Any]) -> dict[str, Any]:
    created = group["CreationTime"]
    return {"name": group["ModelPackageGroupName"], "created": created, "modified": created, "status": None}
