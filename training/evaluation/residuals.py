"""How regression errors are spread."""

import numpy as np

from mlops_contracts.evaluation import Point, Residuals
from training.evaluation.request import Array
from training.evaluation.sampling import sample_rows

MAX_RESIDUALS = 500
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def residuals(y: Array, predicted: Array, seed: int) -> Residuals:
    """A sample of (actual, predicted) and the quantiles of predicted - actual."""
    rows = sample_rows(len(y), MAX_RESIDUALS, seed)
    points = zip(y[rows].tolist(), predicted[rows].tolist(), strict=True)
    error = np.quantile(predicted.astype(np.float64) - y, QUANTILES).tolist()
    return Residuals(
        points=tuple(Point(x=actual, y=value) for actual, value in points),
        error_quantiles=dict(zip(map(str, QUANTILES), error, strict=True)),
    )
