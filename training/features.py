"""From a table's columns to what a model is fed, the same at training and at serving.

    fit_features         table of training rows -> tuple[Feature, ...], the signature
    columns_from_table   table -> ColumnMap
    codes                text -> category codes
    Encoder              ColumnMap -> matrix for one algorithm

In a ColumnMap numeric and boolean columns are float64, NaN is missing; categorical columns are int32 codes into
`Feature.categories`, MISSING or UNSEEN. A level too rare in training to be learnt is left out of `categories`,
so that UNSEEN is something the model has met.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlops_contracts.bundle import Feature
from mlops_contracts.dataset import Column, DatasetReport
from mlops_contracts.hyperparameters import AlgorithmName
from training.category_order import by_effect

Array = npt.NDArray[Any]
ColumnMap = Mapping[str, Array]

MISSING: Final = -1
UNSEEN: Final = -2

MAX_CATEGORIES: Final = 500
"""Levels kept for one column, the most frequent first; the rest count as unseen."""

RARE_BELOW: Final = 5
"""A level with fewer training rows is left to UNSEEN, in tables of at least RARE_FROM_ROWS rows."""
RARE_FROM_ROWS: Final = 1_000

USABLE: Final = ("numeric", "boolean", "categorical")
"""Column types that become features."""


class FeatureError(ValueError):
    """A table cannot give a feature its values; the message names the column."""


# --------------------------------------------------------------------------- the signature


def fit_features(
    table: pa.Table,
    report: DatasetReport,
    names: Iterable[str],
    *,
    algorithm: AlgorithmName = "xgboost",
    outcome: Array | None = None,
) -> tuple[Feature, ...]:
    """Learn the signature of the columns `names` from the training rows in `table`.

    `outcome` (rows, k) holds class indicators or the numeric target; categories are then ordered by their effect
    on it, which lets a tree split an ordinal code well, otherwise by frequency. A row whose outcome must not be
    learnt from has NaN there. Raises FeatureError for a column
    that is no feature (text, datetime) or absent.
    """
    described = {column.name: column for column in report.columns}
    return tuple(_fit_one(table, _usable(described, name), algorithm, outcome) for name in names)


def _usable(described: Mapping[str, Column], name: str) -> Column:
    column = described.get(name)
    if column is None:
        raise FeatureError(f"column {name!r} is not in the dataset; columns are: {', '.join(described)}")
    if column.type not in USABLE:
        raise FeatureError(f"column {name!r} is {column.type}, which no algorithm here uses; exclude it")
    return column


def _fit_one(table: pa.Table, column: Column, algorithm: AlgorithmName, outcome: Array | None) -> Feature:
    values = table[column.name]
    required = column.missing == 0 and values.null_count == 0
    if column.type == "categorical":
        return _fit_categorical(values, column.name, required, algorithm, outcome)
    numbers = _numbers(values, column.name)
    present = numbers[~np.isnan(numbers)]
    if column.type == "boolean":
        return _fit_boolean(present, column.name, required, algorithm)
    return _fit_numeric(present, column.name, required, algorithm)


def _fit_numeric(present: Array, name: str, required: bool, algorithm: AlgorithmName) -> Feature:
    if not len(present):
        return Feature(name=name, type="numeric", required=False, fill=None if algorithm == "xgboost" else 0.0)
    middle = len(present) // 2
    median = float(np.partition(present, middle)[middle])
    low, high = float(present.min()), float(present.max())
    fill = None if algorithm == "xgboost" else median
    return Feature(name=name, type="numeric", required=required, fill=fill, minimum=low, maximum=high, example=median)


def _fit_boolean(present: Array, name: str, required: bool, algorithm: AlgorithmName) -> Feature:
    mostly = bool(len(present)) and float(present.mean()) >= 0.5
    fill = None if algorithm == "xgboost" else float(mostly)
    return Feature(name=name, type="boolean", required=required and bool(len(present)), fill=fill, example=mostly)


def _fit_categorical(
    values: pa.ChunkedArray, name: str, required: bool, algorithm: AlgorithmName, outcome: Array | None
) -> Feature:
    levels, indices = _levels(values)
    counts = np.bincount(indices[indices >= 0], minlength=len(levels))
    kept = _frequent(levels, counts, len(indices))
    example = levels[kept[0]] if len(kept) else None
    if outcome is not None and len(kept) > 2:
        kept = kept[by_effect(_renumbered(indices, kept, len(levels)), len(kept), outcome)]
    return Feature(
        name=name,
        type="categorical",
        required=required,
        fill=None if algorithm == "logistic_regression" else _stand_in(counts, kept),
        categories=tuple(levels[index] for index in kept),
        example=example,
    )


def _frequent(levels: Sequence[str], counts: Array, rows: int) -> Array:
    """Indices of the levels to keep, most frequent first and by name among equals."""
    least = RARE_BELOW if rows >= RARE_FROM_ROWS else 1
    ranked = sorted(np.flatnonzero(counts >= least).tolist(), key=lambda index: (-counts[index], levels[index]))
    return np.array(ranked[:MAX_CATEGORIES], dtype=np.intp)


def _renumbered(indices: Array, kept: Array, levels: int) -> Array:
    """Positions in `kept` of each row's level; -1 for missing and left-out levels."""
    position = np.full(levels + 1, -1, dtype=np.intp)
    position[kept] = np.arange(len(kept))
    return position[indices]  # index -1 reads the last entry, which stays -1


def _stand_in(counts: Array, kept: Array) -> float | None:
    """Code that an unseen level takes in an ordinal encoding: the median row's, unless rare levels were learnt."""
    total = counts[kept].sum()
    if not total or total < counts.sum():
        return None
    return float(np.searchsorted(np.cumsum(counts[kept]), total / 2))


# --------------------------------------------------------------------------- columns


def columns_from_table(table: pa.Table, features: Sequence[Feature]) -> dict[str, Array]:
    """The ColumnMap of a table; a column that is not `required` may be absent (all missing).

    Raises FeatureError naming a required column that is absent, or one whose type can never fit.
    """
    return {feature.name: _column(table, feature) for feature in features}


def _column(table: pa.Table, feature: Feature) -> Array:
    if feature.name in table.column_names:
        values = table[feature.name]
        return _codes_of(values, feature) if feature.type == "categorical" else _numbers(values, feature.name)
    if feature.required:
        raise FeatureError(f"column {feature.name!r} is missing; the model needs it")
    rows = table.num_rows
    return np.full(rows, MISSING, np.int32) if feature.type == "categorical" else np.full(rows, np.nan)


def _numbers(values: pa.ChunkedArray, name: str) -> Array:
    """float64 with NaN for missing; booleans become 0 and 1."""
    kind = values.type
    if pa.types.is_boolean(kind):
        values = values.cast(pa.int8())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)):
        raise FeatureError(f"column {name!r} should hold numbers, but it is {kind}")
    # `safe` would refuse integers beyond 2**53, which a model cannot tell apart anyway.
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _levels(values: pa.ChunkedArray) -> tuple[list[str], Array]:
    """Distinct present texts and each row's index into them, -1 for missing."""
    encoded = _as_text(values).combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    indices = encoded.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
    return encoded.dictionary.to_pylist(), indices


def _as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(values.type) and pa.types.is_string(values.type.value_type):
        return values.unify_dictionaries()
    return pc.dictionary_encode(values.cast(pa.string()))


def _codes_of(values: pa.ChunkedArray, feature: Feature) -> Array:
    levels, indices = _levels(values)
    known = np.empty(len(levels) + 1, dtype=np.int32)
    known[:-1] = codes(feature, levels)
    known[-1] = MISSING
    return known[indices]


def codes(feature: Feature, values: Sequence[str | None]) -> npt.NDArray[np.int32]:
    """Code of each text in `feature.categories`; None gives MISSING, any other text UNSEEN."""
    code_of: dict[str | None, int] = {text: code for code, text in enumerate(feature.categories)}
    code_of[None] = MISSING
    return np.array([code_of.get(value, UNSEEN) for value in values], dtype=np.int32)


# --------------------------------------------------------------------------- matrix

LARGEST: Final = 1e30
"""Numbers beyond are taken for this one: sums of a float32 column must stay finite."""


class Encoder:
    """Matrix of one algorithm, one row per row.

    xgboost              float32 (n, features): NaN is missing, categories are codes
    random_forest        the same, but missing numbers are filled and a missing category is -1
    logistic_regression  float64 (n, numbers + indicators + categoricals): filled numbers, then 1.0 where an optional
                         number was missing, then codes + 2 (0 unseen, 1 missing) for the linear model's tables

    For trees an unseen level takes the code `Feature.fill`, or -2 when rare levels of training were given it.
    """

    def __init__(self, features: Sequence[Feature], algorithm: AlgorithmName) -> None:
        self.features = tuple(features)
        self.algorithm: AlgorithmName = algorithm
        self.numbers = tuple(each for each in features if each.type != "categorical")
        self.categoricals = tuple(each for each in features if each.type == "categorical")
        self.indicated = tuple(j for j, each in enumerate(self.numbers) if not each.required)
        """Positions in `numbers` that have a missing indicator in logistic regression."""
        fill = [np.nan if each.fill is None else each.fill for each in self.numbers]
        self._fill = np.clip(np.array(fill, dtype=np.float64), -LARGEST, LARGEST)
        unseen = [UNSEEN if each.fill is None else each.fill for each in self.categoricals]
        self._unseen = np.array(unseen, dtype=np.float32)
        extra = len(self.indicated) if self.algorithm == "logistic_regression" else 0
        self.width = len(self.features) + extra
        """Number of columns of `matrix`."""
        self._codes_from = self.width - len(self.categoricals)

    def matrix(self, columns: ColumnMap) -> Array:
        """Encode `columns`; raises KeyError for a feature that is absent."""
        out = self._empty(len(columns[self.features[0].name]))
        with np.errstate(over="ignore"):  # beyond float32 becomes infinite, then LARGEST
            for j, feature in enumerate(self.numbers):
                out[:, j] = columns[feature.name]
        for j, feature in enumerate(self.categoricals, self._codes_from):
            out[:, j] = columns[feature.name]
        return self._finished(out)

    def assemble(self, numbers: Array, codes: Array) -> Array:
        """As `matrix`, of (n, len(self.numbers)) float64 and (n, len(self.categoricals)) codes in their order."""
        out = self._empty(len(numbers))
        with np.errstate(over="ignore"):
            out[:, : len(self.numbers)] = numbers
        if self.categoricals:
            out[:, self._codes_from :] = codes
        return self._finished(out)

    def _empty(self, rows: int) -> Array:
        kind = np.float64 if self.algorithm == "logistic_regression" else np.float32
        return np.empty((rows, self.width), dtype=kind)

    def _finished(self, out: Array) -> Array:
        """`out` holds numbers with NaN for missing, room for the indicators, and codes as they are."""
        numbers, codes = out[:, : len(self.numbers)], out[:, self._codes_from :]
        np.clip(numbers, -LARGEST, LARGEST, out=numbers)
        if self.algorithm == "logistic_regression":
            missing = np.isnan(numbers)
            out[:, len(self.numbers) : self._codes_from] = missing[:, self.indicated]
            np.copyto(numbers, self._fill, where=missing)
            codes += 2.0
            return out
        if self.algorithm == "random_forest":
            np.copyto(numbers, self._fill, where=np.isnan(numbers), casting="same_kind")
        if codes.min(initial=0) < 0:
            unseen = codes == UNSEEN
            if self.algorithm == "xgboost":
                codes[codes == MISSING] = np.nan
            np.copyto(codes, self._unseen, where=unseen)
        return out
