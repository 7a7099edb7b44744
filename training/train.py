"""`train`: from the data channel to a model bundle.

    read -> split -> features -> fit -> evaluate -> write

The layout is SageMaker's (paths.py). Exit 0 when model/ holds a bundle; 1 with output/failure; 143 on SIGTERM.
"""

import hashlib
import json
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mlops_contracts.bundle import EVALUATION, MODEL_CARD, Feature, Manifest
from mlops_contracts.evaluation import Evaluation
from mlops_contracts.hyperparameters import Hyperparameters
from mlops_contracts.job import JobConfig, decode
from training import bundle, data
from training.baseline import write_baseline
from training.estimators import FitTask, Fitted, fit
from training.estimators.base import Array, balanced
from training.estimators.stopping_rows import stopping_split
from training.evaluation import EvaluationInput, evaluate
from training.failure import JobError, guarded
from training.features import ColumnMap, Encoder, columns_from_table, fit_features
from training.libraries import limit_threads, versions
from training.model_card import render
from training.paths import MlPaths
from training.reporter import FIT_FROM, FIT_TO, Reporter
from training.split import Split, split, time_values
from training.stopping import StopRequest
from training.target import Target, read_target

THRESHOLD = 0.5
"""Of a binary model. Class weights move the probabilities instead of the threshold."""


def main(argv: Sequence[str]) -> int:
    """Run one training job below MLOPS_ML_ROOT; returns the exit code."""
    if argv:
        print(f"train takes no arguments, but got: {' '.join(argv)}")
        return 2
    paths, stop = MlPaths.from_env(), StopRequest()
    stop.install()
    try:
        return guarded(paths, lambda: run(paths, Reporter(stop), bundle.machine_threads()))
    finally:
        stop.remove()


def run(paths: MlPaths, report: Reporter, threads: int) -> None:
    """Train one model. Raises JobError for what the user can mend, JobStopped when asked to end."""
    config, hyperparameters = read_config(paths.hyperparameters)
    if not writes_model(paths.resource_config):
        report.say("phase=idle the first host trains; this one has nothing to do")
        return
    limit_threads(threads)
    report.progress(0.0)
    with report.phase("read", dataset=config.dataset, target=config.target):
        loaded = data.load(paths.channel("training"), config)
    prepared = prepare(loaded, config, hyperparameters, report)
    report.progress(FIT_FROM)
    with report.phase("fit", algorithm=config.algorithm, rows=len(prepared.split.train), threads=threads):
        fitted = fit(prepared.task(hyperparameters, config.seed, threads, paths), report)
    report.progress(FIT_TO)
    with report.phase("evaluate", rows=len(prepared.split.valid)):
        evaluation = judge(fitted, prepared, config)
    report.final(evaluation.metrics)
    with report.phase("write"):
        write(paths.model, fitted, prepared, evaluation, hyperparameters)
    report.progress(1.0)


# --------------------------------------------------------------------------- configuration


def read_config(path: Path) -> tuple[JobConfig, Hyperparameters]:
    """hyperparameters.json; raises JobError when it is absent or no JSON map, ValidationError for a bad value."""
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise JobError(f"There is no {path.name} in input/config; start the job through the platform.") from error
    except ValueError as error:
        raise JobError(f"{path.name} is not JSON: {error}.") from error
    if not isinstance(raw, dict) or not all(isinstance(value, str) for value in raw.values()):
        raise JobError(f"{path.name} must be a map from string to string.")
    return _decoded(raw, path.name)


def _decoded(raw: dict[str, str], name: str) -> tuple[JobConfig, Hyperparameters]:
    try:
        return decode(raw)
    except json.JSONDecodeError as error:
        raise JobError(f"A value in {name} is not JSON ({error}); texts need quotes, as in '\"xgboost\"'.") from error


def writes_model(resource_config: Path) -> bool:
    """Whether this host is the first of the job's: SageMaker merges the model folders of all hosts."""
    try:
        hosts = json.loads(resource_config.read_bytes())
    except FileNotFoundError:
        return True
    return bool(hosts["current_host"] == sorted(hosts["hosts"])[0])


# --------------------------------------------------------------------------- data


@dataclass(frozen=True)
class Prepared:
    """The rows, split and encoded. `columns_*` and `y_*` are in the order of the split's rows."""

    config: JobConfig
    data: data.TrainingData
    target: Target
    split: Split
    features: tuple[Feature, ...]
    encoder: Encoder
    table_train: pa.Table
    columns_train: ColumnMap
    columns_valid: ColumnMap
    time_train: Array | None

    @property
    def y_train(self) -> Array:
        return self.target.y[self.split.train]

    @property
    def y_valid(self) -> Array:
        return self.target.y[self.split.valid]

    def task(self, hyperparameters: Hyperparameters, seed: int, threads: int, paths: MlPaths) -> FitTask:
        """What an estimator is fitted on."""
        y, classes = self.y_train, len(self.target.classes)
        weighted = classes and getattr(hyperparameters, "class_weight", "none") == "balanced"
        return FitTask(
            problem_type=self.target.problem_type,
            classes=classes,
            encoder=self.encoder,
            matrix=self.encoder.matrix(self.columns_train),
            y=y,
            weight=balanced(y, classes) if weighted else None,
            matrix_valid=self.encoder.matrix(self.columns_valid),
            y_valid=self.y_valid,
            hyperparameters=hyperparameters,
            seed=seed,
            threads=threads,
            checkpoints=paths.checkpoints,
            checkpoint_key=checkpoint_key(paths.hyperparameters, self.data),
            time=self.time_train,
        )


def checkpoint_key(hyperparameters: Path, loaded: data.TrainingData) -> str:
    """Name of this very configuration and dataset."""
    config = json.loads(hyperparameters.read_bytes())
    identity = json.dumps([config, loaded.report.sha256, loaded.rows], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def prepare(
    loaded: data.TrainingData, config: JobConfig, hyperparameters: Hyperparameters, report: Reporter
) -> Prepared:
    """Split the rows, learn the features from the training rows, and turn both sides into columns."""
    if loaded.left_out:
        report.say(f"warning: {loaded.left_out:,} rows without a target are left out")
    for name, why in loaded.ignored.items():
        report.say(f"warning: column {name!r} is not used: {why}")
    name = config.target
    target = read_target(loaded.table[name], name, loaded.column(name).type, config.problem_type, config.algorithm)
    time = time_values(loaded.table[config.time_column]) if config.time_column else None
    with report.phase("split", problem_type=target.problem_type, classes=len(target.classes)):
        parts = split(target, config.validation_fraction, config.seed, time)
        target, parts = _with_known_classes(target, parts, report)
    with report.phase("features", columns=len(loaded.features), rows=len(parts.train), held_out=len(parts.valid)):
        time_train = None if time is None else time[parts.train]
        outcome = _outcome(target, parts, time_train, hyperparameters, config.seed)
        return _encoded(loaded, config, target, parts, time_train, outcome)


def _outcome(target: Target, parts: Split, time: Array | None, hyperparameters: Hyperparameters, seed: int) -> Array:
    """The training rows' outcome to order categories by; NaN in the rows that early stopping will look at."""
    outcome = target.outcome()[parts.train]
    if getattr(hyperparameters, "early_stopping_rounds", 0):
        stopping = stopping_split(target.problem_type, target.y[parts.train], time, seed)
        if stopping is not None:
            outcome[stopping.valid] = np.nan
    return outcome


def _with_known_classes(target: Target, parts: Split, report: Reporter) -> tuple[Target, Split]:
    """Leave out held-out rows of a class that no training row has: a model cannot give it."""
    limited = target.limited_to(parts.train)
    if limited is target:
        return target, parts
    known = parts.valid[limited.y[parts.valid] >= 0]
    if not len(known):
        raise JobError("No held-out row has a class that the training rows have; use another split.")
    unknown = sorted(set(target.classes) - set(limited.classes))
    report.say(f"warning: {len(parts.valid) - len(known):,} held-out rows are left out: no training row is {unknown}")
    return limited, Split(parts.train, known, parts.kind)


def _encoded(
    loaded: data.TrainingData, config: JobConfig, target: Target, parts: Split, time_train: Array | None, outcome: Array
) -> Prepared:
    table = loaded.table.select(loaded.features)
    table_train = table.take(pa.array(parts.train))
    features = fit_features(
        table_train,
        loaded.report,
        loaded.features,
        algorithm=config.algorithm,
        outcome=outcome,
    )
    return Prepared(
        config=config,
        data=loaded,
        target=target,
        split=parts,
        features=features,
        encoder=Encoder(features, config.algorithm),
        table_train=table_train,
        columns_train=columns_from_table(table_train, features),
        columns_valid=columns_from_table(table.take(pa.array(parts.valid)), features),
        time_train=time_train,
    )


# --------------------------------------------------------------------------- judgement and bundle


def judge(fitted: Fitted, prepared: Prepared, config: JobConfig) -> Evaluation:
    """Evaluate what will be served: the scorer, not the library's estimator."""

    def predict(columns: ColumnMap) -> Array:
        return fitted.scorer.scores(prepared.encoder.matrix(columns))

    return evaluate(
        EvaluationInput(
            algorithm=config.algorithm,
            problem_type=prepared.target.problem_type,
            target=config.target,
            features=prepared.features,
            y_train=prepared.y_train,
            y_valid=prepared.y_valid,
            scores=predict(prepared.columns_valid),
            predict=predict,
            columns_train=prepared.columns_train,
            columns_valid=prepared.columns_valid,
            split=prepared.split.kind,
            classes=prepared.target.classes,
            threshold=_threshold(prepared.target),
            ignored=prepared.data.ignored,
            seed=config.seed,
            asked_share=config.validation_fraction,
        )
    )


def _threshold(target: Target) -> float | None:
    return THRESHOLD if target.problem_type == "binary" else None


def write(
    folder: Path, fitted: Fitted, prepared: Prepared, evaluation: Evaluation, hyperparameters: Hyperparameters
) -> None:
    """Write the whole bundle; manifest.json comes last."""
    shutil.rmtree(folder, ignore_errors=True)  # of an attempt that was killed here
    folder.mkdir(parents=True)
    manifest = describe(prepared, evaluation, hyperparameters.model_dump())
    write_baseline(folder, prepared.table_train, prepared.features)
    (folder / EVALUATION).write_text(evaluation.model_dump_json(), encoding="utf-8")
    (folder / MODEL_CARD).write_text(render(manifest, evaluation), encoding="utf-8")
    bundle.write(folder, manifest, fitted.scorer)


def _digest(rows: np.ndarray) -> str:
    """SHA-256 of row numbers: two versions with the same one were judged on the same rows of their table."""
    return hashlib.sha256(np.sort(rows).astype("<i8").tobytes()).hexdigest()


def _unused(loaded: data.TrainingData, config: JobConfig) -> dict[str, str]:
    """Every column of the dataset that is no feature -> why."""
    time = {config.time_column: "it is the time column"} if config.time_column else {}
    left_out = dict.fromkeys(config.exclude, "it was left out in training")
    return {**loaded.ignored, **left_out, **time, config.target: "it is the target"}


def describe(prepared: Prepared, evaluation: Evaluation, hyperparameters: dict[str, Any]) -> Manifest:
    """The manifest, but for the digests of the files."""
    config, target = prepared.config, prepared.target
    return Manifest(
        algorithm=config.algorithm,
        problem_type=target.problem_type,
        target=config.target,
        features=prepared.features,
        classes=target.classes,
        threshold=_threshold(target),
        dataset=config.dataset,
        dataset_sha256=config.dataset_sha256 or prepared.data.report.sha256,
        seed=config.seed,
        validation_fraction=config.validation_fraction,
        time_column=config.time_column,
        excluded=config.exclude,
        ignored=_unused(prepared.data, config),
        validation_rows_sha256=_digest(prepared.split.valid),
        training_rows=len(prepared.split.train),
        validation_rows=len(prepared.split.valid),
        hyperparameters=hyperparameters,
        libraries={"python": platform.python_version(), "numpy": np.__version__, **versions(config.algorithm)},
        metrics=evaluation.metrics,
        importance={each.feature: each.mean for each in evaluation.importance},
        files={},
    )
