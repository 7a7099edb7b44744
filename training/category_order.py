"""Order of a categorical column's levels by their effect on the outcome.

For two classes or a number this is the order of the mean outcome, which makes the best split of an ordinal code
the best split of the levels (Fisher 1958). For more classes it is the order along the first principal component
of the class rates (Coppersmith, Hong and Hosking 1999).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

PRIOR_ROWS = 10.0
"""Each level's mean is drawn to the overall mean as if so many rows more had been seen there."""


def by_effect(level: Array, levels: int, outcome: Array) -> Array:
    """Permutation of `range(levels)`; `level` (n,) is each row's, -1 for none; `outcome` is (n, k).

    Rows whose outcome is NaN are not looked at.
    """
    known = ~np.isnan(outcome).any(axis=1)
    level, outcome = level[known], outcome[known]
    present = level >= 0
    rows = np.bincount(level[present], minlength=levels).astype(np.float64)
    sums = np.stack([np.bincount(level[present], column[present], levels) for column in outcome.T], axis=1)
    overall = outcome.mean(axis=0)
    excess = (sums + PRIOR_ROWS * overall) / (rows + PRIOR_ROWS)[:, None] - overall
    return np.argsort(excess @ _principal(excess * np.sqrt(rows)[:, None]), kind="stable")


def _principal(weighted: Array) -> Array:
    """First right singular vector, its largest entry positive so that the order is reproducible."""
    direction: Array = np.linalg.svd(weighted, full_matrices=False)[2][0]
    aligned: Array = direction * np.sign(direction[np.argmax(np.abs(direction))])
    return aligned
