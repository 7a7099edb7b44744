"""From the text, or the Parquet file, to the typed table: the quick pass, and the plan for what that pass gave up.

text --quick pass--> typed Parquet                      every column proved its guess
                '--> given up --> staged --> plan       the columns that did not, put in their places
     --> staged --> plan                                text that the quick pass is not for
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from training.numbers import WHITESPACE
from training.preprocess.engine import STAGED, Engine
from training.preprocess.findings import Findings
from training.preprocess.limits import Limits
from training.preprocess.parquet_in import stage_parquet
from training.preprocess.plan import Plan
from training.preprocess.quick_scan import QuickScan, quick_scan
from training.preprocess.row_groups import join
from training.preprocess.sketches import ValueCounts
from training.preprocess.staging import Staged
from training.preprocess.survey import Survey
from training.preprocess.text_scan import TextBody, no_rows, stage_text, text_body
from training.preprocess.types import ColumnPlan, TypeFinder, warn_missing, warn_padded


@dataclass(frozen=True)
class TypedTable:
    """A typed Parquet file, and what is known of it."""

    path: Path
    columns: Sequence[ColumnPlan]
    rows: int
    counted: ValueCounts = field(default_factory=dict)


class Verdict(Protocol):
    """What reading a table adds to."""

    findings: Findings
    rows: int
    delimiter: str | None


def typed_parquet(
    engine: Engine, plain: Path, scratch: Path, path: Path, verdict: Verdict, limits: Limits
) -> TypedTable | None:
    """Read a Parquet file; None when it is refused.

    Raises Refused as stage_parquet does.
    """
    return _planned(engine, stage_parquet(plain, scratch, verdict.findings, limits), path, verdict, limits)


def typed_text(
    engine: Engine, text: Survey, delimiter: str, scratch: Path, path: Path, verdict: Verdict, limits: Limits
) -> TypedTable | None:
    """Read a text; None when it is refused.

    Raises Refused as text_body and stage_text do.
    """
    body = text_body(text, delimiter, verdict.findings, limits)
    scan = None if verdict.findings.count else quick_scan(body, path, limits)
    if scan is None:
        return _planned(engine, stage_text(body, scratch, verdict.findings, limits), path, verdict, limits)
    if scan.rows == 0:
        raise no_rows()
    verdict.rows = scan.rows
    _warn(scan, verdict.findings)
    return _completed(engine, body, scan, scratch, path, verdict, limits)


def _planned(engine: Engine, staged: Staged, path: Path, verdict: Verdict, limits: Limits) -> TypedTable | None:
    """The plan on a staged table."""
    verdict.rows = staged.rows
    if verdict.findings.count:
        return None
    columns = TypeFinder(engine, staged, verdict.delimiter, verdict.findings, limits).find()
    if verdict.findings.count:
        return None
    cells, kinds, names = zip(*((each.cells, each.kind, each.name) for each in columns), strict=True)
    statement = Plan(engine.dialect).typed(STAGED, cells, kinds, names)
    engine.write_parquet(staged.path, range(len(names)), statement, path)
    return TypedTable(path, columns, staged.rows)


def _completed(
    engine: Engine, body: TextBody, scan: QuickScan, scratch: Path, path: Path, verdict: Verdict, limits: Limits
) -> TypedTable | None:
    """The table with the columns that the quick pass gave up."""
    columns = dict(scan.columns)
    if scan.given_up:
        staged = stage_text(body, scratch, verdict.findings, limits, scan.given_up)
        rest = _planned(engine, staged, scratch / "rest.parquet", verdict, limits)
        if rest is None:
            path.unlink()
            return None
        columns.update(zip(scan.given_up, rest.columns, strict=True))
        whole = path.with_name(f"{path.name}.whole")
        join(whole, path, rest.path, [each.name for each in rest.columns])
        whole.replace(path)
    counted = {
        scan.columns[place].name: each.values for place, each in scan.evidence.items() if each.values is not None
    }
    return TypedTable(path, [columns[place] for place in sorted(columns)], scan.rows, counted)


def _warn(scan: QuickScan, findings: Findings) -> None:
    for place, column in sorted(scan.columns.items()):
        evidence = scan.evidence[place]
        if evidence.tokens:
            tokens = sorted(evidence.tokens.items(), key=lambda each: (-each[1], each[0]))
            warn_missing(column.name, tokens, findings)
        if column.kind == "text" and evidence.padded and evidence.values is not None:
            alike = len(evidence.values) - len({text.strip(WHITESPACE) for text in evidence.values})
            warn_padded(column, evidence.padded, alike, evidence.padded_like or "", findings)
