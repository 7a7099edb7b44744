"""Bundles that are quick to write: the scorers are given their numbers instead of being fitted."""

from pathlib import Path

import numpy as np
import xgboost

from mlops_contracts.bundle import Feature, Manifest
from training import bundle
from training.scorers.boosted import BoostedScorer
from training.scorers.linear import LinearScorer

CARRIERS = ("AA", "UA", "=1+1")

FEATURES = (
    Feature(name="dep_hour", type="numeric", required=True, fill=12.0, example=12.0),
    Feature(name="distance", type="numeric", required=False, fill=500.0, example=500.0),
    Feature(name="weekend", type="boolean", required=False, fill=0.0, example=False),
    Feature(name="carrier", type="categorical", required=True, categories=CARRIERS, example="AA"),
)


def manifest(**changes: object) -> Manifest:
    """A binary linear model's manifest."""
    values = {
        "algorithm": "logistic_regression",
        "problem_type": "binary",
        "target": "late",
        "features": FEATURES,
        "classes": ("0", "1"),
        "threshold": 0.4,
        "dataset": "flights:1",
        "dataset_sha256": "0" * 64,
        "seed": 0,
        "training_rows": 800,
        "validation_rows": 200,
        "hyperparameters": {},
        "libraries": {},
        "metrics": {"auc": 0.7},
        "importance": {},
        "files": {},
    }
    return Manifest.model_validate(values | changes)


def write_binary(folder: Path, **changes: object) -> Path:
    """Logistic regression over FEATURES: 3 numbers, 2 missing indicators, one table of carriers."""
    scorer = LinearScorer(
        center=np.array([12.0, 500.0, 0.0, 0.0, 0.0]),
        coefficients=np.array([[0.15], [0.001], [-0.4], [0.3], [0.1]]),
        intercept=np.array([-0.2]),
        tables=(np.array([[0.0], [0.05], [-0.3], [0.4], [0.9]]),),
    )
    bundle.write(folder, manifest(**changes), scorer)
    return folder


def write_overflowing(folder: Path) -> Path:
    """Coefficients so large that two huge numbers, which the encoder bounds, give infinity minus infinity."""
    scorer = LinearScorer(
        center=np.zeros(5),
        coefficients=np.array([[1e300], [-1e300], [0.0], [0.0], [0.0]]),
        intercept=np.zeros(1),
        tables=(np.zeros((5, 1)),),
    )
    bundle.write(folder, manifest(), scorer)
    return folder


def write_multiclass(folder: Path) -> Path:
    """Three classes, no threshold; one label needs quoting in a CSV."""
    scorer = LinearScorer(
        center=np.array([12.0, 500.0, 0.0, 0.0, 0.0]),
        coefficients=np.array([[0.1, 0.0, -0.1], [0.0, 0.001, 0.0], [0.0] * 3, [0.0] * 3, [0.0] * 3]),
        intercept=np.array([0.1, 0.0, 0.05]),
        tables=(np.array([[0.0] * 3, [0.0] * 3, [0.3, 0.0, 0.0], [0.0, 0.3, 0.0], [0.0, 0.0, 0.3]]),),
    )
    classes = ("-1", "=late", 'a "b", c')
    bundle.write(folder, manifest(problem_type="multiclass", classes=classes, threshold=None), scorer)
    return folder


def write_boosted(folder: Path, *, regression: bool, trees: int = 20, width: int | None = None) -> Path:
    """XGBoost fitted on noise; `width` gives so many numeric features instead of FEATURES."""
    features = FEATURES
    if width is not None:
        features = tuple(Feature(name=f"x{j}", type="numeric", required=False) for j in range(width))
    generator = np.random.default_rng(0)
    matrix = generator.normal(size=(2000, len(features))).astype(np.float32)
    outcome = matrix[:, 0] * 2 + generator.normal(size=2000)
    objective = "reg:squarederror" if regression else "binary:logistic"
    target = outcome if regression else (outcome > 0).astype(float)
    data = xgboost.DMatrix(matrix, label=target)
    booster = xgboost.train({"objective": objective, "nthread": 1, "max_depth": 6}, data, trees)
    kind = {"problem_type": "regression", "classes": (), "threshold": None} if regression else {}
    bundle.write(folder, manifest(algorithm="xgboost", features=features, **kind), BoostedScorer(booster, 1))
    return folder
