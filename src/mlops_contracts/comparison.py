"""comparison.json: what has changed since an earlier version of a dataset. It lies next to dataset.json."""

from typing import Literal

from pydantic import Field

from mlops_contracts.base import Contract
from mlops_contracts.columns import ColumnType
from mlops_contracts.dataset import Finding

COMPARISON = "comparison.json"
MOST_FINDINGS = 100
MOST_LISTED = 20


class ColumnDifference(Contract):
    """One column, then and now. p-values are adjusted over all tests of the table (Benjamini-Hochberg)."""

    name: str
    change: Literal["same", "added", "lost"]
    type: ColumnType | None = None
    type_before: ColumnType | None = None
    missing_rate: float | None = None
    missing_rate_before: float | None = None
    missing_p_adjusted: float | None = None
    statistic: Literal["kolmogorov_smirnov", "chi_square"] | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    effect: float | None = Field(None, description="Kolmogorov-Smirnov distance, or Cramer's V of the categories.")
    psi: float | None = Field(None, description="Population stability index, less what chance scores.")
    threshold: float | None = Field(None, description="Of `effect` and `psi`.")
    drifted: bool = False
    new_categories: tuple[str, ...] = Field((), description="Most frequent first, at most 20.")
    new_category_count: int = 0
    new_category_share: float | None = Field(None, description="Of the present values.")
    not_compared: str | None = Field(None, description="Why the values were not compared.")


class DatasetDifference(Contract):
    version: str
    reference: str
    rows: int
    reference_rows: int
    status: Literal["Completed", "CompletedWithViolations", "InsufficientData"]
    columns: tuple[ColumnDifference, ...] = Field(description="In the table's order; lost ones last.")
    findings: tuple[Finding, ...] = Field((), description="At most 100; they are among the version's warnings.")
