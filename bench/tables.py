"""Generated tables, the same for the same size."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

NUMERIC, CATEGORICAL = 20, 10
MISSING_IN, MISSING_SHARE = 8, 0.05
TARGET = "outcome"
LEVELS = (2, 3, 4, 5, 6, 8, 10, 12, 20, 40)

Array = npt.NDArray[np.float64]


def mixed(rows: int, *, target: bool, seed: int = 0) -> pa.Table:
    """20 numeric columns, some cells of 8 of them missing, 10 categorical ones, and with `target` a 0/1 outcome.

    The outcome follows a few columns of either kind, with an interaction, under noise: about AUC 0.8 can be had.
    """
    draw = np.random.default_rng(seed)
    numbers = draw.normal(size=(rows, NUMERIC)).round(4)
    codes = np.column_stack([draw.integers(levels, size=rows) for levels in LEVELS])
    columns = {f"number_{j}": _numeric(numbers[:, j], j, draw) for j in range(NUMERIC)}
    columns |= {f"category_{j}": _texts(codes[:, j], LEVELS[j]) for j in range(CATEGORICAL)}
    if target:
        columns[TARGET] = pa.array((draw.random(rows) < _probability(numbers, codes)).astype(np.int8))
    return pa.table(columns)


def _numeric(values: Array, column: int, draw: np.random.Generator) -> pa.Array:
    if column >= MISSING_IN:
        return pa.array(values)
    return pa.array(values, mask=draw.random(len(values)) < MISSING_SHARE)


def _texts(codes: npt.NDArray[np.int64], levels: int) -> pa.Array:
    names = pa.array([f"level-{level}" for level in range(levels)])
    return names.take(pa.array(codes))


def _probability(numbers: Array, codes: npt.NDArray[np.int64]) -> Array:
    effect = np.sin(np.arange(LEVELS[9]))[codes[:, 9]] + 0.3 * codes[:, 2]
    score = numbers[:, :5] @ [0.6, -0.4, 0.3, 0.2, -0.2] + 0.5 * numbers[:, 8] * numbers[:, 9] + effect - 0.8
    return np.asarray(1 / (1 + np.exp(-score)), dtype=np.float64)


def write_parquet(table: pa.Table, path: Path) -> Path:
    pa.parquet.write_table(table, path)
    return path


def mixed_csv(path: Path, parts: Sequence[int]) -> Path:
    """A CSV file of `mixed` tables, one below the other; texts unquoted, missing cells empty."""
    with path.open("wb") as file:
        for seed, rows in enumerate(parts):
            options = pa.csv.WriteOptions(quoting_style="none", include_header=seed == 0)
            pa.csv.write_csv(mixed(rows, target=False, seed=seed), file, options)
    return path
