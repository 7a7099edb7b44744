"""The training rows that early stopping looks at: no tree, and no order of categories, is learnt from their targets."""

from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_contracts.hyperparameters import ProblemType
from training.split import Split, at_random, newest, stratified

Array = npt.NDArray[Any]

STOPPING_SHARE = 0.1
STOPPING_FROM_ROWS = 200
"""With fewer training rows none are spared for early stopping: all rounds are done."""


def stopping_split(problem_type: ProblemType, y: Array, time: Array | None, seed: int) -> Split | None:
    """The rows to fit and the rows to stop by, cut like training and held-out rows; None when rows are too few.

    `y` (n,) and `time` (n,) are of the training rows, `seed` is the job's.
    """
    if len(y) < STOPPING_FROM_ROWS:
        return None
    # A seed of its own: with the split's the same rows of each class would be drawn first again.
    seed += 1
    if time is not None:
        return newest(time, STOPPING_SHARE, seed) if len(np.unique(time)) > 1 else None
    if problem_type == "regression":
        return at_random(len(y), STOPPING_SHARE, seed)
    return stratified(y, STOPPING_SHARE, seed)
