import json
import os
import subprocess
import sys

import numpy as np
import pytest

from mlops_contracts.bundle import Feature, Manifest
from training import bundle
from training.bundle import BundleError
from training.scorers.forest import ForestScorer
from training.scorers.linear import LinearScorer

NUMBER = Feature(name="x", type="numeric", required=True, fill=0.0)
CITY = Feature(name="city", type="categorical", required=False, categories=("a", "b"))


def manifest(algorithm="logistic_regression", **changes):
    values = {
        "algorithm": algorithm,
        "problem_type": "binary",
        "target": "y",
        "features": (NUMBER, CITY),
        "classes": ("0", "1"),
        "threshold": 0.5,
        "dataset": "d:1",
        "dataset_sha256": "",
        "seed": 0,
        "training_rows": 1,
        "validation_rows": 1,
        "hyperparameters": {},
        "libraries": {},
        "metrics": {},
        "importance": {},
        "files": {},
    }
    return Manifest.model_validate(values | changes)


def linear():
    """log-odds = 1 + 2 (x - 3) + (0.5 missing | -1 a | 1 b)"""
    table = np.array([[0.0], [0.5], [-1.0], [1.0]])
    return LinearScorer(np.array([3.0]), np.array([[2.0]]), np.array([1.0]), (table,))


def forest(regression=False):
    """Tree 1: x > 1 ? 0.9 : 0.2. Tree 2: a single leaf, 0.4."""
    value = np.array([[0.0], [0.2], [0.9], [0.4]])
    return ForestScorer(
        feature=np.zeros(4, dtype=np.intp),
        threshold=np.array([1.0, np.inf, np.inf, np.inf], dtype=np.float32),
        left=np.array([1, 1, 2, 3]),
        value=value if regression else np.hstack([1 - value, value]),
        root=np.array([0, 3]),
        depth=np.array([1, 0]),
        regression=regression,
    )


def columns(x, city):
    return {"x": np.array(x, dtype=np.float64), "city": np.array(city, dtype=np.int32)}


def test_linear_by_hand(tmp_path):
    bundle.write(tmp_path, manifest(), linear())
    scores = bundle.load(tmp_path).scores(columns([3.0, 4.0, 3.0, 3.0], [0, 1, -1, -2]))
    odds = np.array([0.0, 4.0, 1.5, 1.0])
    np.testing.assert_allclose(scores[:, 1], 1 / (1 + np.exp(-odds)), rtol=1e-12)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0)


def test_linear_far_from_the_boundary_stays_finite(tmp_path):
    bundle.write(tmp_path, manifest(), linear())
    scores = bundle.load(tmp_path).scores(columns([1e300, -1e300], [0, 0]))
    np.testing.assert_allclose(scores, [[0, 1], [1, 0]])


@pytest.mark.parametrize("rows", [1, 1_500, 1_501, 9_000])
def test_forest_by_hand(tmp_path, rows):
    bundle.write(tmp_path, manifest("random_forest"), forest())
    x = np.resize([1.0, 1.5, float("nan")], rows)
    scores = bundle.load(tmp_path, threads=2).scores(columns(x, np.zeros(rows)))
    np.testing.assert_allclose(scores[:, 1], np.resize([0.3, 0.65, 0.3], rows))


def test_regression_has_one_value_a_row(tmp_path):
    bundle.write(
        tmp_path, manifest("random_forest", problem_type="regression", classes=(), threshold=None), forest(True)
    )
    assert bundle.load(tmp_path).scores(columns([0.0, 2.0], [0, 0])).tolist() == pytest.approx([0.3, 0.65])


def test_manifest_lists_every_file_with_its_digest(tmp_path):
    (tmp_path / "model-card.md").write_text("card")
    written = bundle.write(tmp_path, manifest(), linear())
    assert set(written.files) == {"model-card.md", "linear.json"}
    assert bundle.load(tmp_path).manifest == written
    assert written.files["model-card.md"].size_bytes == 4


def test_changed_files_are_named(tmp_path):
    (tmp_path / "model-card.md").write_text("card")
    bundle.write(tmp_path, manifest(), linear())
    (tmp_path / "model-card.md").write_text("cart")
    with pytest.raises(BundleError, match=r"^model-card\.md: sha256 is "):
        bundle.load(tmp_path)
    (tmp_path / "model-card.md").unlink()
    with pytest.raises(BundleError, match=r"^model-card\.md: listed in manifest\.json, but not found"):
        bundle.load(tmp_path)


def rewrite(folder, **changes):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format_version": 2}, "format version 2; this program reads 1"),
        ({"seed": "x"}, "seed"),
        ({"files": {}}, r"does not list linear\.json"),
        ({"files": {"../secret": {"sha256": "", "size_bytes": 0}}}, "not a plain file name"),
        ({"classes": ["0", "1", "2"]}, r"^linear\.json: its shapes do not fit"),
        ({"algorithm": "random_forest"}, r"does not list forest\.npz"),
    ],
)
def test_manifests_that_do_not_fit(tmp_path, changes, text):
    bundle.write(tmp_path, manifest(), linear())
    rewrite(tmp_path, **changes)
    with pytest.raises(BundleError, match=text):
        bundle.load(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{"])
def test_broken_manifest(tmp_path, text):
    with pytest.raises(BundleError, match=r"manifest\.json: not found"):
        bundle.load(tmp_path)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"^manifest\.json"):
        bundle.load(tmp_path)


class Raw:
    """Writes any bytes as a model file."""

    def __init__(self, file, content):
        self.file, self.content = file, content

    def save(self, folder):
        (folder / self.file).write_bytes(self.content)

    def scores(self, matrix):
        raise NotImplementedError


@pytest.mark.parametrize(
    ("algorithm", "file"),
    [("xgboost", "model.ubj"), ("random_forest", "forest.npz"), ("logistic_regression", "linear.json")],
)
@pytest.mark.parametrize("content", [b"", b"{}", b"PK\x03\x04 garbage"])
def test_model_files_that_are_none(tmp_path, algorithm, file, content):
    bundle.write(tmp_path, manifest(algorithm), Raw(file, content))
    with pytest.raises(BundleError, match=f"^{file}: "):
        bundle.load(tmp_path)


def test_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "made.npz", **dict.fromkeys(("feature", "threshold"), np.array([object()])))
    bundle.write(tmp_path, manifest("random_forest"), Raw("forest.npz", (tmp_path / "made.npz").read_bytes()))
    (tmp_path / "made.npz").unlink()
    rewrite(tmp_path, files={"forest.npz": json.loads((tmp_path / "manifest.json").read_text())["files"]["forest.npz"]})
    with pytest.raises(BundleError, match=r"forest\.npz: not a forest: Object arrays cannot be loaded"):
        bundle.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "values"), [("left", [9, 1, 2, 3]), ("root", [0, -1]), ("feature", [5, 0, 0, 0]), ("depth", [1])]
)
def test_forests_that_point_outside_are_refused(tmp_path, name, values):
    from dataclasses import replace

    bundle.write(tmp_path, manifest("random_forest"), replace(forest(), **{name: np.array(values)}))
    with pytest.raises(BundleError, match=r"^forest\.npz: its"):
        bundle.load(tmp_path)


@pytest.mark.parametrize(("algorithm", "scorer"), [("logistic_regression", linear()), ("random_forest", forest())])
def test_scoring_imports_neither_scikit_learn_nor_xgboost(tmp_path, algorithm, scorer):
    bundle.write(tmp_path, manifest(algorithm), scorer)
    code = (
        "import sys, pathlib; from training import bundle; bundle.load(pathlib.Path(sys.argv[1]));"
        "sys.exit(any(name in sys.modules for name in ('sklearn', 'xgboost', 'pandas', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0


def test_threads_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("MLOPS_THREADS", "7")
    assert bundle.machine_threads() == 7
    monkeypatch.delenv("MLOPS_THREADS")
    assert bundle.machine_threads() == len(os.sched_getaffinity(0))
