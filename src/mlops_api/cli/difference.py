"""How `mlops data diff` shows what has changed between two versions."""

from typing import TYPE_CHECKING, Any

from mlops_api.cli.output import Printer

if TYPE_CHECKING:
    from mlops_contracts.comparison import ColumnDifference, DatasetDifference


def show_difference(printer: Printer, found: "DatasetDifference") -> None:
    """The findings, then every column."""
    printer.pairs(
        {
            "version": found.version,
            "compared with": found.reference,
            "rows": f"{found.rows}, before {found.reference_rows}",
            "status": found.status,
        }
    )
    printer.line()
    if found.findings:
        printer.table(["finding", "column", "message"], [[f.code, f.column, f.message] for f in found.findings])
        printer.line()
    headings = ["column", "change", "type", "missing", "effect", "PSI", "p", "drifted", "new categories"]
    printer.table(headings, map(_row, found.columns))


def _row(column: "ColumnDifference") -> list[Any]:
    return [
        column.name,
        column.change,
        _then_and_now(column.type_before, column.type),
        _then_and_now(_percent(column.missing_rate_before), _percent(column.missing_rate)),
        column.effect,
        column.psi,
        column.p_adjusted,
        "yes" if column.drifted else column.not_compared,
        column.new_category_count or None,
    ]


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.1%}"


def _then_and_now(before: str | None, after: str | None) -> str | None:
    return after if before == after or before is None else f"{before} -> {after or 'gone'}"
