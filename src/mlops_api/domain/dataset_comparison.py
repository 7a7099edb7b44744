"""What has changed between two versions of a table, from their reports and stored sketches. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mlops_contracts.comparison import MOST_FINDINGS, MOST_LISTED, ColumnDifference, DatasetDifference
from mlops_contracts.dataset import Column, DatasetReport, Finding
from mlops_contracts.statistics import FeatureStatistics, Statistics
from mlops_statistics.distributions import Categories, Distribution, Numbers
from mlops_statistics.drift import EFFECT, ColumnChange, NewLevels, Sample, Shift, compare

_NAMED = 3
_EFFECT_NAMES = {"kolmogorov_smirnov": "Kolmogorov-Smirnov distance", "chi_square": "Cramer's V"}


@dataclass(frozen=True)
class Table:
    """A version. `statistics` None: it was validated before there were any; missing cells are compared then."""

    version: str
    report: DatasetReport
    statistics: Statistics | None

    @property
    def columns(self) -> Mapping[str, Column]:
        return {column.name: column for column in self.report.columns}


def compare_tables(reference: Table, table: Table) -> DatasetDifference:
    """`table` against `reference`, the earlier one."""
    changes = compare(_samples(reference), _samples(table))
    columns = tuple(_columns(reference.columns, table.columns, changes))
    findings = tuple(_findings(reference.version, columns, changes))
    return DatasetDifference(
        version=table.version,
        reference=reference.version,
        rows=table.report.rows,
        reference_rows=reference.report.rows,
        status=_status(findings, columns),
        columns=columns,
        findings=findings[:MOST_FINDINGS],
    )


def _status(findings: tuple[Finding, ...], columns: tuple[ColumnDifference, ...]) -> str:
    if findings:
        return "CompletedWithViolations"
    enough = any(column.statistic is not None for column in columns)
    return "Completed" if enough else "InsufficientData"


# --------------------------------------------------------------------------- sketches


def _samples(table: Table) -> dict[str, Sample]:
    features = {each.name: each for each in table.statistics.features} if table.statistics else {}
    return {
        column.name: Sample(
            table.report.rows - column.missing, column.missing, _distribution(features.get(column.name))
        )
        for column in table.report.columns
    }


def _distribution(feature: FeatureStatistics | None) -> Distribution | None:
    if feature is None:
        return None
    if numbers := feature.numerical_statistics:
        buckets = numbers.distribution.kll.buckets
        return Numbers.of_buckets((each.lower_bound, each.upper_bound, each.count) for each in buckets)
    if strings := feature.string_statistics:
        counts = {each.value: each.count for each in strings.distribution.categorical.buckets}
        return Categories(counts, unlisted=strings.common.num_present - sum(counts.values()))
    return None


# --------------------------------------------------------------------------- columns


def _columns(
    before: Mapping[str, Column], after: Mapping[str, Column], changes: Mapping[str, ColumnChange]
) -> Iterator[ColumnDifference]:
    for name, column in after.items():
        if name in before:
            yield _same(before[name], column, changes[name])
        else:
            yield ColumnDifference(name=name, change="added", type=column.type)
    for name, column in before.items():
        if name not in after:
            yield ColumnDifference(name=name, change="lost", type_before=column.type)


def _same(before: Column, after: Column, change: ColumnChange) -> ColumnDifference:
    return ColumnDifference(
        name=after.name,
        change="same",
        type=after.type,
        type_before=before.type,
        missing_rate=change.after.missing_rate,
        missing_rate_before=change.before.missing_rate,
        missing_p_adjusted=change.missing.p_adjusted,
        not_compared=change.why_not,
        **(_shift(change.shift) if change.shift else {}),
        **(_new(change.new_levels) if change.new_levels else {}),
    )


def _shift(shift: Shift) -> dict[str, object]:
    return {
        "statistic": shift.test,
        "p_value": shift.tested.p_value,
        "p_adjusted": shift.tested.p_adjusted,
        "effect": shift.effect,
        "psi": shift.psi,
        "threshold": EFFECT,
        "drifted": shift.drifted,
    }


def _new(levels: NewLevels) -> dict[str, object]:
    return {
        "new_categories": tuple(levels.counts)[:MOST_LISTED],
        "new_category_count": len(levels.counts),
        "new_category_share": levels.share,
    }


# --------------------------------------------------------------------------- findings


def _findings(
    reference: str, columns: tuple[ColumnDifference, ...], changes: Mapping[str, ColumnChange]
) -> Iterator[Finding]:
    for column in columns:
        for code, message in _column_findings(reference, column, changes.get(column.name)):
            yield Finding(code=code, message=message, column=column.name)


def _column_findings(
    reference: str, column: ColumnDifference, change: ColumnChange | None
) -> Iterator[tuple[str, str]]:
    if column.change == "lost":
        yield "column_lost", f"{reference} had this column. Models that use it need it: add it, or train without it."
    elif column.change == "added":
        yield "column_added", f"{reference} has no such column. Models trained before do not use it; train again."
    if change is None:
        return
    if column.type != column.type_before:
        yield (
            "type_changed",
            f"The column is {column.type}; in {reference} it was {column.type_before}. Check how its values are "
            "written.",
        )
    if change.missing_changed:
        yield (
            "missing_rate_changed",
            f"{change.after.missing_rate:.1%} of the cells are missing; in {reference} they were "
            f"{change.before.missing_rate:.1%}. Check where the values come from.",
        )
    if change.new_levels is not None and change.new_levels.notable:
        yield "new_categories", _new_message(reference, change.new_levels)
    if change.shift is not None and change.shift.drifted:
        yield "drift", _drift_message(reference, change.shift)


def _new_message(reference: str, levels: NewLevels) -> str:
    names = [ascii(name[:60]) for name in levels.counts]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return (
        f"{', '.join(names[:_NAMED])}{more}, {levels.share:.1%} of the values, do not occur in {reference}. Models "
        "trained before score them as unseen; train again if they are right."
    )


def _drift_message(reference: str, shift: Shift) -> str:
    return (
        f"The values are distributed differently from {reference} ({_EFFECT_NAMES[shift.test]} {shift.effect:.2f}, PSI "
        f"{shift.psi:.2f}). Compare the profiles; models trained before may be less right."
    )
