"""Columns that number or name the rows."""

import numpy as np

from mlops_contracts.bundle import Feature
from mlops_contracts.columns import ID_NAME
from training.evaluation.grouping import is_missing
from training.evaluation.request import UNSEEN, Array, LabelledRows

FEWEST_ROWS = 50


def id_like(request: LabelledRows, feature: Feature) -> bool:
    """Numeric: whole numbers, no two rows alike, and dense like a counter or named like an identifier.
    Categorical: nine of ten present held-out values are new, or training has a category for nearly every row."""
    train, valid = request.columns_train[feature.name], request.columns_valid[feature.name]
    if feature.type == "categorical":
        return _codes_id_like(train, valid)
    return feature.type == "numeric" and _numbers_id_like(feature.name, train, valid)


def _codes_id_like(train: Array, valid: Array) -> bool:
    present, trained = valid[~is_missing(valid)], train[~is_missing(train)]
    if len(present) + len(trained) < FEWEST_ROWS:
        return False
    mostly_new = len(present) > 0 and float(np.mean(present == UNSEEN)) >= 0.9
    return mostly_new or len(np.unique(trained[trained >= 0])) >= 0.9 * len(trained)


def _numbers_id_like(name: str, train: Array, valid: Array) -> bool:
    head = train[:1000]
    if not _whole_and_distinct(head[~np.isnan(head)]):
        return False
    values = np.concatenate([train, valid])
    values = values[~np.isnan(values)]
    if len(values) < FEWEST_ROWS or not _whole_and_distinct(values):
        return False
    dense = values.max() - values.min() < 2 * len(values)
    return bool(dense) or ID_NAME.search(name) is not None


def _whole_and_distinct(values: Array) -> bool:
    return bool((values == np.round(values)).all()) and len(np.unique(values)) == len(values)
