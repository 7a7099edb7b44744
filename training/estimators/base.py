"""What every fit takes and gives."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mlops_contracts.hyperparameters import Hyperparameters, ProblemType
from training.features import Encoder
from training.hosts import Alone, Hosts
from training.scorers.base import Scorer

Array = npt.NDArray[Any]


class Progress(Protocol):
    """Where a fit tells how far it is."""

    def fit(self, share: float, **metrics: float) -> None:
        """`share` in 0..1 of the fit is done; `metrics` by name without colon, such as train_rmse."""

    def say(self, text: str) -> None:
        """A line for the reader of the log."""

    def stop_requested(self) -> bool:
        """True once the job should end; a loop then raises JobStopped."""


@dataclass(frozen=True)
class FitTask:
    """One fit. `matrix` (n, d) is the encoder's; `y` (n,) class codes or values; `weight` (n,) or None for ones.

    The held-out `matrix_valid` and `y_valid` are there to be watched while the fit goes on; no fit may learn
    from them. `time` (n,) is there when rows are split by time. `checkpoints` is a folder that outlives the process,
    `checkpoint_key` names this very job and its configuration. Every one of `hosts` has all rows; what they share out
    among them is the work.
    """

    problem_type: ProblemType
    classes: int
    encoder: Encoder
    matrix: Array
    y: Array
    weight: Array | None
    matrix_valid: Array
    y_valid: Array
    hyperparameters: Hyperparameters
    seed: int
    threads: int
    checkpoints: Path
    checkpoint_key: str
    time: Array | None = None
    hosts: Hosts = field(default_factory=Alone)


@dataclass(frozen=True)
class Fitted:
    """`estimator` is the library's own object: a scikit-learn estimator or an xgboost.Booster."""

    scorer: Scorer
    estimator: Any


def balanced(y: Array, classes: int) -> Array:
    """Weight of each row, n / (k * rows of its class), as scikit-learn's class_weight="balanced"."""
    counts = np.bincount(y, minlength=classes)
    weights: Array = len(y) / (classes * np.maximum(counts, 1))
    return weights[y]
