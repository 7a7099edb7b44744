"""model.ubj: gradient boosted trees, scored by xgboost itself."""

from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import xgboost

from training.scorers.base import ModelFileError

Array = npt.NDArray[Any]

ONE_THREAD_BELOW = 2_000
"""Rows. Waking a second thread costs far more than it saves on a few rows: 48 ms a row against 0.17 ms."""


class BoostedScorer:
    file: ClassVar[str] = "model.ubj"

    def __init__(self, booster: xgboost.Booster, threads: int) -> None:
        self.booster = booster
        self._threads = threads
        booster.set_param({"nthread": 1})

    @cached_property
    def _parallel(self) -> xgboost.Booster:
        # A copy of its own: setting nthread back and forth would race between threads that score.
        booster = self.booster.copy()
        booster.set_param({"nthread": self._threads})
        return booster

    def scores(self, matrix: Array) -> Array:
        """(n, 2) for a binary objective, (n, k) for softprob, (n,) for regression; float64."""
        alone = self._threads == 1 or len(matrix) < ONE_THREAD_BELOW
        booster = self.booster if alone else self._parallel
        raw = booster.inplace_predict(matrix).astype(np.float64)
        if self._binary:
            return np.stack([1.0 - raw, raw], axis=1)
        return raw / raw.sum(axis=1, keepdims=True) if raw.ndim == 2 else raw

    @cached_property
    def _binary(self) -> bool:
        return '"binary:logistic"' in self.booster.save_config()

    def save(self, folder: Path) -> None:
        self.booster.save_model(folder / self.file)

    @classmethod
    def load(cls, folder: Path, width: int, classes: int, threads: int) -> "BoostedScorer":
        """Raises ModelFileError when the file does not fit a matrix of `width` columns and so many classes."""
        try:
            booster = xgboost.Booster(model_file=folder / cls.file)
        except xgboost.core.XGBoostError as error:
            raise ModelFileError(f"not an XGBoost model: {str(error).splitlines()[0]}") from error
        scorer = cls(booster, threads)
        if booster.num_features() != width or scorer._outputs(width) != classes:
            raise ModelFileError("it does not fit the manifest's features and classes")
        return scorer

    def _outputs(self, width: int) -> int:
        one = self.scores(np.zeros((1, width), dtype=np.float32))
        return int(one.shape[1]) if one.ndim == 2 else 0
