"""Permutation importance on held-out rows (Breiman 2001, section 10).

One column at a time is shuffled and the model is asked again; what the objective metric loses is the
importance. Scoring is the cost, so the number of rows scored follows from the algorithm, the features and
the classes alone: the same table gives the same figures on a slow machine.
"""

from dataclasses import dataclass

import numpy as np

from mlops_contracts.evaluation import Importance
from mlops_contracts.hyperparameters import AlgorithmName
from training.evaluation.metrics import gain, objective
from training.evaluation.request import Array, ColumnMap, EvaluationInput
from training.evaluation.sampling import stratified_rows, take

REPEATS = 3
MOST_ROWS = 2_000
FEWEST_ROWS = 200

SCORED_ROWS: dict[AlgorithmName, int] = {
    "logistic_regression": 120_000,
    "xgboost": 40_000,
    "random_forest": 20_000,
}
"""Rows a two-class model scores in all: about 0.4 s of processor time with default hyperparameters. More trees take
longer in proportion, as does fitting them."""


def importance_rows(algorithm: AlgorithmName, n_features: int, n_classes: int) -> int:
    """How many held-out rows to shuffle, before the number there is."""
    budget = SCORED_ROWS[algorithm] // max(1, n_classes - 1)
    return int(np.clip(budget // (max(1, n_features) * REPEATS), FEWEST_ROWS, MOST_ROWS))


@dataclass(frozen=True)
class Measured:
    """Most important first. `rows` is 0 when the objective is undefined on the held-out rows."""

    importance: tuple[Importance, ...]
    rows: int


def permutation_importance(request: EvaluationInput) -> Measured:
    """Mean and standard deviation over REPEATS shuffles of every feature; may be below 0 by chance."""
    most = importance_rows(request.algorithm, len(request.features), len(request.classes))
    rows = stratified_rows(request.y_valid, most, request.seed)
    whole = objective(request.problem_type, request.y_valid[rows], request.scores[rows])
    if whole is None:
        return Measured((), 0)
    shuffled = _Shuffled(request, rows)
    measured = [_figures(name, shuffled.losses(name, whole)) for name in shuffled.names]
    return Measured(tuple(sorted(measured, key=lambda one: -one.mean)), len(rows))


def _figures(name: str, losses: list[float]) -> Importance:
    return Importance(feature=name, mean=float(np.mean(losses)), std=float(np.std(losses)))


class _Shuffled:
    """The sample, stacked REPEATS times so that each feature costs one call of the model."""

    def __init__(self, request: EvaluationInput, rows: Array) -> None:
        self._request = request
        self._y = request.y_valid[rows]
        self.names = [feature.name for feature in request.features]
        self._sample = take({name: request.columns_valid[name] for name in self.names}, rows)
        self._stacked: ColumnMap = {name: np.tile(values, REPEATS) for name, values in self._sample.items()}
        self._rng = np.random.default_rng(request.seed)

    def losses(self, name: str, whole: float) -> list[float]:
        """What the objective loses in each repeat."""
        orders = [self._rng.permutation(len(self._y)) for _ in range(REPEATS)]
        mixed = np.concatenate([self._sample[name][order] for order in orders])
        scores = self._request.predict({**self._stacked, name: mixed})
        parts = [objective(self._request.problem_type, self._y, part) for part in np.split(scores, REPEATS)]
        return [gain(self._request.problem_type, whole, whole if part is None else part) for part in parts]
