"""Which rows train and which validate: seeded, the same for the same dataset, fraction and seed.

stratified   classes: every class with at least two rows is on both sides
random       regression
time         the newest rows validate; rows of equal time stay together
hash         by what a row holds: a row that was held out once is so in every later version of the table, and equal rows
             are on the same side
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from mlops_contracts.evaluation import SplitKind
from training.failure import JobError
from training.row_hashes import RowHashes
from training.target import Target

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Split:
    """Ascending row numbers, from 0."""

    train: Array
    valid: Array
    kind: SplitKind


def split(
    target: Target, fraction: float, seed: int, time: Array | None = None, hashes: RowHashes | None = None
) -> Split:
    """Hold out about `fraction` of the rows; `time` (n,) float64 splits by time, NaN counts as oldest; `hashes` of the
    rows split by hash.

    Raises JobError when one side would be empty.
    """
    if hashes is not None:
        return by_hash(hashes, fraction)
    if time is not None:
        return by_time(time, fraction)
    if target.problem_type == "regression":
        return at_random(len(target.y), fraction, seed)
    return stratified(target.y, fraction, seed)


def at_random(rows: int, fraction: float, seed: int) -> Split:
    order = np.random.default_rng(seed).permutation(rows)
    held_out = int(np.clip(round(rows * fraction), 1, rows - 1))
    return Split(np.sort(order[held_out:]), np.sort(order[:held_out]), "random")


def stratified(classes: Array, fraction: float, seed: int) -> Split:
    """`classes` (n,) codes from 0. A class with one row trains."""
    order = np.random.default_rng(seed).permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    counts = np.bincount(classes)
    held_out = np.clip(np.rint(counts * fraction).astype(int), np.minimum(counts - 1, 1), np.maximum(counts - 1, 0))
    held_out[counts == 0] = 0
    if not held_out.any():
        raise JobError("Every class has one row only, so none can be held out; use more rows.")
    starts = np.cumsum(counts) - counts
    place = np.arange(len(order)) - np.repeat(starts, counts)
    validates = place < np.repeat(held_out, counts)
    return Split(np.sort(order[~validates]), np.sort(order[validates]), "stratified")


def by_hash(hashes: RowHashes, fraction: float) -> Split:
    """Rows whose hash is in the first `fraction` of its range validate, whatever the other rows are.

    Classes keep about their shares, as they do in a draw; a rare one may be on one side only.
    """
    validates = hashes.below(fraction)
    if validates.all() or not validates.any():
        raise JobError("The rows are too few or too alike to be split by hash; use more rows or another split.")
    return Split(np.flatnonzero(~validates), np.flatnonzero(validates), "hash")


def by_time(time: Array, fraction: float) -> Split:
    """Rows at or after a moment validate; the moment whose share is nearest to `fraction`."""
    known = np.where(np.isnan(time), -np.inf, time)
    moments, counts = np.unique(known, return_counts=True)
    if len(moments) < 2:
        raise JobError("The time column has one value only, so no rows are newer than others; leave it empty.")
    newer = np.cumsum(counts[::-1])[::-1][1:]  # rows at or after each moment but the first
    cut = moments[1:][np.argmin(np.abs(newer - fraction * len(time)))]
    validates = known >= cut
    return Split(np.flatnonzero(~validates), np.flatnonzero(validates), "time")


UNEVEN = 2.0
"""A cut between moments whose share is off by more than this factor is not taken by `newest`."""


def newest(time: Array, fraction: float, seed: int) -> Split:
    """As `by_time`, but where moments are so coarse that its share is far off, rows of one moment are drawn.

    A column of months may have half of its rows in the newest one.
    """
    parts = by_time(time, fraction)
    asked = fraction * len(time)
    if asked / UNEVEN <= len(parts.valid) <= asked * UNEVEN:
        return parts
    known = np.where(np.isnan(time), -np.inf, time)
    drawn = np.random.default_rng(seed).permutation(len(time))
    order = np.lexsort((drawn, known))
    held_out = int(np.clip(round(asked), 1, len(time) - 1))
    return Split(np.sort(order[:-held_out]), np.sort(order[-held_out:]), "time")


def time_values(values: pa.ChunkedArray) -> Array:
    """A datetime or numeric column as float64 that keeps its order; NaN for missing."""
    if pa.types.is_date(values.type):
        values = values.cast(pa.timestamp("s"))
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    return np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
