"""/models"""

from typing import Annotated

from fastapi import APIRouter, Query

from mlops_api.domain.models import (
    ApprovalStatus,
    Approve,
    Card,
    Comparison,
    DownloadUrl,
    Lineage,
    ModelVersion,
    ModelVersionPage,
    Reject,
    Rollback,
    SetAlias,
)
from mlops_api.routers.depends import (
    AliasPath,
    By,
    IdempotencyKey,
    Limit,
    NamePath,
    NameQuery,
    NextToken,
    Order,
    PlatformDep,
    Sort,
    VersionPath,
    problems,
)
from mlops_contracts.evaluation import Evaluation

router = APIRouter(prefix="/models", tags=["models"])


@router.get("", responses=problems())
def list_models(
    platform: PlatformDep,
    model: NameQuery = None,
    approval_status: ApprovalStatus | None = None,
    sort: Sort = "created_at",
    order: Order = "desc",
    limit: Limit = 50,
    next_token: NextToken = None,
) -> ModelVersionPage:
    """Model versions, newest first, or ranked by the objective metric."""
    return platform.registry.page(
        model=model,
        status=approval_status,
        by_metric=sort == "metric",
        descending=order == "desc",
        limit=limit,
        token=next_token,
    )


@router.get("/{version}", responses=problems(404))
def get_model(platform: PlatformDep, version: VersionPath) -> ModelVersion:
    """A version with its signature, metrics and audit trail."""
    return platform.registry.get(version)


@router.get("/{version}/evaluation", responses=problems(404))
def get_evaluation(platform: PlatformDep, version: VersionPath) -> Evaluation:
    """Everything measured on held-out rows."""
    return platform.registry.evaluation(version)


@router.get("/{version}/lineage", responses=problems(404))
def get_lineage(platform: PlatformDep, version: VersionPath) -> Lineage:
    """Dataset, training job, version, endpoint and batch jobs."""
    return platform.lineage.of(version)


@router.get("/{version}/card", responses=problems(404))
def get_card(platform: PlatformDep, version: VersionPath) -> Card:
    """The model card, Markdown."""
    return platform.registry.card(version)


@router.get("/{version}/compare", responses=problems(404))
def compare_models(
    platform: PlatformDep,
    version: VersionPath,
    other: Annotated[str, Query(alias="with", max_length=100, description="The version to compare with.")],
) -> Comparison:
    """Metrics, parameters, schema and importance that differ."""
    return platform.registry.compare(version, other)


@router.get("/{version}/bundle", responses=problems(404))
def get_bundle(platform: PlatformDep, version: VersionPath) -> DownloadUrl:
    """A URL for model.tar.gz: data only, no pickle."""
    return platform.registry.bundle(version)


@router.put("/{version}/approve", responses=problems(404, 409))
def approve_model(
    platform: PlatformDep, by: By, version: VersionPath, request: Approve, key: IdempotencyKey = None
) -> ModelVersion:
    """Approve; with deploy, the version becomes champion once it answers behind the model's endpoint."""
    return platform.registry.approve(by, version, request, key)


@router.put("/{version}/reject", responses=problems(404, 409))
def reject_model(
    platform: PlatformDep, by: By, version: VersionPath, request: Reject, key: IdempotencyKey = None
) -> ModelVersion:
    """Reject a version that neither serves nor is champion."""
    return platform.registry.reject(by, version, request, key)


@router.post("/{model}/rollback", responses=problems(404, 409))
def rollback_model(
    platform: PlatformDep, by: By, model: NamePath, request: Rollback, key: IdempotencyKey = None
) -> ModelVersion:
    """Back to the previous approved champion."""
    return platform.registry.rollback(by, model, request, key)


@router.put("/{model}/aliases/{alias}", responses=problems(404, 409))
def set_alias(
    platform: PlatformDep,
    by: By,
    model: NamePath,
    alias: AliasPath,
    request: SetAlias,
    key: IdempotencyKey = None,
) -> ModelVersion:
    """Point an alias at a version; `champion` only at an Approved one."""
    return platform.registry.set_alias(by, model, alias, request, key)


@router.delete("/{model}/aliases/{alias}", status_code=204, responses=problems(404, 409))
def delete_alias(platform: PlatformDep, by: By, model: NamePath, alias: AliasPath) -> None:
    """Remove an alias other than champion."""
    platform.registry.delete_alias(by, model, alias)
