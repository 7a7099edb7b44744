"""LogisticRegression on several hosts: what scikit-learn minimises, its sums added up over shares of the rows.

    mean over rows of weight * log loss  +  |coefficients|^2 / (2 C sum of weights)

The first host drives: it says at which point the others compute, so that no host can stray from the rest by a rounding.
Newton's method finds the optimum to nine digits, as scikit-learn's does on one host; L-BFGS takes over where the matrix
of second derivatives is too large.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import scipy.linalg
import scipy.optimize

from mlops_contracts.hyperparameters import LogisticRegressionHyperparameters
from training.estimators.base import FitTask, Fitted, Progress
from training.estimators.linear import NEWTON_TOLERANCE, NEWTON_UP_TO, TOLERANCE, Design
from training.failure import JobStopped
from training.hosts import Hosts

Array = npt.NDArray[Any]

MATRIX_UP_TO: Final = 1_500
"""Coefficients whose second derivatives are added up: 18 MB a step."""
HALVINGS: Final = 30
DONE, VALUE, CURVE = 0.0, 1.0, 2.0
"""What the first host asks for: nothing more, loss and gradient, or the second derivatives too."""


@dataclass(frozen=True)
class Sums:
    """Of all rows at one point: `loss`, its `gradient` (p,) and, if asked for, `curve` (p, p)."""

    loss: float
    gradient: Array
    curve: Array | None


def fit_linear_on_hosts(task: FitTask, chosen: LogisticRegressionHyperparameters, progress: Progress) -> Fitted | None:
    """Fit on this host's share of the rows; every host has to call this. Raises JobStopped between two steps."""
    rows, hosts = task.hosts.rows(len(task.y)), task.hosts
    matrix = task.matrix[rows]
    design = Design.of(task.encoder, matrix, hosts)
    share = _Share(design, matrix, task, rows, chosen.C)
    if not hosts.first:
        share.serve(progress)
        return None
    newton = share.size <= MATRIX_UP_TO
    progress.say(f"phase=fit solver={'newton' if newton else 'lbfgs'} design_columns={design.width} hosts={hosts.size}")
    point, steps, found = (_newton if newton else _lbfgs)(share, chosen.max_iter, progress)
    share.dismiss(progress)
    if not found:
        progress.say(f"warning: the solver did not converge in {steps} iterations; raise max_iter")
    progress.say(f"phase=fit iterations={steps}")
    progress.fit(1.0)
    coefficients, intercept = share.split(point)
    return Fitted(design.scorer(coefficients, intercept), (coefficients, intercept))


class _Share:
    """This host's rows, and the sums over those of all hosts. A point is (s, width + 1) flat, the intercepts last."""

    def __init__(self, design: Design, matrix: Array, task: FitTask, rows: slice, inverse_strength: float) -> None:
        self.hosts: Hosts = task.hosts
        self.scores = 1 if task.classes == 2 else task.classes
        self.width = design.width
        self.size = self.scores * (self.width + 1)
        dense = self.scores * self.width <= NEWTON_UP_TO
        self._matrix = design.dense(matrix) if dense else design.sparse(matrix)
        self._y = task.y[rows]
        weight = np.ones(len(self._y)) if task.weight is None else task.weight[rows]
        whole = float(self.hosts.total(np.array([weight.sum()]))[0])
        self._weight = weight / whole
        self._penalty = 1.0 / (inverse_strength * whole)

    def split(self, point: Array) -> tuple[Array, Array]:
        """Coefficients (s, width) and intercepts (s,)."""
        table = point.reshape(self.scores, self.width + 1)
        return table[:, :-1], table[:, -1]

    def serve(self, progress: Progress) -> None:
        """Compute what the first host asks for until it has done."""
        nothing = np.zeros(self.size)
        while (asked := self._exchange(DONE, nothing, progress))[0] != DONE:
            self._sums(asked[1:], curve=asked[0] == CURVE)

    def ask(self, what: float, point: Array, progress: Progress) -> Sums:
        """On the first host: the sums at `point`."""
        asked = self._exchange(what, point, progress)
        return self._sums(asked[1:], curve=what == CURVE)

    def dismiss(self, progress: Progress) -> None:
        """On the first host: there is nothing more to compute."""
        self._exchange(DONE, np.zeros(self.size), progress)

    def _exchange(self, what: float, point: Array, progress: Progress) -> Array:
        """(1 + p,) what the first host asks for and where; the others add zeros. Raises JobStopped on all hosts."""
        told = self.hosts.total(np.array([float(progress.stop_requested()), what, *point]))
        if told[0]:
            raise JobStopped
        return told[1:]

    def _sums(self, point: Array, *, curve: bool) -> Sums:
        coefficients, intercept = self.split(point)
        linear = self._matrix @ coefficients.T + intercept
        loss, residual, shares = _binary(linear, self._y) if self.scores == 1 else _multiclass(linear, self._y)
        residual *= self._weight[:, None]
        gradient = np.column_stack([(self._matrix.T @ residual).T, residual.sum(axis=0)])
        added = self.hosts.total(np.array([float(self._weight @ loss), *gradient.ravel()]))
        mask = self._penalised()
        penalised = added[1:] + self._penalty * mask * point
        value = added[0] + 0.5 * self._penalty * float((mask * point**2).sum())
        return Sums(float(value), penalised, self._curve(shares) if curve else None)

    def _penalised(self) -> Array:
        mask = np.ones((self.scores, self.width + 1))
        mask[:, -1] = 0.0
        return mask.ravel()

    def _curve(self, shares: Array) -> Array:
        """Second derivatives, block by block of classes."""
        side = self.width + 1
        curve = np.zeros((self.size, self.size))
        for i in range(self.scores):
            for j in range(i, self.scores):
                weights = self._weight * _second(shares, i, j, self.scores)
                block = self._block(weights)
                curve[i * side : (i + 1) * side, j * side : (j + 1) * side] = block
                curve[j * side : (j + 1) * side, i * side : (i + 1) * side] = block.T
        whole = self.hosts.total(curve)
        whole[np.diag_indices(self.size)] += self._penalty * self._penalised()
        if self.scores > 1:
            # One number added to all intercepts changes no probability; this keeps their sum at zero.
            last = np.arange(1, self.scores + 1) * side - 1
            whole[np.ix_(last, last)] += 1.0 / self.scores
        return whole

    def _block(self, weights: Array) -> Array:
        if isinstance(self._matrix, np.ndarray):
            inner = (self._matrix.T * weights) @ self._matrix
        else:
            inner = (self._matrix.T.multiply(weights) @ self._matrix).toarray()
        edge = np.asarray(self._matrix.T @ weights)
        return np.block([[inner, edge[:, None]], [edge[None, :], weights.sum()]])


def _binary(linear: Array, y: Array) -> tuple[Array, Array, Array]:
    """(loss (n,), its derivative by the score (n, 1), P(classes[1]) (n, 1))."""
    z = linear[:, 0]
    positive = np.exp(-np.logaddexp(0.0, -z))
    return np.logaddexp(0.0, z) - y * z, (positive - y)[:, None], positive[:, None]


def _multiclass(linear: Array, y: Array) -> tuple[Array, Array, Array]:
    whole = np.logaddexp.reduce(linear, axis=1)
    shares = np.exp(linear - whole[:, None])
    residual = shares.copy()
    rows = np.arange(len(y))
    residual[rows, y] -= 1.0
    return whole - linear[rows, y], residual, shares


def _second(shares: Array, i: int, j: int, scores: int) -> Array:
    if scores == 1:
        return shares[:, 0] * (1.0 - shares[:, 0])
    return shares[:, i] * (float(i == j) - shares[:, j])


# --------------------------------------------------------------------------- solvers, on the first host

Solved = tuple[Array, int, bool]
"""The point, the iterations, and whether the gradient vanished."""


def _newton(share: _Share, most: int, progress: Progress) -> Solved:
    point = np.zeros(share.size)
    for step in range(most):
        here = share.ask(CURVE, point, progress)
        progress.fit(min(0.95, step / 10))
        if np.abs(here.gradient).max() <= NEWTON_TOLERANCE:
            return point, step, True
        direction = _direction(here)
        further = _searched(point, direction, here, lambda at: share.ask(VALUE, at, progress).loss)
        if further is None:
            # No step lowers the loss any more: the digits of a float64 are used up.
            return point, step, bool(np.abs(here.gradient).max() <= TOLERANCE)
        point = further
    return point, most, False


def _direction(here: Sums) -> Array:
    """Newton's; where the second derivatives are singular within a float64's digits, the shortest one."""
    try:
        found: Array = scipy.linalg.cho_solve(scipy.linalg.cho_factor(here.curve), -here.gradient)
    except scipy.linalg.LinAlgError:
        found = scipy.linalg.lstsq(here.curve, -here.gradient)[0]
    return found


def _searched(point: Array, direction: Array, here: Sums, loss: Callable[[Array], float]) -> Array | None:
    """The first of the steps 1, 1/2, 1/4 ... that lowers the loss as it should; None when none does."""
    slope, length = float(here.gradient @ direction), 1.0
    slack = 8 * np.finfo(np.float64).eps * abs(here.loss)
    for _ in range(HALVINGS):
        if loss(point + length * direction) <= here.loss + 1e-4 * length * slope + slack:
            return point + length * direction
        length /= 2
    return None


def _lbfgs(share: _Share, most: int, progress: Progress) -> Solved:
    def value(point: Array) -> tuple[float, Array]:
        found = share.ask(VALUE, point, progress)
        return found.loss, found.gradient

    options = {"maxiter": most, "maxls": 50, "gtol": TOLERANCE, "ftol": 64 * np.finfo(float).eps}
    found = scipy.optimize.minimize(value, np.zeros(share.size), jac=True, method="L-BFGS-B", options=options)
    return found.x, int(found.nit), bool(found.success)
