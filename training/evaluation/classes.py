"""What the model confuses, and its figures of each class."""

import numpy as np

from mlops_contracts.evaluation import ClassFigures
from training.evaluation.metrics import class_areas, ratio
from training.evaluation.request import Array

MAX_CLASSES = 100
"""Most classes with a confusion matrix, and most classes listed: evaluation.json stays small."""


def confusion(y: Array, predicted: Array, n_classes: int) -> Array:
    """(k, k) counts: rows actual, columns predicted."""
    flat = np.bincount(y.astype(np.int64) * n_classes + predicted, minlength=n_classes**2)
    return flat.reshape(n_classes, n_classes)


def confusion_rows(table: Array) -> tuple[tuple[int, ...], ...]:
    """The matrix as evaluation.json has it; empty above MAX_CLASSES classes."""
    return tuple(tuple(row) for row in table.tolist()) if len(table) <= MAX_CLASSES else ()


def per_class(y: Array, scores: Array, table: Array, classes: tuple[str, ...]) -> tuple[ClassFigures, ...]:
    """Figures of the classes with most held-out rows, at most MAX_CLASSES, in the order of `classes`.

    Precision is 0 for a class never predicted, recall 0 for one without rows, as scikit-learn reports them.
    """
    areas = class_areas(y, scores)
    known = [None if np.isnan(area) else float(area) for area in areas]
    return tuple(_figures(classes[c], table, c, known[c]) for c in largest(table.sum(axis=1)))


def largest(rows: Array) -> list[int]:
    """Indices of the MAX_CLASSES largest entries, ascending; ties by index."""
    kept: list[int] = np.sort(np.argsort(-rows, kind="stable")[:MAX_CLASSES]).tolist()
    return kept


def class_balance(y: Array, classes: tuple[str, ...]) -> dict[str, int]:
    """Rows of each class, most frequent MAX_CLASSES, in the order of `classes`."""
    rows = np.bincount(y, minlength=len(classes))
    return {classes[c]: int(rows[c]) for c in largest(rows)}


def _figures(label: str, table: Array, c: int, auc: float | None) -> ClassFigures:
    hits, actual, predicted = int(table[c, c]), int(table[c].sum()), int(table[:, c].sum())
    return ClassFigures(
        label=label,
        precision=ratio(hits, predicted) or 0.0,
        recall=ratio(hits, actual) or 0.0,
        f1=ratio(2 * hits, actual + predicted) or 0.0,
        support=actual,
        auc=auc,
    )
