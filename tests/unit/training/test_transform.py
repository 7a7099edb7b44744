"""Batch scoring: every row answered in order, bad cells named, memory bounded, kill -9 survived."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_contracts.dataset import DatasetReport, Quality
from mlops_contracts.metrics import read_metrics
from mlops_contracts.transform import TransformConfig, TransformProgress
from tests.support.small_bundles import (
    CARRIERS,
    FEATURES,
    write_binary,
    write_boosted,
    write_multiclass,
    write_overflowing,
)
from training import bundle, transform
from training.arrow_cells import table_columns
from training.cells import Field
from training.complaints import RowErrors
from training.csv_out import escape_formulas
from training.features import columns_from_table
from training.responses import NOT_FINITE
from training.transform_input import ScoringTable


def flights(rows: int, seed: int = 1) -> pa.Table:
    generator = np.random.default_rng(seed)
    distance = generator.uniform(100, 3000, rows)
    return pa.table(
        {
            "id": np.arange(rows),
            "carrier": pa.array(generator.choice([*CARRIERS, "ZZ"], rows)),
            "dep_hour": generator.integers(0, 24, rows),
            "weekend": pa.array(generator.random(rows) < 0.3, mask=generator.random(rows) < 0.1),
            "distance": pa.array(distance, mask=generator.random(rows) < 0.1),
            "late": generator.integers(0, 2, rows),
        }
    )


def lay_out(root: Path, table: pa.Table, *, kind: str = "csv", chunk_rows: int = 100, group: int = 70) -> Path:
    channel, config = root / "input" / "data" / "transform", root / "input" / "config"
    channel.mkdir(parents=True)
    config.mkdir(parents=True)
    pq.write_table(table, channel / "data.parquet", row_group_size=group)
    report = DatasetReport(rows=table.num_rows, columns=(), quality=Quality(), sha256="0" * 64, format="csv")
    (channel / "dataset.json").write_text(report.model_dump_json())
    (config / "transform.json").write_text(json.dumps({"format": kind, "chunk_rows": chunk_rows}))
    return root


def run(root: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("MLOPS_ML_ROOT", str(root))
    return transform.main([])


def read_csv(root: Path) -> list[dict[str, str]]:
    with (root / "output" / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def progress(root: Path) -> TransformProgress:
    return TransformProgress.model_validate_json((root / "output" / "progress.json").read_bytes())


def failure(root: Path) -> str:
    return (root / "output" / "failure").read_text()


def test_binary_results_equal_the_bundle_row_by_row(tmp_path, monkeypatch, capsys):
    table = flights(430)
    write_binary(lay_out(tmp_path, table) / "model")
    assert run(tmp_path, monkeypatch) == 0
    model = bundle.load(tmp_path / "model")
    expected = model.scores(columns_from_table(table, model.manifest.features))
    found = read_csv(tmp_path)
    assert list(found[0]) == ["row", "label", "probability_0", "probability_1", "error"]
    assert [int(each["row"]) for each in found] == list(range(1, 431))
    assert [float(each["probability_1"]) for each in found] == expected[:, 1].tolist()
    assert [each["label"] for each in found] == ["1" if p >= 0.4 else "0" for p in expected[:, 1]]
    assert {each["error"] for each in found} == {""}
    assert progress(tmp_path) == TransformProgress(rows=430, done_rows=430, failed_rows=0)
    reported = [value for line in capsys.readouterr().out.splitlines() for _, value in read_metrics(line)]
    assert reported == [0.0, *(done / 430 for done in (100, 200, 300, 400, 430))]


def test_regression_to_parquet(tmp_path, monkeypatch):
    table = flights(250)
    write_boosted(lay_out(tmp_path, table, kind="parquet") / "model", regression=True)
    assert run(tmp_path, monkeypatch) == 0
    results = pq.read_table(tmp_path / "output" / "results.parquet")
    model = bundle.load(tmp_path / "model")
    assert results.column_names == ["row", "value", "error"]
    assert results["value"].to_pylist() == model.scores(columns_from_table(table, model.manifest.features)).tolist()
    assert results["error"].null_count == 250


def test_multiclass_labels_escape_formulas_but_not_numbers(tmp_path, monkeypatch):
    write_multiclass(lay_out(tmp_path, flights(300)) / "model")
    assert run(tmp_path, monkeypatch) == 0
    found = read_csv(tmp_path)
    assert list(found[0])[2:5] == ["probability_-1", "probability_=late", 'probability_a "b", c']
    assert {each["label"] for each in found} == {"-1", "'=late", 'a "b", c'}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"), ("+cmd", "'+cmd"), ("-x", "'-x"), ("@SUM", "'@SUM"), ("\tx", "'\tx"), ("\r=1", "'\r=1"),
        ("-1", "-1"), ("+1.5e3", "+1.5e3"), ("-007", "'-007"), ("-1\n=2", "'-1\n=2"),
        ("a=1", "a=1"), ("", ""), (None, None),
    ],
)  # fmt: skip
def test_escape_formulas(text, written):
    assert escape_formulas(pa.chunked_array([pa.array([text], pa.string())])).to_pylist() == [written]


def test_bad_cells_are_row_errors(tmp_path, monkeypatch):
    table = pa.table(
        {
            "dep_hour": ["1", "x", None, "1e999", "5", "007"],
            "carrier": pa.array(["AA", "UA", "AA", "ZZ", None, "AA"]),
            "weekend": ["true", "False", "maybe", None, "TRUE", "true"],
        }
    )
    write_binary(lay_out(tmp_path, table, chunk_rows=4) / "model")
    assert run(tmp_path, monkeypatch) == 0
    found = read_csv(tmp_path)
    assert [each["error"] for each in found] == [
        "",
        'dep_hour: expected a finite number, got "x"',
        'dep_hour: missing value: training saw none here; send a number; weekend: expected true or false, got "maybe"',
        'dep_hour: expected a finite number, got "1e999"',
        "carrier: missing value: training saw none here; send a string",
        'dep_hour: expected a finite number, got "007"',
    ]
    assert [bool(each["label"]) for each in found] == [True, False, False, False, False, False]
    assert [bool(each["probability_0"]) for each in found] == [True, False, False, False, False, False]
    assert progress(tmp_path) == TransformProgress(rows=6, done_rows=6, failed_rows=5)


def test_infinite_cells_and_rows_without_a_finite_score_are_row_errors(tmp_path, monkeypatch):
    table = pa.table(
        {"dep_hour": [1.0, np.inf, np.nan, 1e300], "carrier": ["AA"] * 4, "distance": [1.0, 1.0, 1.0, 1e300]}
    )
    write_overflowing(lay_out(tmp_path, table) / "model")
    assert run(tmp_path, monkeypatch) == 0
    errors = [each["error"] for each in read_csv(tmp_path)]
    assert errors == [
        "",
        "dep_hour: expected a finite number, got an infinite one",
        "dep_hour: missing value: training saw none here; send a number",
        NOT_FINITE,
    ]


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        (pa.array([1, 2, None]), [1, -2, -1]),
        (pa.array([1.0, 2.5, float("nan")]), [1, 2, -1]),
        (pa.array([True, False, None]), [0, -2, -1]),
        (pa.array(["1", "NA", "true"]).dictionary_encode(), [1, -1, 0]),
        (pa.nulls(3), [-1, -1, -1]),
    ],
)
def test_categories_are_recognised_in_other_types(values, codes):
    feature = FEATURES[3].model_copy(update={"required": False, "categories": ("true", "1", "2.5")})
    sink = RowErrors()
    table = pa.table({"carrier": pa.chunked_array([values])})
    assert table_columns([Field.of(feature)], table, sink)["carrier"].tolist() == codes
    assert sink.errors == {}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (pa.table({"dep_hour": [1.0]}), "carrier: missing: this column is required, a string"),
        (
            pa.table({"dep_hour": [True], "carrier": ["AA"]}),
            "dep_hour: expected a number, but the column's type is bool",
        ),
        (pa.table({"dep_hour": [1], "carrier": ["A"], "weekend": [1]}), "weekend: expected true or false"),
        (pa.table({"dep_hour": [1], "carrier": pa.array([0], pa.timestamp("us"))}), "carrier: expected a string"),
    ],
)
def test_a_table_that_can_never_fit_fails_the_job(tmp_path, monkeypatch, table, says):
    write_binary(lay_out(tmp_path, table) / "model")
    assert run(tmp_path, monkeypatch) == 1
    assert says in failure(tmp_path)
    assert not (tmp_path / "output" / "results.csv").exists()


def test_a_broken_bundle_fails_the_job_naming_the_file(tmp_path, monkeypatch):
    write_binary(lay_out(tmp_path, flights(10)) / "model")
    (tmp_path / "model" / "linear.json").write_text("{}")
    assert run(tmp_path, monkeypatch) == 1
    assert "linear.json" in failure(tmp_path)


def test_files_that_are_missing_or_broken_are_named(tmp_path, monkeypatch):
    write_binary(lay_out(tmp_path, flights(10)) / "model")
    data = tmp_path / "input" / "data" / "transform" / "data.parquet"
    data.write_bytes(b"PAR1 no")
    assert run(tmp_path, monkeypatch) == 1
    assert "cannot be read" in failure(tmp_path)
    data.unlink()
    assert run(tmp_path, monkeypatch) == 1
    assert "data.parquet is missing from transform/" in failure(tmp_path)


def test_no_rows_give_a_header(tmp_path, monkeypatch):
    write_binary(lay_out(tmp_path, flights(0)) / "model")
    assert run(tmp_path, monkeypatch) == 0
    assert (tmp_path / "output" / "results.csv").read_text().count("\n") == 1


@pytest.mark.parametrize("group", [1, 7, 40, 1000])
@pytest.mark.parametrize("first", [0, 1, 3, 4])
def test_chunks_have_their_size_whatever_the_row_groups(tmp_path, group, first):
    table = flights(95)
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=group)
    fields = [Field.of(each) for each in FEATURES]
    chunks = list(ScoringTable(tmp_path / "t.parquet", fields).chunks(20, first))
    assert [each.num_rows for each in chunks] == [20, 20, 20, 20, 15][first:]
    whole = pa.concat_tables(chunks)
    assert whole["dep_hour"].to_pylist() == table["dep_hour"].to_pylist()[20 * first :]


def test_memory_does_not_grow_with_the_file(tmp_path):
    pq.write_table(flights(100_000), tmp_path / "t.parquet", row_group_size=10_000)
    before = pa.total_allocated_bytes()
    table = ScoringTable(tmp_path / "t.parquet", [Field.of(each) for each in FEATURES])
    held = [pa.total_allocated_bytes() - before for _ in table.chunks(3_000, 0)]
    assert max(held[20:]) < 1.5 * max(held[:10])


KILLED = """
import os, signal, sys
from training import transform, transform_parts
add = transform_parts.Parts.add
def dying(self, chunk, table, failed):
    if chunk == {chunk} and {before}:
        os.kill(os.getpid(), signal.SIGKILL)
    part = add(self, chunk, table, failed)
    if chunk == {chunk}:
        os.kill(os.getpid(), signal.{signal})
    return part
transform_parts.Parts.add = dying
sys.exit(transform.main([]))
"""


def run_until(root: Path, chunk: int, *, before: bool = False, by: str = "SIGKILL") -> subprocess.CompletedProcess[str]:
    script = KILLED.format(chunk=chunk, before=before, signal=by)
    environment = {**os.environ, "MLOPS_ML_ROOT": str(root)}
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_killed_twice_it_goes_on_and_ends_with_the_same_file(tmp_path, monkeypatch, kind):
    table = flights(730).set_column(2, "dep_hour", pa.array([None if i % 50 == 0 else i % 24 for i in range(730)]))
    for name in ("whole", "killed"):
        write_binary(lay_out(tmp_path / name, table, kind=kind) / "model")
    assert run(tmp_path / "whole", monkeypatch) == 0
    killed = tmp_path / "killed"
    assert run_until(killed, 2).returncode == -signal.SIGKILL
    assert run_until(killed, 5, before=True).returncode == -signal.SIGKILL
    assert progress(killed) == TransformProgress(rows=730, done_rows=500, failed_rows=10)
    assert not (killed / "output" / f"results.{kind}").exists()
    scored: list[int] = []
    results = transform.Scorer.results
    monkeypatch.setattr(
        transform.Scorer, "results", lambda self, chunk, row: (scored.append(row), results(self, chunk, row))[1]
    )
    assert run(killed, monkeypatch) == 0
    assert scored == [501, 601, 701]
    ends = [(tmp_path / name / "output" / f"results.{kind}").read_bytes() for name in ("whole", "killed")]
    assert ends[0] == ends[1]
    assert progress(killed) == TransformProgress(rows=730, done_rows=730, failed_rows=15)
    assert list((killed / "checkpoints").iterdir()) == []


def test_parts_of_other_settings_are_not_taken(tmp_path, monkeypatch):
    write_binary(lay_out(tmp_path, flights(400)) / "model")
    run_until(tmp_path, 1)
    (tmp_path / "input" / "config" / "transform.json").write_text(TransformConfig(chunk_rows=150).model_dump_json())
    assert run(tmp_path, monkeypatch) == 0
    assert [int(each["row"]) for each in read_csv(tmp_path)] == list(range(1, 401))
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_sigterm_ends_it_after_the_chunk(tmp_path):
    write_binary(lay_out(tmp_path, flights(730)) / "model")
    ended = run_until(tmp_path, 3, by="SIGTERM")
    assert ended.returncode == 143
    assert progress(tmp_path).done_rows == 400
    assert not (tmp_path / "output" / "results.csv").exists()
    assert not (tmp_path / "output" / "failure").exists()


def test_the_program_is_started_by_name(tmp_path):
    write_binary(lay_out(tmp_path, flights(30)) / "model")
    started = time.monotonic()
    environment = {**os.environ, "MLOPS_ML_ROOT": str(tmp_path)}
    subprocess.run([sys.executable, "-m", "training", "transform"], env=environment, check=True, timeout=60)
    assert len(read_csv(tmp_path)) == 30
    assert time.monotonic() - started < 30
