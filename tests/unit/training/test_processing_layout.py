"""preprocess and transform inside a SageMaker processing job, which mounts everything below /opt/ml/processing."""

import csv
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops_contracts.dataset import DatasetReport, Quality
from mlops_contracts.transform import TransformProgress
from tests.support.preprocessing import job_folder
from tests.support.small_bundles import write_binary
from training import transform
from training.failure import JobError
from training.model_archive import unpack_model
from training.paths import MlPaths
from training.preprocess import main as preprocess


@pytest.fixture
def opt_ml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLOPS_ML_ROOT", str(tmp_path))
    return tmp_path


def archive_of(folder: Path, target: Path) -> None:
    target.parent.mkdir(parents=True)
    with tarfile.open(target, "w:gz") as tar:
        tar.add(folder, ".")


def lay_out_transform(opt_ml: Path) -> Path:
    """A job over three rows, as SageMaker mounts it; the root of its tree."""
    root, bundle = opt_ml / "processing", opt_ml / "bundle"
    channel, config = root / "input/data/transform", root / "input/config"
    for folder in (channel, config, bundle):
        folder.mkdir(parents=True)
    write_binary(bundle)
    archive_of(bundle, root / "input/data/model/model.tar.gz")
    table = {"carrier": ["UA", "AA", "UA"], "dep_hour": [1, 2, 3], "weekend": [True] * 3, "distance": np.arange(3.0)}
    pq.write_table(pa.table(table), channel / "data.parquet")
    report = DatasetReport(rows=3, columns=(), quality=Quality(), sha256="0" * 64, format="csv")
    (channel / "dataset.json").write_text(report.model_dump_json())
    (config / "transform.json").write_text(json.dumps({"format": "csv"}))
    return root


def test_paths(tmp_path: Path) -> None:
    environ = {"MLOPS_ML_ROOT": str(tmp_path)}
    assert MlPaths.of_job(environ) == MlPaths(tmp_path)
    (tmp_path / "processing").mkdir()
    inside = MlPaths.of_job(environ)
    assert inside.channel("raw") == tmp_path / "processing/input/data/raw"
    assert inside.output == tmp_path / "processing/output"
    assert inside.progress == tmp_path / "processing/progress"
    assert inside.failure == tmp_path / "output/message"
    assert MlPaths(tmp_path).progress == tmp_path / "output"


def test_preprocess(opt_ml: Path) -> None:
    job_folder(opt_ml / "processing", b"a,b\n1,x\n2,y\n")
    assert preprocess([]) == 0
    names = sorted(each.name for each in (opt_ml / "processing/output").iterdir())
    tables = ["data.parquet", "dataset.json", "preview.json", "profile.json"]
    assert names == sorted([*tables, "statistics.json", "constraints.json"])


def test_a_reason_goes_where_sagemaker_looks_for_it(opt_ml: Path) -> None:
    (opt_ml / "processing").mkdir()
    assert preprocess([]) == 1
    assert "preprocess.json is missing" in (opt_ml / "output/message").read_text()


def test_transform_unpacks_the_model_and_writes_progress_apart(opt_ml: Path) -> None:
    root = lay_out_transform(opt_ml)
    assert transform.main([]) == 0
    with (root / "output/results.csv").open() as results:
        rows = list(csv.DictReader(results))
    assert [row["row"] for row in rows] == ["1", "2", "3"]
    assert [row["error"] for row in rows] == ["", "", ""]
    assert [each.name for each in (root / "output").iterdir()] == ["results.csv"]
    progress = TransformProgress.model_validate_json((root / "progress/progress.json").read_bytes())
    assert progress == TransformProgress(rows=3, done_rows=3, failed_rows=0)


def test_a_table_that_does_not_fit_is_explained_to_sagemaker(opt_ml: Path) -> None:
    root = lay_out_transform(opt_ml)
    pq.write_table(pa.table({"carrier": [1.5]}), root / "input/data/transform/data.parquet")
    assert transform.main([]) == 1
    assert "does not fit the model's signature" in (opt_ml / "output/message").read_text()


def test_an_archive_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    paths = MlPaths(tmp_path / "job")
    paths.channel("model").mkdir(parents=True)
    with tarfile.open(paths.channel("model") / "m.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("../../escaped")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(JobError, match="cannot be unpacked"):
        unpack_model(paths)
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\x00broken"])
def test_a_broken_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    paths = MlPaths(tmp_path)
    paths.channel("model").mkdir(parents=True)
    (paths.channel("model") / "m.tar.gz").write_bytes(content)
    with pytest.raises(JobError, match="cannot be unpacked"):
        unpack_model(paths)


def test_the_model_channel_holds_one_file(tmp_path: Path) -> None:
    paths = MlPaths(tmp_path)
    unpack_model(paths)  # without the channel the model lies in its folder already
    paths.channel("model").mkdir(parents=True)
    with pytest.raises(JobError, match="holds 0 files"):
        unpack_model(paths)
