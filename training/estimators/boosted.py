"""XGBoost's hist trees, round by round: live metrics, early stopping, checkpoints, a stop between rounds.

Early stopping looks at a tenth of the training rows that no tree is fitted on, not at the held-out rows, so that
the metrics reported of those stay those of rows the model has not seen. They are only watched.

Several hosts each boost on a share of the rows; XGBoost adds up their histograms and losses, so that all have the same
trees. The first one keeps the checkpoints.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost

from mlops_contracts.hyperparameters import XGBoostHyperparameters
from training.checkpoint import Checkpoint
from training.estimators.base import FitTask, Fitted, Progress
from training.estimators.stopping_rows import stopping_split
from training.evaluation.metrics import objective
from training.evaluation.sampling import stratified_rows
from training.failure import JobStopped
from training.scorers.boosted import BoostedScorer

Array = npt.NDArray[Any]

ONE_THREAD_BELOW = 500_000
"""Cells of the matrix. Each round waits for its threads many times over, which costs a small fit more than they save,
and very much more on a busy machine."""
REPORTS = 60
"""Most lines of live metrics, about."""
WATCHED_ROWS = 10_000
"""Most held-out rows that live metrics look at: with all of a large table they took a fifth of the fit's time."""


@dataclass(frozen=True)
class Loss:
    """XGBoost's objective, its loss, and the name the live metrics give it."""

    objective: str
    metric: str


LOSSES = {
    "binary": Loss("binary:logistic", "logloss"),
    "multiclass": Loss("multi:softprob", "mlogloss"),
    "regression": Loss("reg:squarederror", "rmse"),
}


def fit_boosted(task: FitTask, chosen: XGBoostHyperparameters, progress: Progress) -> Fitted | None:
    """Boost until the rounds are done or the stopping rows no longer improve; the best round's model.

    Goes on from a checkpoint of the same key, to the model an unbroken fit gives; with subsample or
    colsample_bytree below 1 to another draw of it, since XGBoost does not save its generator. Raises JobStopped
    between rounds, after a checkpoint.
    """
    boosting = _Boosting(task, chosen, progress)
    boosting.run()
    booster = boosting.best()
    if not task.hosts.first:
        return None
    return Fitted(BoostedScorer(booster, task.threads), booster)


class _Boosting:
    def __init__(self, task: FitTask, chosen: XGBoostHyperparameters, progress: Progress) -> None:
        self.task, self.chosen, self.progress = task, chosen, progress
        self.threads = task.threads if task.matrix.size >= ONE_THREAD_BELOW else 1
        self.loss = LOSSES[task.problem_type]
        self.report_every = max(1, -(-chosen.n_estimators // REPORTS))
        self.checkpoint = Checkpoint(task.checkpoints, task.checkpoint_key)
        self._matrices()
        self.booster = self._booster()

    def _matrices(self) -> None:
        task = self.task
        asked = self.chosen.early_stopping_rounds
        parts = stopping_split(task.problem_type, task.y, task.time, task.seed) if asked else None
        rows = parts.train if parts else np.arange(len(task.y))
        own = rows[task.hosts.rows(len(rows))]
        self.fitted = self._quantised(
            task.matrix if len(own) == len(task.y) else task.matrix[own], task.y[own], _at(task.weight, own)
        )
        self.stopping = None
        if parts:
            held = parts.valid[task.hosts.rows(len(parts.valid))]
            self.stopping = self._quantised(task.matrix[held], task.y[held], _at(task.weight, held), self.fitted)
        watched = stratified_rows(task.y_valid, WATCHED_ROWS, task.seed)
        self.watched_y = task.y_valid[watched]
        # Not quantised: that took longer than it saves on rows that are only scored.
        self.watched = xgboost.DMatrix(task.matrix_valid[watched], self.watched_y, nthread=self.threads)
        counts = {"fitted": len(rows), "early_stopping": len(task.y) - len(rows), "watched": len(watched)}
        self.progress.say("phase=fit " + " ".join(f"{name}_rows={count}" for name, count in counts.items()))

    def _quantised(
        self, matrix: Array, y: Array, weight: Array | None, like: xgboost.QuantileDMatrix | None = None
    ) -> xgboost.QuantileDMatrix:
        return xgboost.QuantileDMatrix(matrix, y, weight=weight, ref=like, nthread=self.threads)

    def _booster(self) -> xgboost.Booster:
        caches = [each for each in (self.fitted, self.stopping, self.watched) if each is not None]
        saved = self.task.hosts.from_first(self.checkpoint.read() if self.task.hosts.first else None)
        model = None if saved is None else bytearray(saved)
        booster = xgboost.Booster(self._parameters(), cache=caches, model_file=model)
        if saved is not None:
            self.progress.say(f"phase=resume rounds={booster.num_boosted_rounds()}")
        return booster

    def _parameters(self) -> dict[str, Any]:
        chosen, task = self.chosen, self.task
        return {
            "objective": self.loss.objective,
            "eval_metric": self.loss.metric,
            "tree_method": "hist",
            "max_depth": chosen.max_depth,
            "learning_rate": chosen.learning_rate,
            "min_child_weight": chosen.min_child_weight,
            "subsample": chosen.subsample,
            "colsample_bytree": chosen.colsample_bytree,
            "reg_lambda": chosen.reg_lambda,
            "reg_alpha": chosen.reg_alpha,
            "seed": task.seed,
            "nthread": self.threads,
            **({"num_class": task.classes} if task.problem_type == "multiclass" else {}),
        }

    def run(self) -> None:
        """Boost from where the booster is to the end."""
        best_round, best_loss = self._best_so_far()
        for number in range(self.booster.num_boosted_rounds(), self.chosen.n_estimators):
            if self.stopping is not None and number - best_round > self.chosen.early_stopping_rounds:
                break
            if self.task.hosts.any(self.progress.stop_requested()):
                self._save()
                raise JobStopped
            self.booster.update(self.fitted, number)
            if self.stopping is not None and (loss := self._loss(self.stopping, number)) < best_loss:
                best_round, best_loss = number, loss
                self.booster.set_attr(best_round=str(number), best_loss=repr(loss))
            self._tell(number)
        self.progress.say(f"phase=fit rounds={self.booster.num_boosted_rounds()} best_round={self._best_round()}")

    def _best_so_far(self) -> tuple[int, float]:
        number, loss = self.booster.attr("best_round"), self.booster.attr("best_loss")
        return (int(number), float(loss)) if number and loss else (-1, np.inf)

    def _loss(self, rows: xgboost.DMatrix, number: int) -> float:
        return float(self.booster.eval(rows, iteration=number).rpartition(":")[2])

    def _tell(self, number: int) -> None:
        last = number + 1 == self.chosen.n_estimators
        if number % self.report_every and not last:
            return
        self.progress.fit((number + 1) / self.chosen.n_estimators, round=number + 1, **self._live(number))
        if self.checkpoint.due():
            self._save()

    def _live(self, number: int) -> dict[str, float]:
        name = self.loss.metric
        live = {
            f"train_{name}": self._loss(self.fitted, number),
            f"validation_{name}": self._loss(self.watched, number),
        }
        if self.task.problem_type == "binary":
            positive = self.booster.predict(self.watched)
            auc = objective("binary", self.watched_y, np.stack([1 - positive, positive], axis=1))
            live |= {} if auc is None else {"validation_auc": auc}
        return live

    def _save(self) -> None:
        if not self.task.hosts.first:
            return
        self.checkpoint.write(bytes(self.booster.save_raw("ubj")))

    def _best_round(self) -> int:
        """Number of the last round of the best model."""
        best = self._best_so_far()[0]
        return self.booster.num_boosted_rounds() - 1 if best < 0 else best

    def best(self) -> xgboost.Booster:
        booster: xgboost.Booster = self.booster[: self._best_round() + 1]
        booster.set_attr(best_round=None, best_loss=None)
        return booster


def _at(weight: Array | None, rows: Array) -> Array | None:
    return None if weight is None else weight[rows]
