"""One table from raw file to verdict.

    raw file --digest--> unpack --> text --> survey --> header --> typed Parquet --> profile --> contract
                                '-> Parquet ---------------------------'

typed_table.py is the step in the middle. A step that finds the table unreadable raises Refused; steps that can go on
collect findings. The table is accepted exactly when no violation was found.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from mlops_contracts.bundle import CONSTRAINTS
from mlops_contracts.data_contract import NumberedContract
from mlops_contracts.dataset import Column, DatasetReport, Finding, PreprocessConfig, Profile, TargetUse
from mlops_contracts.statistics import STATISTICS
from training.failure import JobError
from training.paths import MlPaths
from training.preprocess.contract_check import ContractCheck
from training.preprocess.engine import Engine
from training.preprocess.findings import Findings, Refused
from training.preprocess.limits import Limits, bounded_memory
from training.preprocess.profile import Profiler
from training.preprocess.quality import warn_about_duplicates, warn_about_values
from training.preprocess.raw import Format, sha256_of, table_format, unpack
from training.preprocess.sniff import NAMES
from training.preprocess.statistics import as_bytes, constraints_of
from training.preprocess.survey import LEGACY, survey
from training.preprocess.text_scan import sniffed
from training.preprocess.trace import placed
from training.preprocess.typed_rows import TypedRows
from training.preprocess.typed_table import TypedTable, typed_parquet, typed_text
from training.preprocess.write import publish, write_bytes, write_json

DATASET, PROFILE, PREVIEW, DATA = "dataset.json", "profile.json", "preview.json", "data.parquet"


@dataclass
class Verdict:
    """What is known of the table so far; becomes dataset.json."""

    sha256: str
    format: Format = "csv"
    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    rows: int = 0
    columns: tuple[Column, ...] = ()
    findings: Findings = field(default_factory=Findings)
    contract: NumberedContract | None = None
    target: TargetUse | None = None

    def report(self) -> DatasetReport:
        """The document."""
        return DatasetReport(
            rows=self.rows,
            columns=self.columns,
            quality=self.findings.quality(),
            sha256=self.sha256,
            format=self.format,
            encoding=self.encoding,
            delimiter=self.delimiter,
            decimal=self.decimal,
            contract=self.contract.number if self.contract else None,
        )


def run(paths: MlPaths, environ: Mapping[str, str] | None = None, limits: Limits | None = None) -> DatasetReport:
    """Read the one file of the raw channel and write the verdict to `output/`.

    Raises:
        JobError: the job's folder lacks its configuration or its file.
    """
    limits = limits or Limits.from_env(os.environ if environ is None else environ)
    pa.set_cpu_count(limits.threads)
    config = _config(paths)
    raw = _raw_file(paths)
    paths.output.mkdir(parents=True, exist_ok=True)
    verdict = Verdict(sha256=sha256_of(raw), contract=config.contract, target=config.target)
    with _scratch(paths) as scratch, bounded_memory(limits):
        try:
            _check_digest(verdict, config)
            _examine(raw, scratch, paths.output, verdict, limits)
        except Refused as refused:
            _stop(verdict, refused.finding)
    report = verdict.report()
    write_json(paths.output / DATASET, report)
    return report


def _config(paths: MlPaths) -> PreprocessConfig:
    path = paths.config / "preprocess.json"
    if not path.is_file():
        raise JobError("input/config/preprocess.json is missing. Start the job through the platform.")
    return PreprocessConfig.model_validate_json(path.read_bytes())


def _raw_file(paths: MlPaths) -> Path:
    folder = paths.channel("raw")
    files = sorted(each for each in folder.iterdir() if each.is_file()) if folder.is_dir() else []
    if len(files) != 1:
        raise JobError(f"input/data/raw holds {len(files)} files; it must hold exactly the uploaded one.")
    return files[0]


@contextmanager
def _scratch(paths: MlPaths) -> Iterator[Path]:
    """A folder in the job's own tree, so that a killed job leaves nothing outside it."""
    folder = paths.root / "scratch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stop(verdict: Verdict, finding: Finding) -> None:
    """Add what ended the reading; the verdict's rows are those in front of it."""
    if finding.row:
        verdict.rows = finding.row - 1
        finding = finding.model_copy(update={"message": f"{finding.message} Reading stopped there."})
    verdict.findings.add(finding)


def _check_digest(verdict: Verdict, config: PreprocessConfig) -> None:
    if config.sha256 and verdict.sha256 != config.sha256:
        raise Refused(
            "sha256_mismatch",
            f"The file's SHA-256 is {verdict.sha256}, not {config.sha256} as announced. Upload it again.",
        )


def _examine(raw: Path, scratch: Path, output: Path, verdict: Verdict, limits: Limits) -> None:
    plain = unpack(raw, scratch, limits)
    verdict.format = table_format(plain)
    with Engine(scratch, limits) as engine:
        table = _read(engine, plain, scratch, output / f".{DATA}.part", verdict, limits)
        if table is not None:
            _accept(engine, table, output, verdict, limits)


def _read(
    engine: Engine, plain: Path, scratch: Path, path: Path, verdict: Verdict, limits: Limits
) -> TypedTable | None:
    """The typed table, written to `path`; None when it is refused, why is among the findings."""
    if verdict.format == "parquet":
        return typed_parquet(engine, plain, scratch, path, verdict, limits)
    try:
        text = survey(plain, scratch, limits)
    except Refused as refused:
        _stop(verdict, placed(refused, plain, scratch, limits))
        return None
    verdict.encoding = text.encoding
    _warn_encoding(text.encoding, verdict.findings)
    found = sniffed(text)
    verdict.delimiter = found.delimiter
    if found.rivals:
        verdict.findings.warn(
            "ambiguous_delimiter",
            f"The fields were split at the {NAMES[found.delimiter]}; the {NAMES[found.rivals[0]]} would split every "
            "row evenly too. Check the preview, or quote the fields.",
        )
    return typed_text(engine, text, found.delimiter, scratch, path, verdict, limits)


def _warn_encoding(encoding: str, findings: Findings) -> None:
    if encoding in ("utf-8", "utf-8-sig"):
        return
    name, check = (
        ("Windows-1252 (Latin-1)", "Check accented letters in the preview, or save the table as UTF-8")
        if encoding == LEGACY
        else (
            f"{encoding.upper()}, as its first bytes say",
            "Save the table as UTF-8: online prediction reads no other",
        )
    )
    findings.warn("encoding", f"The text is not UTF-8 and was read as {name}. {check}.")


def _accept(engine: Engine, table: TypedTable, output: Path, verdict: Verdict, limits: Limits) -> None:
    """Measure the typed table and hold it to its contract; only complete files get their names."""
    profiler = Profiler(engine, table.path, table.columns, table.rows, table.counted, limits.threads)
    profiler.check_complete()
    profile = profiler.profile()
    warn_about_values(profile, table.columns, verdict.findings)
    warn_about_duplicates(profiler.duplicates(), table.rows, verdict.findings)
    verdict.columns = _columns(profile)
    if verdict.contract is not None:
        ContractCheck(verdict.contract, profile, profiler.typed_rows(), verdict.findings).run()
    if verdict.target is not None and not verdict.findings.count:
        _check_target(verdict.target, table.path, profiler.typed_rows(), verdict)
    if verdict.findings.count:
        table.path.unlink()
        return
    if verdict.format == "csv":
        verdict.decimal = (
            "," if any(each.kind == "number" and each.cells.decimal == "," for each in table.columns) else "."
        )
    write_json(output / PREVIEW, profiler.preview())
    write_json(output / PROFILE, profile)
    statistics = profiler.statistics(profile)
    write_bytes(output / STATISTICS, as_bytes(statistics))
    write_bytes(output / CONSTRAINTS, as_bytes(constraints_of(statistics)))
    publish(table.path, output / DATA)


def _check_target(use: TargetUse, path: Path, rows: TypedRows, verdict: Verdict) -> None:
    from training.preprocess.target_check import TargetCheck  # loads what trains, which few tables need

    TargetCheck(use, verdict.report(), path, rows, verdict.contract, verdict.findings).run()


def _columns(profile: Profile) -> tuple[Column, ...]:
    return tuple(
        Column(name=each.name, type=each.type, missing=each.missing, distinct=each.distinct) for each in profile.columns
    )
