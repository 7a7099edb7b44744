"""From the table to what an estimator is fitted on: split -> features -> matrices."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from mlops_contracts.bundle import Feature
from mlops_contracts.hyperparameters import Hyperparameters
from mlops_contracts.job import JobConfig
from training import data
from training.estimators import FitTask
from training.estimators.base import Array, balanced
from training.estimators.stopping_rows import stopping_split
from training.failure import JobError
from training.features import ColumnMap, Encoder, columns_from_table, fit_features
from training.hosts import Hosts
from training.paths import MlPaths
from training.reporter import Reporter
from training.split import Split, split, time_values
from training.target import Target, read_target


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

    @property
    def dataset_sha256(self) -> str:
        return self.config.dataset_sha256 or self.data.report.sha256

    @property
    def validation_digest(self) -> str:
        """SHA-256 of row numbers: two versions with the same one were judged on the same rows of their table."""
        return hashlib.sha256(np.sort(self.split.valid).astype("<i8").tobytes()).hexdigest()

    def facts(self) -> dict[str, str]:
        """What all hosts of a job must see alike, classes first."""
        return {
            "classes": json.dumps(self.target.classes),
            "rows": json.dumps([self.dataset_sha256, self.data.rows, self.validation_digest]),
            "columns": json.dumps([feature.model_dump(mode="json") for feature in self.features]),
        }

    def task(self, hyperparameters: Hyperparameters, seed: int, threads: int, paths: MlPaths, hosts: Hosts) -> FitTask:
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
            hosts=hosts,
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
        parts = split(target, config.validation_fraction, config.seed, time, loaded.hashes)
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
