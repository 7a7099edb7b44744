"""How well one column alone predicts the target: learned on training rows, measured on held-out rows."""

from dataclasses import dataclass

import numpy as np

from training.evaluation.grouping import Grouping, is_missing
from training.evaluation.ranking import column_areas, mean_area
from training.evaluation.request import Array, LabelledRows
from training.evaluation.sampling import sample_rows, take

MOST_ROWS = 10_000
FEWEST_ROWS = 50


@dataclass(frozen=True)
class Sample:
    """Training rows to learn from, held-out rows to check on."""

    request: LabelledRows
    y_train: Array
    y_valid: Array
    columns_train: dict[str, Array]
    columns_valid: dict[str, Array]

    @property
    def regression(self) -> bool:
        return self.request.problem_type == "regression"


def draw(request: LabelledRows) -> Sample:
    """At most MOST_ROWS of either kind, the same for the same seed."""
    names = [feature.name for feature in request.features]
    train = sample_rows(len(request.y_train), MOST_ROWS, request.seed)
    valid = sample_rows(len(request.y_valid), MOST_ROWS, request.seed)
    return Sample(
        request,
        request.y_train[train],
        request.y_valid[valid],
        take({name: request.columns_train[name] for name in names}, train),
        take({name: request.columns_valid[name] for name in names}, valid),
    )


def power(sample: Sample, grouping: Grouping) -> float | None:
    """AUC (macro one-vs-rest) or R2 on held-out rows of the column alone; None when undefined."""
    name = grouping.feature.name
    train, valid = grouping.of(sample.columns_train[name]), grouping.of(sample.columns_valid[name])
    if not sample.regression:
        return _class_power(sample, train, valid, grouping.count)
    powers = [_group_r2(sample, train, valid, grouping.count)]
    if not grouping.exact:
        powers.append(_line_r2(sample, name))
    return max((power for power in powers if power is not None), default=None)


def _class_power(sample: Sample, train: Array, valid: Array, groups: int) -> float | None:
    k = len(sample.request.classes)
    learned = np.bincount(train * k + sample.y_train, minlength=groups * k).reshape(groups, k)
    seen = np.bincount(valid * k + sample.y_valid, minlength=groups * k).reshape(groups, k)
    share = learned.sum(axis=0) / len(train)
    rate = (learned + share) / (learned.sum(axis=1, keepdims=True) + 1)
    return mean_area(column_areas(rate, seen, seen.sum(axis=1, keepdims=True) - seen).area)


def _group_r2(sample: Sample, train: Array, valid: Array, groups: int) -> float | None:
    centre, scale = _scale(sample.y_train)
    rows = np.bincount(train, minlength=groups)
    means = np.bincount(train, (sample.y_train - centre) / scale, groups) / np.maximum(rows, 1)
    return _r2((sample.y_valid - centre) / scale, means[valid])


def _line_r2(sample: Sample, name: str) -> float | None:
    """R2 of a straight line; None when less than half of the held-out rows have a value."""
    x, column = sample.columns_train[name], sample.columns_valid[name]
    train, valid = ~is_missing(x), ~is_missing(column)
    if valid.mean() < 0.5 or train.sum() < FEWEST_ROWS:
        return None
    x_centre, x_scale = _scale(x[train])
    centre, scale = _scale(sample.y_train[train])
    line = np.polynomial.polynomial.polyfit(
        (x[train] - x_centre) / x_scale, (sample.y_train[train] - centre) / scale, 1
    )
    fitted = line[0] + line[1] * (column[valid] - x_centre) / x_scale
    return _r2((sample.y_valid[valid] - centre) / scale, fitted)


def _scale(values: Array) -> tuple[float, float]:
    """Centre and scale that bring values near -1..1, so that no square overflows."""
    centre = float(np.median(values))
    return centre, float(np.abs(values - centre).max()) or 1.0


def _r2(y: Array, fitted: Array) -> float | None:
    spread = float(((y - y.mean()) ** 2).sum())
    return 1 - float(((y - fitted) ** 2).sum()) / spread if spread > 0 else None
