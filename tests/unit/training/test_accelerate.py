"""model.onnx answers as the model does, is left out where it does not, and is used where it is faster."""

import time
from pathlib import Path

import numpy as np
import pytest
import xgboost

from mlops_contracts.bundle import GRAPH, Accelerated, Feature
from tests.support.small_bundles import manifest
from training import bundle
from training.accelerate import accelerate, fastest, made_up
from training.features import Encoder
from training.onnx_model import MAX_NODES, build
from training.reporter import Reporter
from training.scorers.base import ModelFileError, Scorer
from training.scorers.boosted import BoostedScorer
from training.scorers.forest import ForestScorer
from training.scorers.linear import LinearScorer
from training.scorers.measured import BySize, chosen, difference
from training.scorers.onnx import OnnxScorer
from training.stopping import StopRequest

FEATURES = (
    Feature(name="a", type="numeric", required=True, fill=0.0, minimum=-3.0, maximum=3.0),
    Feature(name="b", type="numeric", required=False, fill=0.0, minimum=-3.0, maximum=3.0),
    Feature(name="c", type="categorical", required=False, fill=1.0, categories=tuple("vwxyz")),
)


def boosted(objective: str, classes: int = 0, trees: int = 40) -> BoostedScorer:
    draw = np.random.default_rng(0)
    matrix = made_up(Encoder(FEATURES, "xgboost"), 1024)
    score = np.nan_to_num(matrix[:, 0]) * 2 + np.nan_to_num(matrix[:, 2]) + draw.normal(size=len(matrix))
    y = score if not classes else np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))
    settings = {"objective": objective, "max_depth": 6, "nthread": 1} | ({"num_class": classes} if classes > 2 else {})
    return BoostedScorer(xgboost.train(settings, xgboost.DMatrix(matrix, label=y), trees), 1)


def forest(classes: int, trees: int = 20) -> ForestScorer:
    """Full trees of depth 4 with random splits and leaves."""
    draw = np.random.default_rng(1)
    inner, nodes = 15, 31
    place = np.arange(nodes)
    left = np.where(place < inner, 2 * place + 1, place)
    value = draw.random((trees * nodes, classes or 1)).astype(np.float32)
    return ForestScorer(
        feature=draw.integers(0, 3, trees * nodes), threshold=np.where(
            np.tile(place < inner, trees), draw.normal(size=trees * nodes), np.inf).astype(np.float32),
        left=np.concatenate([left + tree * nodes for tree in range(trees)]),
        value=value / value.sum(axis=1, keepdims=True) if classes else value * 100,
        root=np.arange(trees) * nodes, depth=np.full(trees, 4), regression=not classes,
    )  # fmt: skip


MODELS = {
    "boosted binary": (lambda: boosted("binary:logistic", 2), "xgboost", 2),
    "boosted multiclass": (lambda: boosted("multi:softprob", 3), "xgboost", 3),
    "boosted regression": (lambda: boosted("reg:squarederror"), "xgboost", 0),
    "forest binary": (lambda: forest(2), "random_forest", 2),
    "forest multiclass": (lambda: forest(3), "random_forest", 3),
    "forest regression": (lambda: forest(0), "random_forest", 0),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_graph_agrees_with_the_model_on_missing_and_unseen_cells_too(name):
    make, algorithm, classes = MODELS[name]
    scorer, encoder = make(), Encoder(FEATURES, algorithm)
    rows = made_up(encoder, 2000)
    content = build(scorer, encoder.width)
    assert content is not None
    graph = OnnxScorer.load(content, encoder.width, classes)
    assert graph.scores(rows).shape == scorer.scores(rows).shape
    assert difference(graph.scores(rows), scorer.scores(rows)) <= 1e-6
    if isinstance(scorer, ForestScorer):
        edges = np.repeat(scorer.threshold[:60, None], 3, axis=1)  # equal to a threshold goes left
        assert difference(graph.scores(edges), scorer.scores(edges)) <= 1e-6


def made(scorer: Scorer, algorithm: str, classes: int):
    encoder = Encoder(FEATURES, algorithm)
    columns = {"a": np.zeros(5), "b": np.full(5, np.nan), "c": np.arange(5, dtype=np.int32)}
    return accelerate(scorer, encoder, columns, classes, Reporter(StopRequest()))


def test_a_graph_that_differs_is_left_out_and_said(capsys, monkeypatch):
    scorer = boosted("binary:logistic", 2)
    assert made(scorer, "xgboost", 2) is not None
    monkeypatch.setattr("training.onnx_model._margin", lambda *_: np.array([0.001]))
    assert made(scorer, "xgboost", 2) is None
    assert "no model.onnx: it differs" in capsys.readouterr().out


def test_a_linear_model_and_a_very_large_forest_have_none(monkeypatch):
    linear = LinearScorer(np.zeros(2), np.zeros((2, 1)), np.zeros(1), ())
    assert made(linear, "logistic_regression", 2) is None
    assert MAX_NODES >= 100_000
    monkeypatch.setattr("training.onnx_model.MAX_NODES", 100)
    assert made(forest(2), "random_forest", 2) is None


def write(folder: Path) -> Path:
    scorer = boosted("binary:logistic", 2)
    graph = made(scorer, "xgboost", 2)
    assert graph is not None
    folder.mkdir()
    (folder / GRAPH).write_bytes(graph.content)
    bundle.write(folder, manifest(algorithm="xgboost", features=FEATURES, accelerated=graph.facts), scorer)
    return folder


def test_a_model_server_scores_small_requests_with_the_graph(tmp_path):
    folder = write(tmp_path / "model")
    served, plain = bundle.load(folder, threads=1, small_requests=True), bundle.load(folder, threads=1)
    assert isinstance(served.scorer, BySize)
    assert isinstance(plain.scorer, BoostedScorer)
    rows = made_up(served.encoder, 1000)
    assert difference(served.scorer.scores(rows), plain.scorer.scores(rows)) <= 1e-6


def test_a_damaged_or_missing_graph_is_named(tmp_path):
    folder = write(tmp_path / "model")
    (folder / GRAPH).write_bytes(b"not a graph")
    with pytest.raises(bundle.BundleError, match=r"model\.onnx: sha256"):
        bundle.load(folder, small_requests=True)
    with pytest.raises(ModelFileError, match="not a graph"):
        fastest(folder / GRAPH, boosted("binary:logistic", 2), Encoder(FEATURES, "xgboost"), 2)
    other = tmp_path / "other"
    facts = Accelerated(max_difference=0, checked_rows=1)
    bundle.write(
        other, manifest(algorithm="xgboost", features=FEATURES, accelerated=facts), boosted("binary:logistic", 2)
    )
    with pytest.raises(bundle.BundleError, match=r"does not list model\.onnx"):
        bundle.load(other, small_requests=True)


class Slow:
    """Scores zeros, taking so long for a call."""

    file = ""

    def __init__(self, seconds: float, value: float = 0.0) -> None:
        self.seconds, self.value = seconds, value

    def scores(self, matrix):
        time.sleep(self.seconds * (1 + len(matrix) / 100))
        return np.full(len(matrix), self.value)

    def save(self, folder: Path) -> None: ...


def test_the_faster_one_is_chosen_and_a_disagreeing_one_never():
    rows = np.zeros((20, 1))
    assert isinstance(chosen(Slow(0.0001), Slow(0.005), rows), BySize)
    native = Slow(0.0001)
    assert chosen(Slow(0.005), native, rows) is native
    assert chosen(Slow(0.0001, value=1.0), native, rows) is native


def test_difference_counts_what_is_not_finite():
    assert difference(np.array([1.0, np.nan]), np.array([1.0, np.nan])) == 0
    assert difference(np.array([1.0, np.nan]), np.array([1.0, 1.0])) == float("inf")
    assert difference(np.array([2e6]), np.array([2e6 + 1])) == pytest.approx(5e-7)
    assert difference(np.array([[0.5, 0.5]]), np.array([[0.4, 0.6]])) == pytest.approx(0.1)
