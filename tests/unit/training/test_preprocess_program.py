"""The program as the platform runs it: exit codes, files, failure reasons, and the same bytes every time."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.preprocessing import assert_same_cells, job_folder, preprocess, read_outcome
from training.preprocess import main

ROOT = Path(__file__).resolve().parents[3]
TABLE = b"a,b\n1,x\n2,y\n"


def _run(root: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "MLOPS_ML_ROOT": str(root), "MLOPS_THREADS": "1"}
    command = [sys.executable, "-m", "training", "preprocess"]
    return subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_accepted_exits_0(tmp_path):
    paths = job_folder(tmp_path / "job", TABLE)
    done = _run(paths.root)
    assert (done.returncode, done.stderr) == (0, "")
    assert "verdict=accepted rows=2 columns=2" in done.stdout
    assert read_outcome(paths.output).values("b") == ["x", "y"]
    assert not (paths.root / "scratch").exists()


def test_rejected_exits_0_and_leaves_the_report_only(tmp_path, monkeypatch):
    paths = job_folder(tmp_path / "job", b"a,b\n1\n")
    monkeypatch.setenv("MLOPS_ML_ROOT", str(paths.root))
    assert main([]) == 0
    assert read_outcome(paths.output).violations == [("ragged_row", 1, None)]
    assert [each.name for each in paths.output.iterdir()] == ["dataset.json"]
    assert not (paths.root / "scratch").exists()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda paths: (paths.config / "preprocess.json").unlink(), "preprocess.json is missing"),
        (lambda paths: (paths.config / "preprocess.json").write_text("{}"), "configuration is not valid"),
        (lambda paths: (paths.channel("raw") / "table.csv").unlink(), "holds 0 files"),
        (lambda paths: (paths.channel("raw") / "more.csv").write_text("a"), "holds 2 files"),
    ],
)
def test_broken_job_exits_1_with_its_reason(spoil, reason, tmp_path, monkeypatch):
    paths = job_folder(tmp_path / "job", TABLE)
    spoil(paths)
    monkeypatch.setenv("MLOPS_ML_ROOT", str(paths.root))
    assert main([]) == 1
    assert reason in paths.failure.read_text()
    assert not (paths.output / "dataset.json").exists()


def test_arguments_are_refused():
    with pytest.raises(SystemExit, match="takes no arguments"):
        main(["--help"])


def test_rows_of_a_ragged_table_are_all_counted(tmp_path):
    lines = ["a,b", *(["1,x"] * 200)]
    lines[18] = lines[40] = "1,x,y"
    report = preprocess(tmp_path, "\n".join(lines).encode()).report
    assert report.rows == 200
    assert [each.row for each in report.quality.violations] == [18, 40]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b'a,b\n1,x\n2,y\n3,"z\n4,w\n', 2),
        (b'a,b\n1,"x"\n2,y\n3,"y"z\n4,w\n', 2),
        ("a,b\nñ,é\nü,x\n".encode() + b"z,\xff\n", 2),
        (b'a,b\n1,x\n2,y,z\n3,"z\n4,w\n', 2),
    ],
    ids=["open quote", "text behind a quote", "broken UTF-8", "open quote behind a ragged row"],
)
def test_where_reading_stopped_is_said_and_the_rows_before_are_counted(data, rows, tmp_path):
    report = preprocess(tmp_path, data).report
    assert report.rows == rows
    assert report.quality.violations[-1].row == rows + 1
    assert report.quality.violations[-1].message.endswith(" Reading stopped there.")


def test_encoding_is_named(tmp_path):
    for encoding, name in (("utf-16", "UTF-16"), ("utf-32", "UTF-32"), ("cp1252", "Windows-1252 (Latin-1)")):
        report = preprocess(tmp_path, "a,b\n1,é\n2,y\n".encode(encoding)).report
        assert [each.code for each in report.quality.warnings] == ["encoding"]
        assert name in report.quality.warnings[0].message
    for encoding in ("utf-8", "utf-8-sig"):
        assert not preprocess(tmp_path, "a,b\n1,é\n2,y\n".encode(encoding)).report.quality.warnings


def test_other_bytes_than_announced(tmp_path):
    outcome = preprocess(tmp_path, TABLE, sha256="0" * 64)
    assert outcome.violations == [("sha256_mismatch", None, None)]
    assert outcome.report.sha256 == hashlib.sha256(TABLE).hexdigest()


def test_a_file_whose_hash_nobody_announced_is_hashed(tmp_path):
    outcome = preprocess(tmp_path, TABLE, sha256="")
    assert outcome.violations == []
    assert outcome.report.sha256 == hashlib.sha256(TABLE).hexdigest()


def test_same_table_same_bytes(tmp_path):
    """On any number of threads: figures do not depend on the order in which sums were made."""
    lines = [f"{row * 0.1 % 7:.3f},{row % 13},k{row % 7}" for row in range(250_000)]
    data = "\n".join(["x,y,z", *lines]).encode()
    first, second = (_files(tmp_path / name, data, threads) for name, threads in (("one", "1"), ("two", "2")))
    assert first == second


def _files(root: Path, data: bytes, threads: str) -> dict[str, str]:
    from training.preprocess.job import run

    paths = job_folder(root, data)
    run(paths, {"MLOPS_THREADS": threads})
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in sorted(paths.output.iterdir())}


def test_row_order_is_kept_over_row_groups(tmp_path):
    import pyarrow.parquet as pq

    rows = 250_000
    text = "n,word\n" + "".join(f"{row},w{row}\n" for row in range(rows))
    outcome = preprocess(tmp_path, text.encode())
    assert outcome.values("n") == list(range(rows))
    assert outcome.values("word") == [f"w{row}" for row in range(rows)]
    metadata = pq.read_metadata(outcome.output / "data.parquet")
    assert [metadata.row_group(each).num_rows for each in range(3)] == [102_400, 102_400, 45_200]
    assert metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("name", ["flights.csv.gz", "penguins.csv"])
def test_examples_are_read_cell_by_cell(name, tmp_path):
    import gzip

    data = (ROOT / "examples" / "data" / name).read_bytes()
    outcome = preprocess(tmp_path, data, name)
    assert_same_cells(outcome, (gzip.decompress(data) if name.endswith("gz") else data).decode())
