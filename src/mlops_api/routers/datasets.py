"""/datasets"""

from typing import Annotated

from fastapi import APIRouter, Query

from mlops_api.domain.contracts import ContractPage, DatasetContract
from mlops_api.domain.datasets import (
    CompleteUpload,
    CreateDataset,
    CreatedDataset,
    DatasetPage,
    DatasetStatus,
    DatasetSummary,
    DatasetVersion,
    Upload,
)
from mlops_api.domain.models import DownloadUrl
from mlops_api.routers.depends import (
    By,
    IdempotencyKey,
    IfMatch,
    Limit,
    NamePath,
    NameQuery,
    NextToken,
    PlatformDep,
    VersionPath,
    problems,
)
from mlops_contracts.comparison import DatasetDifference
from mlops_contracts.data_contract import DataContract
from mlops_contracts.dataset import Preview, Profile, Quality

router = APIRouter(prefix="/datasets", tags=["datasets"])


@router.post("", status_code=201, responses=problems(409, 413))
def create_dataset(platform: PlatformDep, by: By, request: CreateDataset, key: IdempotencyKey = None) -> CreatedDataset:
    """Take a version number and get the URLs to send the file's parts to."""
    return platform.datasets.create(by, request, key)


@router.get("", responses=problems())
def list_datasets(
    platform: PlatformDep,
    name: NameQuery = None,
    status: DatasetStatus | None = None,
    limit: Limit = 50,
    next_token: NextToken = None,
) -> DatasetPage:
    """Newest first."""
    return platform.datasets.page(name=name, status=status, limit=limit, token=next_token)


@router.get("/{version}", responses=problems(404))
def get_dataset(platform: PlatformDep, version: VersionPath) -> DatasetVersion:
    """A version with its columns and the verdict on its quality."""
    return platform.datasets.get(version)


@router.get("/{version}/upload", responses=problems(404, 409))
def get_upload(platform: PlatformDep, version: VersionPath) -> Upload:
    """Fresh URLs to go on with an interrupted upload; parts that arrived carry their etag."""
    return platform.datasets.upload(version)


@router.post("/{version}/complete", status_code=202, responses=problems(404, 409))
def complete_upload(platform: PlatformDep, by: By, version: VersionPath, request: CompleteUpload) -> DatasetSummary:
    """All parts were sent: check them and start validation."""
    return platform.datasets.complete(by, version, request)


@router.get("/{version}/profile", responses=problems(404, 409))
def get_profile(platform: PlatformDep, version: VersionPath) -> Profile:
    """Per column: type, missing, distinct, moments and quantiles or top values, histogram."""
    return platform.datasets.profile(version)


@router.get("/{version}/preview", responses=problems(404, 409))
def get_preview(platform: PlatformDep, version: VersionPath) -> Preview:
    """The first 100 rows."""
    return platform.datasets.preview(version)


@router.get("/{version}/quality", responses=problems(404))
def get_quality(platform: PlatformDep, version: VersionPath) -> Quality:
    """Violations with row and column, and warnings."""
    return platform.datasets.quality(version)


@router.get("/{version}/download", responses=problems(404))
def download_dataset(platform: PlatformDep, version: VersionPath) -> DownloadUrl:
    """A URL for the file as it was uploaded, rejected files included."""
    return platform.datasets.download(version)


@router.delete("/{version}", status_code=204, responses=problems(404, 409))
def delete_dataset(platform: PlatformDep, by: By, version: VersionPath) -> None:
    """Remove a version that no job used."""
    platform.datasets.delete(by, version)


@router.get("/{version}/compare", responses=problems(404, 409))
def compare_datasets(
    platform: PlatformDep,
    version: VersionPath,
    other: Annotated[
        str | None, Query(alias="with", max_length=100, description="Default: the version before that is Ready.")
    ] = None,
) -> DatasetDifference:
    """New and lost columns, types, missing cells, new categories, and drift, column by column."""
    return platform.datasets.compare(version, other)


@router.get("/{version}/contract-suggestion", responses=problems(404, 409))
def suggest_contract(platform: PlatformDep, version: VersionPath) -> DataContract:
    """A data contract that this version keeps, to be edited and set."""
    return platform.datasets.suggest_contract(version)


@router.get("/{name}/contract", responses=problems(404))
def get_contract(
    platform: PlatformDep,
    name: NamePath,
    number: Annotated[int | None, Query(ge=1, le=10**9, description="An earlier one; default: that in force.")] = None,
) -> DatasetContract:
    """The data contract that later versions of the dataset are held to."""
    return platform.contracts.get(name, number)


@router.get("/{name}/contract/versions", responses=problems())
def list_contracts(
    platform: PlatformDep, name: NamePath, limit: Limit = 50, next_token: NextToken = None
) -> ContractPage:
    """Every data contract that the dataset ever had, newest first."""
    return platform.contracts.versions(name, limit=limit, token=next_token)


@router.put("/{name}/contract", responses=problems(412))
def set_contract(
    platform: PlatformDep, by: By, name: NamePath, request: DataContract, revision: IfMatch = None
) -> DatasetContract:
    """Put a data contract in force, under the next number."""
    return platform.contracts.put(by, name, request, revision)


@router.delete("/{name}/contract", status_code=204, responses=problems(404, 412))
def delete_contract(platform: PlatformDep, by: By, name: NamePath, revision: IfMatch = None) -> None:
    """Hold later versions to none; the contracts so far are kept."""
    platform.contracts.delete(by, name, revision)
