"""Runs preprocess on bytes in a job folder of its own, and reads back what it wrote."""

import csv
import hashlib
import io
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mlops_contracts.dataset import DatasetReport, Finding, Preview, Profile
from training.missing import is_missing_text
from training.numbers import WHITESPACE
from training.paths import MlPaths
from training.preprocess.job import run
from training.preprocess.limits import Limits


@dataclass(frozen=True)
class Outcome:
    """Everything preprocess wrote; `table` is None for a refused table."""

    report: DatasetReport
    profile: Profile | None
    preview: Preview | None
    table: pa.Table | None
    output: Path

    @property
    def violations(self) -> list[tuple[str, int | None, str | None]]:
        return [(each.code, each.row, each.column) for each in self.report.quality.violations]

    @property
    def warnings(self) -> set[tuple[str, str | None]]:
        return {(each.code, each.column) for each in self.report.quality.warnings}

    @property
    def types(self) -> dict[str, str]:
        return {each.name: each.type for each in self.report.columns}

    def warning(self, code: str) -> Finding:
        return next(each for each in self.report.quality.warnings if each.code == code)

    def values(self, column: str) -> list[Any]:
        assert self.table is not None
        return self.table[column].to_pylist()


def job_folder(
    root: Path, data: bytes, filename: str = "table.csv", sha256: str | None = None, **config: Any
) -> MlPaths:
    """Lay out a job's input below `root`."""
    paths = MlPaths(root)
    paths.config.mkdir(parents=True)
    paths.channel("raw").mkdir(parents=True)
    announced = hashlib.sha256(data).hexdigest() if sha256 is None else sha256
    config = {"filename": filename, "sha256": announced, **config}
    (paths.config / "preprocess.json").write_text(json.dumps(config))
    (paths.channel("raw") / filename).write_bytes(data)
    return paths


def preprocess(
    root: Path,
    data: bytes,
    filename: str = "table.csv",
    *,
    limits: Limits | None = None,
    sha256: str | None = None,
    **config: Any,
) -> Outcome:
    """Run the job in a new folder below `root`; `config`: more of preprocess.json."""
    paths = job_folder(root / f"job-{len(list(root.iterdir()))}", data, filename, sha256, **config)
    run(paths, {"MLOPS_THREADS": "2"}, limits)
    return read_outcome(paths.output)


def read_outcome(output: Path) -> Outcome:
    """Read the output folder; a refused table must have left its report only."""
    report = DatasetReport.model_validate_json((output / "dataset.json").read_bytes())
    if report.quality.violation_count:
        assert sorted(each.name for each in output.iterdir() if not each.name.startswith(".")) == ["dataset.json"]
        assert report.quality.violations
        return Outcome(report, None, None, None, output)
    assert sorted(each.name for each in output.iterdir()) == [
        "constraints.json",
        "data.parquet",
        "dataset.json",
        "preview.json",
        "profile.json",
        "statistics.json",
    ]
    return Outcome(
        report,
        Profile.model_validate_json((output / "profile.json").read_bytes()),
        Preview.model_validate_json((output / "preview.json").read_bytes()),
        pq.read_table(output / "data.parquet"),
        output,
    )


def reference_rows(text: str, delimiter: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows as Python's csv reads them; blank lines are a cell in a table of one column."""
    header, *rows = csv.reader(io.StringIO(text.lstrip("\r\n"), newline=""), delimiter=delimiter)
    if len(header) > 1:
        return header, [row for row in rows if row]
    while rows and not rows[-1]:
        rows.pop()
    return header, [row or [""] for row in rows]


def assert_same_cells(outcome: Outcome, text: str, delimiter: str | None = None) -> None:
    """Every cell of the typed table says what Python's csv reads in the text, with the delimiter found if not given."""
    assert outcome.table is not None
    header, rows = reference_rows(text, delimiter or outcome.report.delimiter or ",")
    assert outcome.table.column_names == [name.strip(WHITESPACE) for name in header]
    assert outcome.report.rows == outcome.table.num_rows == len(rows)
    for place, name in enumerate(outcome.table.column_names):
        for row, (typed, given) in enumerate(zip(outcome.values(name), rows, strict=True), 1):
            assert_same_cell(typed, given[place], outcome.report.decimal or ".", (row, name))


def assert_same_cell(typed: Any, given: str, decimal: str, place: tuple[int, str]) -> None:
    """One typed cell against its text, with Python's own readers as the judge."""
    trimmed = given.strip(WHITESPACE)
    where = (*place, typed, given)
    if typed is None:
        assert is_missing_text(given), where
        return
    assert not is_missing_text(given), where
    if isinstance(typed, bool):
        assert trimmed.lower() == str(typed).lower(), where
    elif isinstance(typed, int):
        assert int(trimmed) == typed, where
    elif isinstance(typed, float):
        assert math.isfinite(typed), where
        assert float(trimmed.replace(decimal, ".")) == typed, where
    elif isinstance(typed, datetime):
        expected = datetime.fromisoformat(trimmed)
        assert (expected.astimezone(UTC) if expected.tzinfo else expected) == typed, where
    else:
        assert typed == given, where
