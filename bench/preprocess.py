"""Seconds and memory of the `preprocess` program on a table of 1,000,000 x 30, beside DuckDB's own reading of it."""

import hashlib
import json
import os
import sys
from pathlib import Path

from bench.figure import Row, Samples, informational
from bench.measured import Measured, run
from bench.program import Failed
from bench.tables import mixed, write_csv
from bench.world import World
from mlops_contracts.dataset import PreprocessConfig

NAME = "preprocess"
ABOUT = "the preprocess program on a CSV of 1,000,000 x 30: seconds, rows/s, peak memory, beside DuckDB alone"
ROWS = 1_000_000
TIMES = 2
_DUCKDB = """
import sys, duckdb
connection = duckdb.connect()
connection.execute("CREATE TABLE t AS SELECT * FROM read_csv(?)", [sys.argv[1]])
connection.execute("SUMMARIZE t").fetchall()
"""


def measure(world: World, rows: int = ROWS) -> list[Row]:
    file = write_csv(mixed(rows, target=False), world.scratch / "table.csv")
    job = _job_folder(world.scratch / "preprocess", file)
    ours, peer = [], []
    for _ in range(TIMES):
        ours.append(run([sys.executable, "-m", "training", "preprocess"], {"MLOPS_ML_ROOT": str(job)}))
        _check(job, rows)
        peer.append(run([sys.executable, "-c", _DUCKDB, str(file)], {}))
    return _rows(rows, file, ours, peer)


def _rows(rows: int, file: Path, ours: list[Measured], peer: list[Measured]) -> list[Row]:
    own, other = Samples([one.seconds for one in ours]), Samples([one.seconds for one in peer])
    memory, other_memory = max(one.peak_mb for one in ours), max(one.peak_mb for one in peer)
    against = {"peer_is": "DuckDB read_csv + SUMMARIZE"}
    size = f"{file.stat().st_size / 1e6:.0f} MB of CSV"
    return [
        informational(
            f"preprocess, {rows:,} x 30",
            "s",
            own.median,
            best=own.best,
            peer=other.median,
            ratio=own.median / other.median,
            note=size,
            **against,
        ),
        informational("preprocess", "rows/s", rows / own.median, peer=rows / other.median, **against),
        informational(
            "preprocess, peak memory", "MB", memory, peer=other_memory, ratio=memory / other_memory, **against
        ),
    ]


def _job_folder(job: Path, file: Path) -> Path:
    """The layout of a processing job."""
    raw, config = job / "input" / "data" / "raw", job / "input" / "config"
    raw.mkdir(parents=True)
    config.mkdir(parents=True)
    os.link(file, raw / file.name)
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    document = PreprocessConfig(filename=file.name, sha256=digest)
    (config / "preprocess.json").write_text(document.model_dump_json())
    return job


def _check(job: Path, rows: int) -> None:
    report = json.loads((job / "output" / "dataset.json").read_text())
    if report["rows"] != rows or report["quality"]["violation_count"]:
        raise Failed(f"preprocess refused the table: {report['quality']['violations'][:3]}")
