"""Metric lines on stdout, the regexes that read them, and which direction is better.

The container prints `#metric validation:auc=0.9123;`. SageMaker and the local runner apply the same
regexes, one capture group each, to the log.
"""

import math
import re
from collections.abc import Iterator
from typing import Final, Literal

from mlops_contracts.hyperparameters import ProblemType

METRIC_NAMES: Final = (
    "progress",
    "round",
    "train:auc",
    "train:logloss",
    "train:mlogloss",
    "train:rmse",
    "validation:accuracy",
    "validation:auc",
    "validation:average_precision",
    "validation:brier",
    "validation:f1",
    "validation:logloss",
    "validation:mae",
    "validation:mlogloss",
    "validation:r2",
    "validation:rmse",
)

_NUMBER = r"(-?[0-9.]+(?:[eE][-+]?[0-9]+)?)"

METRIC_DEFINITIONS: Final[tuple[tuple[str, str], ...]] = tuple(
    (name, f"#metric {re.escape(name)}={_NUMBER};") for name in METRIC_NAMES
)

Direction = Literal["maximize", "minimize"]

OBJECTIVE: Final[dict[ProblemType, tuple[str, Direction]]] = {
    "binary": ("auc", "maximize"),
    "multiclass": ("auc", "maximize"),
    "regression": ("rmse", "minimize"),
}
"""The metric that ranks versions of a model, as named in evaluation.json. Multi-class auc is macro one-vs-rest."""


LESS_IS_BETTER: Final = frozenset({"rmse", "mae", "median_absolute_error", "logloss", "mlogloss", "brier"})


def goodness(metric: str, value: float) -> float:
    """A number that is greater the better the value is, so that rankings need no direction."""
    return -value if metric in LESS_IS_BETTER else value


def metric_line(name: str, value: float) -> str:
    """Return the line that reports `value`; raises ValueError for a name no regex reads or a value not finite."""
    if name not in METRIC_NAMES:
        raise ValueError(f"unknown metric {name!r}; known: {', '.join(METRIC_NAMES)}")
    if not math.isfinite(value):
        raise ValueError(f"metric {name} is not finite: {value}")
    return f"#metric {name}={float(value)!r};"


_COMPILED = tuple((name, re.compile(pattern)) for name, pattern in METRIC_DEFINITIONS)


def read_metrics(line: str) -> Iterator[tuple[str, float]]:
    """Yield (name, value) for each metric that a line of the log reports."""
    if "#metric " not in line:
        return
    for name, pattern in _COMPILED:
        for text in pattern.findall(line):
            yield name, float(text)
