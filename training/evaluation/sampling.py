"""Draws of rows, the same for the same seed."""

import numpy as np

from training.evaluation.request import Array, ColumnMap


def sample_rows(rows: int, most: int, seed: int) -> Array:
    """Ascending indices of at most `most` of `rows` rows, drawn without replacement."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False, shuffle=False))


def stratified_rows(y: Array, most: int, seed: int) -> Array:
    """As sample_rows, with every value of `y` (or stretch of its values) in its own share."""
    if len(y) <= most:
        return np.arange(len(y))
    mixed = np.random.default_rng(seed).permutation(len(y))
    by_target = mixed[np.argsort(y[mixed], kind="stable")]
    picks = (np.arange(most) * len(y) + len(y) // 2) // most
    return np.sort(by_target[picks])


def take(columns: ColumnMap, rows: Array) -> dict[str, Array]:
    """The columns at these rows."""
    return {name: values[rows] for name, values in columns.items()}
