"""LogisticRegression by scikit-learn on standardised numbers and one-hot categories."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
from sklearn.linear_model import LogisticRegression

from mlops_contracts.hyperparameters import LogisticRegressionHyperparameters
from training.estimators.base import FitTask, Fitted, Progress
from training.features import Encoder
from training.hosts import Alone, Hosts
from training.scorers.linear import LinearScorer

Array = npt.NDArray[Any]

NEWTON_UP_TO = 200
"""Coefficients. Newton's method converges in a few passes over the rows, but each costs their square; many one-hot
columns are mostly zeros, from which L-BFGS on a sparse matrix profits."""
NEWTON_TOLERANCE = 1e-9
"""Largest gradient at the end of Newton's method: one step more than 1e-6 takes, and the optimum to nine digits."""
SMALLEST = 1e-290
"""Deviation of a column that counts: its inverse, times a coefficient, must be a finite number."""
TOLERANCE = 1e-6
"""Largest gradient at the end. With scikit-learn's 1e-4 L-BFGS stops where probabilities are still off by 0.02."""


@dataclass(frozen=True)
class Design:
    """How the encoder's matrix becomes the fit's: (numbers - center) / scale, then one column per code."""

    center: Array
    scale: Array
    levels: tuple[int, ...]

    @classmethod
    def of(cls, encoder: Encoder, matrix: Array, hosts: Hosts | None = None) -> "Design":
        """Learn center and scale from training rows, of which each host has a share; indicators and codes are left as
        they are."""
        hosts = hosts or Alone()
        numbers = matrix[:, : len(encoder.numbers)]
        indicators = len(encoder.indicated)
        rows = hosts.total(np.array([float(len(numbers))]))[0]
        means = hosts.total(numbers.sum(axis=0)) / rows
        scale = _deviation(numbers, means, rows, hosts)
        center = np.concatenate([means, np.zeros(indicators)])
        levels = tuple(len(feature.categories) + 2 for feature in encoder.categoricals)
        return cls(center, np.concatenate([scale, np.ones(indicators)]), levels)

    @property
    def width(self) -> int:
        return len(self.center) + sum(self.levels)

    def dense(self, matrix: Array) -> Array:
        out = np.zeros((len(matrix), self.width))
        numbers = len(self.center)
        np.subtract(matrix[:, :numbers], self.center, out=out[:, :numbers])
        out[:, :numbers] /= self.scale
        rows = np.arange(len(matrix))
        for columns in self._code_columns(matrix):
            out[rows, columns] = 1.0
        return out

    def sparse(self, matrix: Array) -> Any:
        numbers = len(self.center)
        width = numbers + len(self.levels)
        data = np.ones((len(matrix), width))
        data[:, :numbers] = (matrix[:, :numbers] - self.center) / self.scale
        indices = np.tile(np.arange(width), (len(matrix), 1))
        for j, columns in enumerate(self._code_columns(matrix), numbers):
            indices[:, j] = columns
        pointers = np.arange(0, data.size + 1, width)
        return scipy.sparse.csr_array((data.ravel(), indices.ravel(), pointers), shape=(len(matrix), self.width))

    def _code_columns(self, matrix: Array) -> list[Array]:
        """For each categorical the design column of each row's code."""
        offsets = len(self.center) + np.cumsum((0, *self.levels))
        first = len(self.center)
        return [matrix[:, first + j].astype(np.intp) + offsets[j] for j in range(len(self.levels))]

    def scorer(self, coefficients: Array, intercept: Array) -> LinearScorer:
        """Fold the scale into `coefficients` (s, width)."""
        numbers = len(self.center)
        edges = np.cumsum(self.levels)[:-1]
        tables = np.split(coefficients[:, numbers:].T, edges) if self.levels else []
        folded = (coefficients[:, :numbers] / self.scale).T
        return LinearScorer(
            self.center, np.ascontiguousarray(folded), intercept, tuple(map(np.ascontiguousarray, tables))
        )


def _deviation(numbers: Array, means: Array, rows: float, hosts: Hosts) -> Array:
    """Standard deviation of each column, 1 where it is nothing; squares of small numbers must not vanish."""
    largest = hosts.largest(np.abs(numbers).max(axis=0, initial=SMALLEST))
    unit = np.exp2(np.floor(np.log2(largest)))  # a power of two, so that no digit changes
    squares = ((numbers / unit - means / unit) ** 2).sum(axis=0)
    scale: Array = np.sqrt(hosts.total(squares) / rows) * unit
    scale[scale < SMALLEST] = 1.0
    return scale


def fit_linear(task: FitTask, chosen: LogisticRegressionHyperparameters, progress: Progress) -> Fitted:
    """Fit by Newton's method, or by L-BFGS on a sparse matrix where one-hot columns are many."""
    design = Design.of(task.encoder, task.matrix)
    coefficients = design.width * (1 if task.classes == 2 else task.classes)
    newton = coefficients <= NEWTON_UP_TO
    matrix = design.dense(task.matrix) if newton else design.sparse(task.matrix)
    solver = "newton-cholesky" if newton else "lbfgs"
    tolerance = NEWTON_TOLERANCE if newton else TOLERANCE
    model = LogisticRegression(C=chosen.C, max_iter=chosen.max_iter, solver=solver, tol=tolerance)
    progress.say(f"phase=fit solver={solver} design_columns={design.width}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(matrix, task.y, sample_weight=task.weight)
    for warning in caught:
        progress.say(f"warning: {' '.join(str(warning.message).split())}")
    progress.say(f"phase=fit iterations={int(np.max(model.n_iter_))}")
    progress.fit(1.0)
    return Fitted(design.scorer(model.coef_, model.intercept_), model)
