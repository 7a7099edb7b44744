"""linear.json: logistic regression on the encoder's matrix, with the scaler folded in.

score = intercept + (numbers - center) @ coefficients + sum over categoricals of table[code + 2]

With one column of scores the model is binary and the score is the log-odds of classes[1]; with k columns the
probabilities are their softmax. `center` is kept apart from the intercept because folding it in would lose
digits of a column far from zero.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from training.scorers.base import ModelFileError

Array = npt.NDArray[Any]

_TOGETHER_UP_TO = 256
"""Rows; beyond, the array of every row's entries would not fit the cache."""


@dataclass(frozen=True)
class LinearScorer:
    """center (m,), coefficients (m, s), intercept (s,), tables: one (categories + 2, s) for each categorical."""

    file: ClassVar[str] = "linear.json"

    center: Array
    coefficients: Array
    intercept: Array
    tables: tuple[Array, ...]

    def scores(self, matrix: Array) -> Array:
        """Probabilities (n, k) of an encoded matrix (n, m + categoricals)."""
        numbers = len(self.center)
        linear = (matrix[:, :numbers] - self.center) @ self.coefficients + self.intercept
        if self.tables:
            linear += self._of_categories(matrix[:, numbers:].astype(np.intp))
        return _binary(linear[:, 0]) if linear.shape[1] == 1 else _softmax(linear)

    def _of_categories(self, codes: Array) -> Array:
        """(n, s): for each row the sum of its codes' entries. For a few rows one look-up in all tables at once."""
        if len(codes) <= _TOGETHER_UP_TO:
            stacked, first = self._stacked
            total: Array = stacked.take(codes + first, axis=0).sum(axis=1)
            return total
        return np.asarray(sum(table.take(codes[:, j], axis=0) for j, table in enumerate(self.tables)))

    @cached_property
    def _stacked(self) -> tuple[Array, Array]:
        """All tables one behind the other, and where each begins."""
        lengths = [len(table) for table in self.tables]
        return np.concatenate(self.tables), np.cumsum([0, *lengths[:-1]])

    def save(self, folder: Path) -> None:
        content = {
            "center": self.center.tolist(),
            "coefficients": self.coefficients.tolist(),
            "intercept": self.intercept.tolist(),
            "tables": [table.tolist() for table in self.tables],
        }
        (folder / self.file).write_text(json.dumps(content, allow_nan=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, width: int, classes: int) -> "LinearScorer":
        """Raises ModelFileError when the file does not fit a matrix of `width` columns and so many classes."""
        try:
            content = json.loads((folder / cls.file).read_text(encoding="utf-8"))
            scorer = cls(
                center=np.array(content["center"], dtype=np.float64),
                coefficients=np.array(content["coefficients"], dtype=np.float64),
                intercept=np.array(content["intercept"], dtype=np.float64),
                tables=tuple(np.array(table, dtype=np.float64) for table in content["tables"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"not a linear model: {error}") from error
        return scorer._checked(width, 1 if classes == 2 else classes)

    def _checked(self, width: int, columns: int) -> "LinearScorer":
        numbers = len(self.center)
        coefficients = self.coefficients.reshape(numbers, columns) if not numbers else self.coefficients
        shapes = [coefficients.shape == (numbers, columns), self.intercept.shape == (columns,)]
        shapes += [table.ndim == 2 and table.shape[1] == columns for table in self.tables]
        if not all(shapes) or numbers + len(self.tables) != width:
            raise ModelFileError("its shapes do not fit the manifest's features and classes")
        return LinearScorer(self.center, coefficients, self.intercept, self.tables)


def _binary(log_odds: Array) -> Array:
    # The two forms of the logistic function, so that neither exponent overflows.
    small = np.exp(-np.abs(log_odds))
    positive = np.where(log_odds >= 0, 1.0, small) / (1.0 + small)
    return np.stack([1.0 - positive, positive], axis=1)


def _softmax(linear: Array) -> Array:
    weights: Array = np.exp(linear - linear.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights
