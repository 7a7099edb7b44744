"""The target column: its problem type, and numbers to fit.

boolean or categorical               -> classes
numeric, at most 10 whole values     -> classes
any other number                     -> regression
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlops_contracts.columns import ColumnType
from mlops_contracts.hyperparameters import FEW_VALUES, MAX_CLASSES, PROBLEM_TYPES, AlgorithmName, ProblemType
from training.failure import JobError

Array = npt.NDArray[Any]

MAX_TARGET = 1e18
"""Squares of larger numbers do not fit the float32 in which XGBoost computes its loss."""


@dataclass(frozen=True)
class Target:
    """`y` (n,): intp codes into `classes`, or float64 values for regression."""

    problem_type: ProblemType
    classes: tuple[str, ...]
    y: Array

    def outcome(self) -> Array:
        """(n, k) class indicators, one column for a binary target, or (n, 1) values."""
        if self.problem_type == "regression":
            return self.y[:, None]
        indicators: Array = (self.y[:, None] == np.arange(len(self.classes))).astype(np.float64)
        return indicators[:, 1:] if self.problem_type == "binary" else indicators

    def limited_to(self, train: Array) -> "Target":
        """The same target with only the classes of the rows `train`; rows of other classes get code -1.

        Raises JobError when one class is left.
        """
        if self.problem_type == "regression":
            return self
        present = np.unique(self.y[train])
        if len(present) == len(self.classes):
            return self
        if len(present) < 2:
            only = self.classes[present[0]]
            raise JobError(f"The training rows hold one class only ({only!r}); use more rows or another split.")
        code = np.full(len(self.classes), -1, dtype=np.intp)
        code[present] = np.arange(len(present))
        classes = tuple(self.classes[each] for each in present)
        return replace(self, problem_type=_kind(classes), classes=classes, y=code[self.y])


def read_target(
    values: pa.ChunkedArray, name: str, column_type: ColumnType, asked: ProblemType | None, algorithm: AlgorithmName
) -> Target:
    """The target of rows that all have one. Raises JobError when it does not suit what was asked."""
    if column_type in ("text", "datetime"):
        raise JobError(f"The target {name!r} is a {column_type} column; choose a numeric, boolean or categorical one.")
    if pa.types.is_floating(values.type):
        values = pc.add(values, 0.0)  # -0.0 is another distinct value to Arrow than 0.0
    distinct = pc.unique(values)
    if len(distinct) < 2:
        raise JobError(f"The target {name!r} has one value only ({distinct[0].as_py()!r}); there is nothing to learn.")
    problem_type = asked or _inferred(distinct, column_type)
    _check(name, column_type, distinct, problem_type, algorithm)
    if problem_type == "regression":
        return Target("regression", (), _floats(values, name))
    return _classes(values, distinct, name, asked)


def _inferred(distinct: pa.Array, column_type: ColumnType) -> ProblemType:
    if column_type == "numeric" and (len(distinct) > FEW_VALUES or not _whole(distinct)):
        return "regression"
    return "binary" if len(distinct) == 2 else "multiclass"


def _whole(distinct: pa.Array) -> bool:
    numbers = np.asarray(distinct.cast(pa.float64(), safe=False))
    return bool(np.all(np.floor(numbers) == numbers))


def _check(
    name: str, column_type: ColumnType, distinct: pa.Array, problem_type: ProblemType, algorithm: AlgorithmName
) -> None:
    count = len(distinct)
    if problem_type not in PROBLEM_TYPES[algorithm]:
        able = " or ".join(each for each, types in PROBLEM_TYPES.items() if problem_type in types)
        classes = column_type == "numeric" and count <= MAX_CLASSES and _whole(distinct)
        other = ", or --problem-type multiclass if its values are classes" if classes else ""
        raise JobError(
            f"{algorithm} does no {problem_type}, and the target {name!r} ({column_type}, {count:,} distinct values) "
            f"asks for it; choose another algorithm ({able}){other}."
        )
    if problem_type == "regression":
        if column_type != "numeric":
            raise JobError(
                f"Regression needs a numeric target, but {name!r} is {column_type}; leave problem_type empty."
            )
    elif column_type == "numeric" and not _whole(distinct):
        raise JobError(f"The target {name!r} holds fractions, so its values are no classes; use regression.")
    elif count > MAX_CLASSES:
        raise JobError(
            f"The target {name!r} has {count:,} classes, at most {MAX_CLASSES} can be told apart; merge classes"
            + (" or use regression." if column_type == "numeric" else ".")
        )


def _classes(values: pa.ChunkedArray, distinct: pa.Array, name: str, asked: ProblemType | None) -> Target:
    if asked == "binary" and len(distinct) != 2:
        raise JobError(f"binary needs 2 classes, but the target {name!r} has {len(distinct)}; use multiclass.")
    ordered = (
        pc.take(distinct, pc.array_sort_indices(distinct)) if not _is_dictionary(distinct) else _sorted_text(distinct)
    )
    labels = tuple(label(value) for value in ordered.to_pylist())
    codes = pc.index_in(_plain(values), value_set=ordered)
    return Target(_kind(labels), labels, np.asarray(codes.to_numpy(), dtype=np.intp))


def _is_dictionary(array: pa.Array) -> bool:
    return bool(pa.types.is_dictionary(array.type))


def _sorted_text(distinct: pa.DictionaryArray) -> pa.Array:
    return pa.array(sorted(distinct.to_pylist()), pa.string())


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(pa.string()) if pa.types.is_dictionary(values.type) else values


def label(value: float | bool | str) -> str:
    """Text of a class: "true", "1" rather than "1.0", or the text itself."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) else str(value)


def _kind(classes: Sequence[str]) -> ProblemType:
    return "binary" if len(classes) == 2 else "multiclass"


def _floats(values: pa.ChunkedArray, name: str) -> Array:
    y = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    if np.abs(y).max() > MAX_TARGET:
        raise JobError(f"The target {name!r} holds values beyond {MAX_TARGET:g}; rescale it.")
    return y
