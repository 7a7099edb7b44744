"""Seconds and memory of the `preprocess` program on a table of 1,000,000 x 30, beside a plain Polars program that
computes the same figures; and its memory on 5,000,000 rows."""

import hashlib
import json
import os
import sys
from pathlib import Path

from bench.figure import Row, Samples, at_most, informational
from bench.measured import Measured, run
from bench.program import Failed
from bench.tables import mixed_csv
from bench.world import World
from mlops_contracts.dataset import PreprocessConfig

NAME = "preprocess"
ABOUT = "the preprocess program on a CSV of 1,000,000 x 30 beside a Polars program of the same figures; 5,000,000 rows"
ROWS = 1_000_000
MANY = 5
"""Times as many rows, for the memory."""
TIMES = 3
RATIO = 2.0
MEMORY_MB = 700
GROWTH = 1.1


def measure(world: World, rows: int = ROWS) -> list[Row]:
    file = mixed_csv(world.scratch / "table.csv", [rows])
    job, peer_folder = _job_folder(world.scratch / "preprocess", file), world.scratch / "polars"
    peer_folder.mkdir()
    ours, peer = [], []
    for _ in range(TIMES):
        peer.append(run([sys.executable, "-m", "bench.bare_polars", str(file), str(peer_folder)], {}))
        ours.append(_preprocess(job, rows))
    _check_same(job, peer_folder, rows)
    return [*_rows(rows, file, ours, peer), _many_rows(world, rows, ours)]


def _preprocess(job: Path, rows: int) -> Measured:
    measured = run([sys.executable, "-m", "training", "preprocess"], {"MLOPS_ML_ROOT": str(job)})
    report = json.loads((job / "output" / "dataset.json").read_text())
    if report["rows"] != rows or report["quality"]["violation_count"]:
        raise Failed(f"preprocess refused the table: {report['quality']['violations'][:3]}")
    return measured


def _rows(rows: int, file: Path, ours: list[Measured], peer: list[Measured]) -> list[Row]:
    own, other = Samples([one.seconds for one in ours]), Samples([one.seconds for one in peer])
    memory, other_memory = max(one.peak_mb for one in ours), max(one.peak_mb for one in peer)
    cpu, other_cpu = (Samples([one.cpu_seconds for one in each]).median for each in (ours, peer))
    against = {"peer_is": "Polars, the same figures"}
    return [
        at_most(
            f"preprocess, {rows:,} x 30",
            "s",
            own,
            RATIO * other.median,
            peer=other.median,
            ratio=own.median / other.median,
            note=f"{file.stat().st_size / 1e6:.0f} MB of CSV; CPU {cpu:.1f} s, the peer's {other_cpu:.1f} s",
            **against,
        ),
        informational("preprocess", "rows/s", rows / own.median, peer=rows / other.median, **against),
        at_most("preprocess, peak memory", "MB", Samples([memory]), MEMORY_MB, peer=other_memory, **against),
    ]


def _many_rows(world: World, rows: int, fewer: list[Measured]) -> Row:
    file = mixed_csv(world.scratch / "many.csv", [rows] * MANY)
    found = _preprocess(_job_folder(world.scratch / "preprocess-many", file), rows * MANY)
    peak = max(one.peak_mb for one in fewer)
    return at_most(
        f"preprocess, peak memory at {rows * MANY:,} rows",
        "MB",
        Samples([found.peak_mb]),
        GROWTH * peak,
        peer=peak,
        ratio=found.peak_mb / peak,
        peer_is=f"at {rows:,} rows",
        note=f"{file.stat().st_size / 1e6:.0f} MB of CSV in {found.seconds:.0f} s",
    )


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


def _check_same(job: Path, peer_folder: Path, rows: int) -> None:
    """Raises Failed unless both programs came to the same figures."""
    profile = json.loads((job / "output" / "profile.json").read_text())
    figures = json.loads((peer_folder / "figures.json").read_text())
    for column in profile["columns"]:
        other = figures["columns"][column["name"]]
        same = [column["missing"] == other["missing"], column["distinct"] == other["distinct"], figures["rows"] == rows]
        same += [sorted(each["count"] for each in column["top_values"]) == sorted(count for _, count in other["top"])]
        if (numbers := column["numeric"]) is not None:
            same += [
                abs(numbers[name] - other[name]) <= 1e-9 * numbers["std"] for name in ("mean", "std", "min", "max")
            ]
        if not all(same):
            raise Failed(f"preprocess and Polars disagree on {column['name']}")
