"""The scorer of each algorithm equals the fitted library estimator, and fits repeat themselves exactly."""

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pytest
import xgboost

from mlops_contracts.hyperparameters import HYPERPARAMETERS, PROBLEM_TYPES
from tests.support.mixed_table import FEATURES, mixed_table, strange_rows
from tests.support.training_data import report_of
from training.checkpoint import Checkpoint
from training.estimators import FitTask, fit
from training.estimators.base import balanced
from training.estimators.forest import _rounded_down
from training.estimators.linear import Design
from training.estimators.stopping_rows import STOPPING_FROM_ROWS, stopping_split
from training.failure import JobStopped
from training.features import Encoder, columns_from_table, fit_features
from training.scorers.boosted import BoostedScorer
from training.scorers.forest import ForestScorer
from training.scorers.linear import LinearScorer
from training.target import read_target

TARGETS = {"binary": ("two", "boolean"), "multiclass": ("three", "categorical"), "regression": ("amount", "numeric")}
CASES = [(algorithm, problem) for algorithm, problems in PROBLEM_TYPES.items() for problem in problems]
SMALL = {"random_forest": {"n_estimators": 12}, "xgboost": {"n_estimators": 25}, "logistic_regression": {}}


class Told:
    """Progress that is kept, and a stop after so many reports."""

    def __init__(self, stop_after=None):
        self.lines, self.shares, self.metrics, self.stop_after = [], [], [], stop_after

    def fit(self, share, **metrics):
        self.shares.append(share)
        self.metrics.append(metrics)

    def say(self, text):
        self.lines.append(text)

    def stop_requested(self):
        return self.stop_after is not None and len(self.shares) >= self.stop_after


class Case:
    """One fit of the mixed table, a fifth of the rows held out."""

    parts: ClassVar = (np.arange(300, 1500), np.arange(300))

    def __init__(self, algorithm, problem, folder, *, weight=False, threads=2, time=None, **chosen):
        table, (name, kind) = mixed_table(), TARGETS[problem]
        target = read_target(table[name], name, kind, problem, algorithm)
        train, valid = (table.take(pa.array(part)) for part in self.parts)
        y, y_valid = (target.y[part] for part in self.parts)
        self.features = fit_features(
            train, report_of(table), FEATURES, algorithm=algorithm, outcome=target.outcome()[self.parts[0]]
        )
        self.encoder = Encoder(self.features, algorithm)
        matrix, self.matrix_valid = (self.encoder.matrix(columns_from_table(t, self.features)) for t in (train, valid))
        self.matrix_strange = self.encoder.matrix(columns_from_table(strange_rows(), self.features))
        self.task = FitTask(
            problem_type=problem,
            classes=len(target.classes),
            encoder=self.encoder,
            matrix=matrix,
            y=y,
            weight=balanced(y, len(target.classes)) if weight else None,
            matrix_valid=self.matrix_valid,
            y_valid=y_valid,
            hyperparameters=HYPERPARAMETERS[algorithm].model_validate(SMALL[algorithm] | chosen),
            seed=3,
            threads=threads,
            checkpoints=folder / "checkpoints",
            checkpoint_key="k",
            time=time,
        )
        self.algorithm, self.problem = algorithm, problem

    def reload(self, fitted, folder):
        fitted.scorer.save(folder)
        kind = {"random_forest": ForestScorer, "xgboost": BoostedScorer, "logistic_regression": LinearScorer}
        return kind[self.algorithm].load(
            folder, self.encoder.width, self.task.classes, **({"threads": 2} if self.algorithm == "xgboost" else {})
        )

    def reference(self, fitted, matrix):
        """What the library's own estimator says, in the scorer's shape."""
        if self.algorithm == "xgboost":
            raw = fitted.estimator.predict(xgboost.DMatrix(matrix))
            return np.stack([1 - raw, raw], axis=1) if self.problem == "binary" else raw
        if self.algorithm == "logistic_regression":
            matrix = Design.of(self.encoder, self.task.matrix).dense(matrix)
        return (
            fitted.estimator.predict(matrix) if self.problem == "regression" else fitted.estimator.predict_proba(matrix)
        )


@pytest.mark.parametrize("weight", [False, True])
@pytest.mark.parametrize(("algorithm", "problem"), CASES)
def test_scores_equal_the_fitted_estimators(tmp_path, algorithm, problem, weight):
    if weight and problem == "regression":
        pytest.skip("class weights are for classes")
    case = Case(algorithm, problem, tmp_path, weight=weight)
    fitted = fit(case.task, Told())
    scorer = case.reload(fitted, tmp_path)
    for matrix in (case.matrix_valid, case.matrix_strange, case.matrix_valid[:1], np.tile(case.matrix_valid, (40, 1))):
        expected = case.reference(fitted, matrix)
        scale = np.abs(expected).max() if problem == "regression" else 1.0
        for scores in (fitted.scorer.scores(matrix), scorer.scores(matrix)):
            assert scores.shape == expected.shape
            assert scores.dtype == np.float64
            assert np.abs(scores - expected).max() <= 1e-6 * scale
        if problem != "regression":
            np.testing.assert_allclose(
                scorer.scores(matrix).sum(axis=1), 1.0, atol=1e-9 if algorithm != "random_forest" else 1e-6
            )


@pytest.mark.parametrize(("algorithm", "problem"), CASES)
def test_models_learn(tmp_path, algorithm, problem):
    case = Case(algorithm, problem, tmp_path)
    scores, y = fit(case.task, Told()).scorer.scores(case.matrix_valid), case.task.y_valid
    if problem == "regression":
        assert np.corrcoef(scores, y)[0, 1] > 0.8
    else:
        assert (scores.argmax(axis=1) == y).mean() > 0.65


@pytest.mark.parametrize(("algorithm", "problem"), CASES)
def test_same_task_gives_the_same_model(tmp_path, algorithm, problem):
    chosen = {"subsample": 0.7, "colsample_bytree": 0.7} if algorithm == "xgboost" else {}
    scores = [
        fit(case.task, Told()).scorer.scores(case.matrix_valid)
        for case in (Case(algorithm, problem, tmp_path, **chosen) for _ in range(2))
    ]
    assert np.array_equal(scores[0], scores[1])


def test_balanced_weights_are_scikit_learns():
    y = np.array([0, 0, 0, 1])
    assert balanced(y, 2).tolist() == pytest.approx([4 / 6, 4 / 6, 4 / 6, 2.0])


@pytest.mark.parametrize("algorithm", ["random_forest", "xgboost", "logistic_regression"])
def test_class_weights_raise_the_rare_class(tmp_path, algorithm):
    means = [
        fit(case.task, Told()).scorer.scores(case.matrix_valid)[:, 1].mean()
        for case in (Case(algorithm, "binary", tmp_path, weight=weight) for weight in (False, True))
    ]
    share = Case(algorithm, "binary", tmp_path).task.y.mean()
    assert (means[1] > means[0]) == (share < 0.5)


def test_forest_thresholds_are_rounded_down():
    thresholds = np.random.default_rng(0).normal(size=10_000) * 1e3
    low = _rounded_down(thresholds)
    assert low.dtype == np.float32
    assert (low <= thresholds).all()
    assert (np.nextafter(low, np.float32(np.inf)) > thresholds).all()


def test_linear_uses_a_sparse_matrix_for_many_columns(tmp_path, monkeypatch):
    case = Case("logistic_regression", "multiclass", tmp_path)
    design = Design.of(case.encoder, case.task.matrix)
    assert np.array_equal(design.sparse(case.matrix_strange).toarray(), design.dense(case.matrix_strange))
    newton = fit(case.task, Told()).scorer.scores(case.matrix_valid)
    monkeypatch.setattr("training.estimators.linear.NEWTON_UP_TO", 0)
    told = Told()
    lbfgs = fit(case.task, told).scorer.scores(case.matrix_valid)
    assert any("solver=lbfgs" in line for line in told.lines)
    assert np.abs(newton - lbfgs).max() < 1e-3


@pytest.mark.parametrize("magnitude", [1e200, 1e29, 1.0, 1e-200, 1e-280])
def test_linear_learns_from_numbers_of_any_size(magnitude):
    draw = np.random.default_rng(0)
    source = pa.table({"x": draw.normal(size=500) * magnitude})
    features = fit_features(source, report_of(source), ["x"], algorithm="logistic_regression")
    encoder = Encoder(features, "logistic_regression")
    matrix = encoder.matrix(columns_from_table(source, features))
    design = Design.of(encoder, matrix)
    assert design.dense(matrix).std() == pytest.approx(1.0)
    scorer = design.scorer(np.array([[3.0]]), np.zeros(1))
    assert np.isfinite(scorer.coefficients).all()
    assert np.ptp(scorer.scores(matrix)) > 0.8


@pytest.mark.parametrize("value", [0.0, 1e-310, 7.0])
def test_a_column_without_variance_is_left_alone(value):
    source = pa.table({"x": [value] * 20})
    features = fit_features(source, report_of(source), ["x"], algorithm="logistic_regression")
    encoder = Encoder(features, "logistic_regression")
    assert Design.of(encoder, encoder.matrix(columns_from_table(source, features))).scale.tolist() == [1.0]


def test_linear_says_when_it_did_not_converge(tmp_path):
    told = Told()
    fit(Case("logistic_regression", "binary", tmp_path, max_iter=1).task, told)
    assert any(line.startswith("warning: ") for line in told.lines)


# --------------------------------------------------------------------------- xgboost round by round


def test_early_stopping_keeps_the_best_round(tmp_path):
    case = Case("xgboost", "binary", tmp_path, n_estimators=400, learning_rate=0.5, early_stopping_rounds=5)
    told = Told()
    fitted = fit(case.task, told)
    rounds = int(told.lines[-1].split("rounds=")[1].split()[0])
    best = int(told.lines[-1].split("best_round=")[1])
    assert rounds < 400
    assert rounds == best + 1 + 5
    assert fitted.estimator.num_boosted_rounds() == best + 1


def test_stopping_rows_are_training_rows_that_no_tree_is_fitted_on(tmp_path):
    told = Told()
    fit(Case("xgboost", "binary", tmp_path, early_stopping_rounds=5).task, told)
    assert "phase=fit fitted_rows=1080 early_stopping_rows=120 watched_rows=300" in told.lines
    y = np.arange(1200) % 2
    parts = stopping_split("binary", y, None, 3)
    assert len(parts.valid) == 120
    assert not set(parts.train) & set(parts.valid)
    newest = stopping_split("binary", y, np.arange(1200.0), 3)
    assert newest.valid.tolist() == list(range(1080, 1200))
    assert stopping_split("binary", y[: STOPPING_FROM_ROWS - 1], None, 3) is None
    assert stopping_split("binary", y, np.ones(1200), 3) is None


def test_a_coarse_time_column_does_not_spare_half_of_the_rows_for_stopping(tmp_path):
    told = Told()
    fit(Case("xgboost", "binary", tmp_path, early_stopping_rounds=5, time=np.arange(1200) // 600).task, told)
    assert "phase=fit fitted_rows=1080 early_stopping_rows=120 watched_rows=300" in told.lines


def test_held_out_rows_are_only_watched(tmp_path):
    one, two = Case("xgboost", "binary", tmp_path), Case("xgboost", "binary", tmp_path)
    object.__setattr__(two.task, "y_valid", 1 - two.task.y_valid)
    scores = [fit(case.task, Told()).scorer.scores(case.matrix_valid) for case in (one, two)]
    assert np.array_equal(scores[0], scores[1])


def test_live_metrics_are_few_and_improve(tmp_path):
    told = Told()
    fit(Case("xgboost", "binary", tmp_path, n_estimators=300, early_stopping_rounds=0).task, told)
    assert 50 <= len(told.metrics) <= 70
    assert told.metrics[-1]["round"] == 300
    assert told.metrics[-1]["train_logloss"] < told.metrics[0]["train_logloss"]
    assert 0.5 < told.metrics[-1]["validation_auc"] <= 1
    assert told.shares == sorted(told.shares)


def test_live_metrics_look_at_a_bounded_share_of_the_held_out_rows(tmp_path, monkeypatch):
    told, bounded = Told(), Told()
    whole = fit(Case("xgboost", "binary", tmp_path / "whole").task, told)
    monkeypatch.setattr("training.estimators.boosted.WATCHED_ROWS", 60)
    case = Case("xgboost", "binary", tmp_path / "bounded")
    fitted = fit(case.task, bounded)
    assert any("watched_rows=60" in line for line in bounded.lines)
    assert bounded.metrics[-1]["validation_auc"] == pytest.approx(told.metrics[-1]["validation_auc"], abs=0.2)
    assert bounded.metrics[-1]["validation_auc"] != told.metrics[-1]["validation_auc"]
    assert np.array_equal(*(each.scorer.scores(case.matrix_valid) for each in (whole, fitted)))


def test_stop_saves_a_checkpoint_and_a_new_attempt_goes_on_to_the_same_model(tmp_path):
    def chosen(folder):
        return Case("xgboost", "multiclass", folder, n_estimators=120, learning_rate=0.05)

    whole = chosen(tmp_path / "whole")
    expected = fit(whole.task, Told()).scorer.scores(whole.matrix_valid)
    case = chosen(tmp_path / "stopped")
    with pytest.raises(JobStopped):
        fit(case.task, Told(stop_after=10))
    told = Told()
    resumed = fit(case.task, told).scorer.scores(case.matrix_valid)
    assert "phase=resume rounds=19" in told.lines
    assert told.metrics[0]["round"] > 18
    assert np.abs(resumed - expected).max() < 1e-6


def test_checkpoint_of_another_configuration_is_not_read(tmp_path):
    case = Case("xgboost", "binary", tmp_path, n_estimators=120)
    with pytest.raises(JobStopped):
        fit(case.task, Told(stop_after=10))
    object.__setattr__(case.task, "checkpoint_key", "other")
    told = Told()
    fit(case.task, told)
    assert not any("resume" in line for line in told.lines)


def test_checkpoints_are_due_by_time_and_replace_each_other(tmp_path):
    checkpoint = Checkpoint(tmp_path / "new", "k", every=0.0)
    assert checkpoint.read() is None
    assert checkpoint.due()
    checkpoint.write(b"one")
    checkpoint.write(b"two")
    assert checkpoint.read() == b"two"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["k.ubj"]
    assert not Checkpoint(tmp_path, "k", every=60).due()


def test_forest_stops_between_batches(tmp_path):
    with pytest.raises(JobStopped):
        fit(Case("random_forest", "binary", tmp_path).task, Told(stop_after=2))
