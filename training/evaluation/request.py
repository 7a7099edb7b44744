"""What `train` hands over to be evaluated."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from mlops_contracts.bundle import Feature
from mlops_contracts.evaluation import SplitKind
from mlops_contracts.hyperparameters import AlgorithmName, ProblemType
from training.features import MISSING, UNSEEN, Array, ColumnMap

__all__ = ["MISSING", "UNSEEN", "Array", "ColumnMap", "EvaluationInput", "LabelledRows", "SplitKind"]


@dataclass(frozen=True, kw_only=True)
class LabelledRows:
    """Rows to learn from, and rows to check on.

    With n training rows, m held-out rows and k classes: `y_train` (n,) and `y_valid` (m,) hold integer codes
    into `classes`, or floats for regression.
    """

    problem_type: ProblemType
    target: str
    features: tuple[Feature, ...]
    y_train: Array
    y_valid: Array
    columns_train: ColumnMap
    columns_valid: ColumnMap
    classes: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class EvaluationInput(LabelledRows):
    """A fitted model, the rows it was fitted on and the rows it has not seen.

    `scores` are the model's on the held-out rows: (m, k) probabilities in the order of `classes` (binary too), or (m,)
    values for regression. `predict` gives scores of the same shape for any number of rows; it is asked for a few ten
    thousand rows at most.
    """

    algorithm: AlgorithmName
    scores: Array
    predict: Callable[[ColumnMap], Array]
    split: SplitKind
    threshold: float | None = None
    """Binary only: positive when P(classes[1]) >= threshold; None: 0.5."""
    ignored: Mapping[str, str] = field(default_factory=dict)
    """Column that is no feature -> why, such as "text column with 812 distinct values"."""
    asked_share: float | None = None
    """Of the rows, that were to be held out; None: unknown."""

    def __post_init__(self) -> None:
        """Raises ValueError when shapes do not fit together or a score is not finite."""
        expected = (len(self.y_valid),) if self.problem_type == "regression" else (len(self.y_valid), len(self.classes))
        if len(self.y_valid) == 0 or len(self.y_train) == 0:
            raise ValueError("evaluation needs at least one training row and one held-out row")
        if self.scores.shape != expected:
            raise ValueError(f"scores have shape {self.scores.shape}, expected {expected}")
        if not np.isfinite(self.scores).all():
            raise ValueError("the model gives scores that are not finite on held-out rows")
