"""Warnings about a readable table: what will make a model poor, or misled."""

from collections.abc import Sequence

from mlops_contracts.dataset import ColumnProfile, Profile
from training.preprocess.findings import Findings, plural
from training.preprocess.types import ColumnPlan

MOSTLY = 0.5
UNIQUE_ROWS = 20
NEARLY_UNIQUE = 0.98
"""Where the number of distinct values is an estimate."""


def warn_about_values(profile: Profile, columns: Sequence[ColumnPlan], findings: Findings) -> None:
    """Add warnings about single columns: missing, constant or unique values."""
    for each, plan in zip(profile.columns, columns, strict=True):
        _warn_missing(each, profile.rows, findings)
        _warn_constant(each, profile.rows, findings)
        _warn_id_like(each, plan, profile.rows, findings)


def warn_about_duplicates(duplicates: int, rows: int, findings: Findings) -> None:
    """Add a warning when rows repeat others."""
    if duplicates:
        findings.warn(
            "duplicate_rows",
            f"{duplicates:,} of {plural(rows, 'row')} repeat an earlier row in every column. Remove them if they are "
            "copies: a copy in the held-out rows makes a model look better than it is.",
        )


def _warn_missing(column: ColumnProfile, rows: int, findings: Findings) -> None:
    if column.missing == rows:
        findings.warn("all_missing", "Every cell is missing. Fill or remove the column.", column=column.name)
    elif column.missing > MOSTLY * rows:
        findings.warn(
            "mostly_missing",
            f"{column.missing / rows:.1%} of the cells are missing. Fill the column, or leave it out of training.",
            column=column.name,
        )


def _warn_constant(column: ColumnProfile, rows: int, findings: Findings) -> None:
    if column.distinct == 1 and rows > 1:
        findings.warn(
            "constant_column",
            "Every present cell holds the same value, so the column tells a model nothing. Leave it out of training.",
            column=column.name,
        )


def _warn_id_like(column: ColumnProfile, plan: ColumnPlan, rows: int, findings: Findings) -> None:
    unique = column.distinct == rows if column.exact_distinct else column.distinct >= NEARLY_UNIQUE * rows
    if plan.kind in ("text", "integer") and unique and rows >= UNIQUE_ROWS:
        findings.warn(
            "id_like",
            "Every row has a value of its own, as an id has. Leave the column out of training if it is one.",
            column=column.name,
        )
