"""Tables and models whose true quality is known, to evaluate."""

from typing import Any

import numpy as np

from mlops_contracts.bundle import Feature
from training.evaluation import EvaluationInput
from training.evaluation.request import Array, ColumnMap

WEIGHTS = (1.5, 0.7, 0.0)
"""Of columns x0, x1, x2: the last one says nothing."""


def numeric(name: str) -> Feature:
    return Feature(name=name, type="numeric", required=True)


def categorical(name: str, *categories: str) -> Feature:
    return Feature(name=name, type="categorical", required=False, categories=categories)


def linear(columns: ColumnMap) -> Array:
    return sum(w * np.nan_to_num(columns[f"x{i}"]) for i, w in enumerate(WEIGHTS))


def sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


def binary_scores(columns: ColumnMap) -> Array:
    positive = sigmoid(linear(columns))
    return np.column_stack([1 - positive, positive])


def columns(rows: int, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    drawn: dict[str, Array] = {f"x{i}": rng.normal(size=rows) for i in range(len(WEIGHTS))}
    drawn["city"] = rng.integers(0, 3, rows).astype(np.int32)
    return drawn


FEATURES = (*(numeric(f"x{i}") for i in range(len(WEIGHTS))), categorical("city", "Bonn", "Lund", "Oslo"))


def request(problem_type: str, y: Array, all_columns: ColumnMap, predict: Any, **changes: Any) -> EvaluationInput:
    """The first three quarters of the rows train, the rest are held out."""
    cut = len(y) * 3 // 4
    valid = {name: values[cut:] for name, values in all_columns.items()}
    arguments: dict[str, Any] = {
        "algorithm": "logistic_regression",
        "problem_type": problem_type,
        "target": "late",
        "features": FEATURES,
        "y_train": y[:cut],
        "y_valid": y[cut:],
        "scores": predict(valid),
        "predict": predict,
        "columns_train": {name: values[:cut] for name, values in all_columns.items()},
        "columns_valid": valid,
        "split": "random",
    }
    return EvaluationInput(**(arguments | changes))


def binary_request(rows: int = 4000, seed: int = 0, **changes: Any) -> EvaluationInput:
    """A perfectly calibrated model of a binary target."""
    drawn = columns(rows, seed)
    y = (np.random.default_rng(seed + 1).random(rows) < binary_scores(drawn)[:, 1]).astype(np.int64)
    return request("binary", y, drawn, binary_scores, **({"classes": ("0", "1"), "split": "stratified"} | changes))


def regression_request(rows: int = 4000, seed: int = 0, **changes: Any) -> EvaluationInput:
    """The true line, with noise of standard deviation 1 around it."""
    drawn = columns(rows, seed)
    y = linear(drawn) + np.random.default_rng(seed + 1).normal(size=rows)
    return request("regression", y, drawn, linear, **changes)


def three_scores(columns: ColumnMap) -> Array:
    z = linear(columns)
    e = np.exp(np.column_stack([-z, np.full_like(z, 0.8), z]))
    return e / e.sum(axis=1, keepdims=True)


def multiclass_request(rows: int = 4000, seed: int = 0, **changes: Any) -> EvaluationInput:
    """A perfectly calibrated model of three classes."""
    drawn = columns(rows, seed)
    draw = np.random.default_rng(seed + 1).random(rows)
    y = (three_scores(drawn).cumsum(axis=1) < draw[:, None]).sum(axis=1).clip(0, 2)
    return request("multiclass", y, drawn, three_scores, **({"classes": ("a", "b", "c")} | changes))
