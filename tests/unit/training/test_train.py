"""The whole program, from input/ to model/ and output/failure."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pytest

from mlops_contracts.bundle import Manifest
from mlops_contracts.evaluation import Evaluation
from mlops_contracts.metrics import read_metrics
from tests.support.mixed_table import FEATURES, mixed_table
from tests.support.training_data import flights, penguins, write_job
from training import bundle, train
from training.failure import MAX_REASON, STOPPED, JobError, JobStopped, guarded
from training.features import columns_from_table
from training.paths import MlPaths

ALGORITHMS = ("logistic_regression", "random_forest", "xgboost")
QUICK = {"random_forest": {"n_estimators": 10}, "xgboost": {"n_estimators": 20}, "logistic_regression": {}}


@pytest.fixture(autouse=True)
def _root(tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_ML_ROOT", str(tmp_path))


def job(root, table, algorithm, target, hyperparameters=None, **config):
    chosen = QUICK[algorithm] if hyperparameters is None else hyperparameters
    write_job(root, table, chosen, algorithm=algorithm, target=target, **config)


def metrics_of(text):
    return [pair for line in text.splitlines() for pair in read_metrics(line)]


def failure(root):
    return (root / "output" / "failure").read_text()


# --------------------------------------------------------------------------- what comes out


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("target", ["two", "three", "amount"])
def test_a_job_gives_a_bundle_that_scores_as_it_says(tmp_path, capsys, algorithm, target):
    if (algorithm, target) == ("logistic_regression", "amount"):
        pytest.skip("no regression")
    others = [name for name in ("two", "three", "amount") if name != target]
    table = mixed_table()
    job(tmp_path, table, algorithm, target, exclude=others, dataset_sha256="ab")
    assert train.main([]) == 0
    loaded = bundle.load(tmp_path / "model")
    manifest = loaded.manifest
    evaluation = Evaluation.model_validate_json((tmp_path / "model" / "evaluation.json").read_bytes())
    assert set(manifest.files) == {
        "constraints.json",
        "evaluation.json",
        "model-card.md",
        "statistics.json",
        loaded.scorer.file,
    } | (set() if algorithm == "logistic_regression" else {"model.onnx"})
    assert [feature.name for feature in manifest.features] == list(FEATURES)
    assert manifest.validation_rows == pytest.approx(300, abs=1)
    assert manifest.training_rows + manifest.validation_rows == 1500
    assert manifest.metrics == evaluation.metrics
    assert set(manifest.importance) == set(FEATURES)
    assert (manifest.dataset, manifest.dataset_sha256) == ("d:1", "ab")
    assert {**dict.fromkeys(others, "it was left out in training"), target: "it is the target"}.items() <= (
        manifest.ignored.items()
    )
    assert {*manifest.ignored, *FEATURES} == set(table.column_names)
    assert (tmp_path / "output" / "failure").exists() is False

    scores = loaded.scores(columns_from_table(table, manifest.features))
    if manifest.problem_type == "regression":
        assert np.corrcoef(scores, table[target])[0, 1] > 0.8
    else:
        truth = [str(value).lower() for value in table[target].to_pylist()]
        assert (
            np.mean([manifest.classes[code] == label for code, label in zip(scores.argmax(1), truth, strict=True)])
            > 0.7
        )

    told = metrics_of(capsys.readouterr().out)
    progress = [value for name, value in told if name == "progress"]
    assert (progress[0], progress[-1]) == (0.0, 1.0)
    assert progress == sorted(progress)
    last = dict(told)
    objective = "rmse" if manifest.problem_type == "regression" else "auc"
    assert last[f"validation:{objective}"] == evaluation.metrics[objective]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_same_job_gives_the_same_files(tmp_path, algorithm):
    files = []
    for _ in range(2):
        job(tmp_path, mixed_table(), algorithm, "two", exclude=["three", "amount"], seed=5)
        assert train.main([]) == 0
        files.append({path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()})
    assert files[0].keys() == files[1].keys()
    for name in ("manifest.json", "evaluation.json", "statistics.json"):
        left, right = (json.loads(each[name]) for each in files)
        if name == "manifest.json":
            # a zip archive holds the time of writing
            left["files"].pop("forest.npz", None), right["files"].pop("forest.npz", None)
        assert left == right


def test_seed_changes_the_split(tmp_path):
    metrics = []
    for seed in (0, 1):
        job(tmp_path, mixed_table(), "logistic_regression", "two", exclude=["three", "amount"], seed=seed)
        assert train.main([]) == 0
        metrics.append(bundle.load(tmp_path / "model").manifest.metrics)
    assert metrics[0] != metrics[1]


def test_time_column_holds_out_the_newest_rows(tmp_path):
    table = mixed_table(1000).append_column("day", pa.array(np.arange(1000) // 10))
    job(tmp_path, table, "xgboost", "two", exclude=["three", "amount"], time_column="day", validation_fraction=0.3)
    assert train.main([]) == 0
    evaluation = Evaluation.model_validate_json((tmp_path / "model" / "evaluation.json").read_bytes())
    assert (evaluation.split, evaluation.validation_rows) == ("time", 300)
    manifest = bundle.load(tmp_path / "model").manifest
    assert "day" not in {feature.name for feature in manifest.features}
    assert manifest.ignored["day"] == "it is the time column"


@pytest.mark.parametrize("rounds", [20, 0])
def test_stopping_rows_do_not_order_the_categories(tmp_path, rounds):
    draw = np.random.default_rng(0)
    level, y = draw.integers(0, 6, 1000), draw.normal(size=1000)
    newest = np.arange(1000) >= 720  # of the 800 training rows, the tenth that stops early
    y += np.where(newest, -level, level) * np.where(newest & (np.arange(1000) < 800), 100.0, 1.0)
    table = pa.table({"c": pa.array([f"l{each}" for each in level]), "y": y, "t": np.arange(1000)})
    write_job(tmp_path, table, {"n_estimators": 5, "early_stopping_rounds": rounds}, target="y", time_column="t")
    assert train.main([]) == 0
    (feature,) = bundle.load(tmp_path / "model").manifest.features
    assert (feature.categories == ("l0", "l1", "l2", "l3", "l4", "l5")) == bool(rounds)


def test_a_coarse_time_column_is_said(tmp_path):
    table = mixed_table(1000).append_column("month", pa.array(np.arange(1000) // 500))
    job(tmp_path, table, "logistic_regression", "two", exclude=["three", "amount"], time_column="month")
    assert train.main([]) == 0
    evaluation = Evaluation.model_validate_json((tmp_path / "model" / "evaluation.json").read_bytes())
    (warning,) = (each for each in evaluation.warnings if each.code == "uneven_split")
    assert warning.message.startswith("50.0% of the rows are held out, where 20.0% was asked for")


def test_columns_that_are_not_used_are_warned_of(tmp_path, capsys):
    table = mixed_table().append_column("when", pa.array(range(1500), pa.timestamp("us")))
    job(tmp_path, table, "xgboost", "two", exclude=["three", "amount"])
    assert train.main([]) == 0
    evaluation = Evaluation.model_validate_json((tmp_path / "model" / "evaluation.json").read_bytes())
    manifest = bundle.load(tmp_path / "model").manifest
    assert manifest.ignored["when"] == "datetime column with 1,500 distinct values"
    assert ("ignored_column", "when") in {(each.code, each.column) for each in evaluation.warnings}
    assert "warning: column 'when' is not used: datetime column" in capsys.readouterr().out


def test_held_out_classes_that_no_training_row_has_are_left_out(tmp_path, capsys):
    table = pa.table({"x": np.arange(100.0), "y": ["a", "b"] * 40 + ["a", "b", "new", "a"] * 5, "t": range(100)})
    job(tmp_path, table, "xgboost", "y", time_column="t")
    assert train.main([]) == 0
    manifest = bundle.load(tmp_path / "model").manifest
    assert (manifest.classes, manifest.problem_type, manifest.validation_rows) == (("a", "b"), "binary", 15)
    assert "warning: 5 held-out rows are left out: no training row is ['new']" in capsys.readouterr().out


def test_what_a_killed_attempt_left_is_replaced(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "half.npz").write_text("")
    job(tmp_path, mixed_table(300), "logistic_regression", "two")
    assert train.main([]) == 0
    assert "half.npz" not in bundle.load(tmp_path / "model").manifest.files


@pytest.mark.parametrize(
    ("algorithm", "least"),
    [
        ("logistic_regression", 0.688),
        pytest.param("random_forest", 0.723, marks=pytest.mark.slow),
        ("xgboost", 0.721),
    ],
)
def test_flights(tmp_path, algorithm, least):
    job(tmp_path, flights(), algorithm, "late", {}, exclude=["date", "month"])
    subprocess.run([sys.executable, "-m", "training", "train"], check=True, stdout=subprocess.DEVNULL)
    assert bundle.load(tmp_path / "model").manifest.metrics["auc"] >= least


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_penguins(tmp_path, algorithm):
    job(tmp_path, penguins(), algorithm, "species", {})
    assert train.main([]) == 0
    assert bundle.load(tmp_path / "model").manifest.metrics["auc"] >= 0.99


# --------------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("target", "config", "text"),
    [
        (
            "tow",
            {},
            "The target 'tow' is not a column; columns are: a, b, flag, city, two, three, amount, did you mean",
        ),
        ("three", {"problem_type": "regression"}, "Regression needs a numeric target, but 'three' is categorical"),
        ("three", {"problem_type": "binary"}, "binary needs 2 classes, but the target 'three' has 3"),
    ],
)
def test_what_the_user_got_wrong_is_one_clear_sentence(tmp_path, capsys, target, config, text):
    job(tmp_path, mixed_table(), "xgboost", target, **config)
    assert train.main([]) == 1
    assert failure(tmp_path).startswith(text)
    captured = capsys.readouterr()
    assert text in captured.err
    assert "Traceback" not in captured.err
    assert not (tmp_path / "model").exists()


def test_regression_by_logistic_regression_is_refused(tmp_path):
    job(tmp_path, mixed_table(), "logistic_regression", "amount")
    assert train.main([]) == 1
    assert failure(tmp_path).endswith("choose another algorithm (random_forest or xgboost).")


def test_configurations_that_cannot_be_read(tmp_path):
    assert train.main([]) == 1
    assert "There is no hyperparameters.json" in failure(tmp_path)
    path = tmp_path / "input" / "config" / "hyperparameters.json"
    path.parent.mkdir(parents=True)
    for content, text in [
        ("{", "hyperparameters.json is not JSON"),
        ('{"a": 1}', "must be a map from string to string"),
        ('{"job_algorithm": "xgboost"}', "is not JSON (Expecting value"),
        ('{"job_algorithm": "\\"xgboost\\""}', "The job's configuration is not valid: model: Field required"),
    ]:
        path.write_text(content)
        assert train.main([]) == 1
        assert text in failure(tmp_path)


def test_hyperparameters_out_of_bounds_are_named(tmp_path):
    job(tmp_path, mixed_table(300), "xgboost", "two")
    path = tmp_path / "input" / "config" / "hyperparameters.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"max_depth": "99", "bogus": "1"}))
    assert train.main([]) == 1
    assert "max_depth: Input should be less than or equal to 16; bogus: Extra inputs" in failure(tmp_path)


def test_unexpected_errors_leave_the_trace_in_the_log_only(tmp_path, capsys):
    def broken():
        raise KeyError("x" * 3000)

    assert guarded(MlPaths(tmp_path), broken) == 1
    assert failure(tmp_path).startswith("Unexpected KeyError: 'xxx")
    assert len(failure(tmp_path)) == MAX_REASON
    assert "Traceback" in capsys.readouterr().err


def test_out_of_memory_says_what_to_do(tmp_path):
    def hungry():
        raise MemoryError

    assert guarded(MlPaths(tmp_path), hungry) == 1
    assert failure(tmp_path).startswith("Out of memory. Use a larger instance type")


def test_reasons_are_one_line(tmp_path):
    def broken():
        raise JobError("column 'a\nb' is\twrong")

    guarded(MlPaths(tmp_path), broken)
    assert failure(tmp_path) == "column 'a b' is wrong"


def test_a_stop_is_no_failure(tmp_path):
    def stopped():
        raise JobStopped

    assert guarded(MlPaths(tmp_path), stopped) == STOPPED
    assert not (tmp_path / "output").exists()


def test_arguments_are_refused():
    assert train.main(["--fast"]) == 2


# --------------------------------------------------------------------------- being stopped

LONG = {
    "xgboost": {"n_estimators": 5000, "learning_rate": 0.001, "early_stopping_rounds": 0},
    "random_forest": {"n_estimators": 2000, "min_samples_leaf": 1, "max_features": "all"},
    "logistic_regression": {"C": 1e6, "max_iter": 100_000},
}


def long_table(algorithm):
    """Rows that keep the fit busy for a minute or more."""
    draw = np.random.default_rng(0)
    columns = {f"x{j}": draw.normal(size=60_000) for j in range(20)}
    if algorithm == "logistic_regression":
        columns |= {f"c{j}": draw.integers(0, 400, 60_000).astype(str) for j in range(6)}
        return pa.table(columns | {"two": draw.integers(0, 60, 60_000).astype(str)})
    return pa.table(columns | {"two": draw.random(60_000) < 0.5})


@contextmanager
def started(root, until):
    """A `train` of its own, when its log has reached a line that holds `until`."""
    environ = os.environ | {"MLOPS_ML_ROOT": str(root), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "training", "train"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        if not any(until in line for line in process.stdout):
            pytest.fail(f"ended before {until!r}: exit code {process.wait()}")
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_sigterm_ends_a_fit_soon(tmp_path, algorithm):
    job(tmp_path, long_table(algorithm), algorithm, "two", LONG[algorithm])
    with started(tmp_path, "round=1.0" if algorithm == "xgboost" else "phase=fit algorithm") as process:
        time.sleep(0.5)  # into the fit's C code
        assert process.poll() is None
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == STOPPED
        assert time.monotonic() - asked < 10
    assert output.endswith("phase=stopped\n")
    assert not (tmp_path / "output" / "failure").exists()
    assert not (tmp_path / "model").exists()
    assert (algorithm == "xgboost") == any((tmp_path / "checkpoints").glob("*.ubj"))


def test_a_killed_xgboost_job_goes_on_from_its_checkpoint(tmp_path, capsys):
    chosen = {"n_estimators": 150, "early_stopping_rounds": 0}
    job(tmp_path, mixed_table(), "xgboost", "two", chosen, exclude=["three", "amount"])
    assert train.main([]) == 0
    whole = bundle.load(tmp_path / "model").manifest.metrics

    slow = {"n_estimators": 3000, "early_stopping_rounds": 0, "learning_rate": 0.01}
    job(tmp_path, mixed_table(), "xgboost", "two", slow, exclude=["three", "amount"])
    with started(tmp_path, "round=101.0") as process:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        assert process.returncode == STOPPED
    capsys.readouterr()
    assert train.main([]) == 0
    log = capsys.readouterr().out
    assert int(re.search(r"phase=resume rounds=(\d+)", log)[1]) > 100
    assert dict(metrics_of(log))["round"] == 3000

    # another configuration does not take that checkpoint up
    job(tmp_path, mixed_table(), "xgboost", "two", chosen, exclude=["three", "amount"])
    assert train.main([]) == 0
    assert "phase=resume" not in capsys.readouterr().out
    assert bundle.load(tmp_path / "model").manifest.metrics == whole


def test_signals_are_as_before_afterwards(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    train.main([])
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_manifest_is_written_last_and_whole(tmp_path):
    job(tmp_path, mixed_table(300), "logistic_regression", "two")
    assert train.main([]) == 0
    names = sorted(path.name for path in (tmp_path / "model").iterdir())
    assert not [name for name in names if name.startswith(".")]
    manifest = Manifest.model_validate_json((tmp_path / "model" / "manifest.json").read_bytes())
    assert sorted([*manifest.files, "manifest.json"]) == names
