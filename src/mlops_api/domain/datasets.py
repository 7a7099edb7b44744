"""Datasets: immutable, numbered versions of a table.

AwaitingUpload --complete--> Validating --> Ready
                                        '-> Rejected (the file is kept, the violations say why)
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from mlops_api.domain.base import Answer, Page, Request
from mlops_api.domain.names import Name
from mlops_contracts.dataset import Column, Quality

DatasetStatus = Literal["AwaitingUpload", "Validating", "Ready", "Rejected"]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class CreateDataset(Request):
    name: Name
    filename: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    size_bytes: Annotated[int, Field(gt=0, le=2**40)]
    sha256: Sha256


class UploadPart(Answer):
    part_number: int
    method: Literal["PUT"] = "PUT"
    url: str
    headers: dict[str, str] = Field(default_factory=dict)
    size_bytes: int
    etag: str | None = Field(None, description="Set when the part has already arrived.")


class Upload(Answer):
    part_size: int
    expires_at: str
    parts: list[UploadPart]


class CompletedPart(Request):
    part_number: Annotated[int, Field(ge=1, le=10_000)]
    etag: Annotated[str, StringConstraints(min_length=1, max_length=128)]


class CompleteUpload(Request):
    parts: Annotated[list[CompletedPart], Field(min_length=1, max_length=10_000)]


class DatasetSummary(Answer):
    version: str
    name: str
    number: int
    status: DatasetStatus
    filename: str
    size_bytes: int
    sha256: str = Field(description="Of the file; empty for one dropped into the inbox until it is validated.")
    rows: int | None = None
    column_count: int | None = None
    violation_count: int = 0
    warning_count: int = 0
    contract: int | None = Field(None, description="Number of the data contract that it was held to.")
    compared_with: str | None = Field(None, description="The version before it that it was compared with.")
    last_used_by: str | None = Field(None, description="The job that used it last.")
    failure_reason: str | None = Field(None, description="Why validation itself could not run, if so.")
    created_at: str
    created_by: str


class DatasetVersion(DatasetSummary):
    columns: list[Column] = Field(default_factory=list)
    quality: Quality = Quality()


class CreatedDataset(DatasetSummary):
    upload: Upload | None = None


class DatasetPage(Page):
    datasets: list[DatasetSummary]
