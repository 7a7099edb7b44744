"""Which of two scorers of one model answers a request of so many rows: measured where it is served."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

import numpy as np
import numpy.typing as npt

from training.scorers.base import Scorer

Array = npt.NDArray[Any]

TOLERANCE: Final = 1e-6
"""Largest difference of two scorers of one model: absolute for probabilities, of the largest value for numbers."""

SIZES: Final = (1, 4, 16, 64, 256, 1024)
"""Rows measured, smallest first; beyond the last, what held there holds."""

_REPEATS: Final = 3
_MARGIN: Final = 0.9
"""The other must take at most this share of the time to be preferred: clocks are noisy."""


class _Scores(Protocol):
    def scores(self, matrix: Array) -> Array: ...


@dataclass(frozen=True)
class BySize:
    """`small` scores requests of fewer than `threshold` rows, `large` the others."""

    file: ClassVar[str] = ""

    small: _Scores
    large: Scorer
    threshold: int

    def scores(self, matrix: Array) -> Array:
        """As the two, which agree."""
        return (self.small if len(matrix) < self.threshold else self.large).scores(matrix)

    def save(self, folder: Path) -> None:
        self.large.save(folder)


def difference(one: Array, other: Array) -> float:
    """Largest difference of two answers: absolute for probabilities (n, k), relative to the largest for values (n,).

    Infinite when one of them is not finite where the other is.
    """
    if not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return float("inf")
    finite = np.isfinite(one)
    if not finite.any():
        return 0.0
    apart = float(np.abs(one[finite] - other[finite]).max())
    return apart if one.ndim == 2 else apart / max(1.0, float(np.abs(one[finite]).max()))


def chosen(small: _Scores, large: Scorer, rows: Array) -> Scorer:
    """The two by size, or `large` alone when it is never slower or they disagree on `rows` (about SIZES[-1], width)."""
    if difference(small.scores(rows), large.scores(rows)) > TOLERANCE:
        return large
    threshold = 0
    for size in SIZES:
        matrix = np.ascontiguousarray(rows[:size])
        if _seconds(lambda: small.scores(matrix)) > _MARGIN * _seconds(lambda: large.scores(matrix)):  # noqa: B023 - called at once
            break
        threshold = size + 1
    return BySize(small, large, threshold) if threshold else large


def _seconds(score: Callable[[], object]) -> float:
    """The least of a few: what disturbs only adds."""
    least = float("inf")
    for _ in range(_REPEATS):
        began = time.perf_counter()
        score()
        least = min(least, time.perf_counter() - began)
    return least
