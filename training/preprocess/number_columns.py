"""Figures of the numeric columns of a typed Parquet file: a column at a time on each thread, chunk by chunk."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mlops_contracts.statistics import MOST_BUCKETS, MOST_CELLS
from training.preprocess.figures import CHUNK, Counts, Floats, NumberFigures, Side, counts_between

FEW_VALUES = 20
BINS = 20
_LEAST_BUCKETS = 20

Bucket = tuple[float, float, int]
"""Lower bound, upper bound, count."""


@dataclass(frozen=True)
class NumberColumn:
    """`buckets`: between quantiles, (lower, upper], the first with its lower bound; `bins`: of equal width,
    [lower, upper), the last one closed. lower == upper: of that one value, which no other bucket counts. Of at most
    FEW_VALUES values each has one.
    """

    figures: NumberFigures
    buckets: tuple[Bucket, ...]
    bins: tuple[Bucket, ...]


def most_buckets(columns: int) -> int:
    """How many buckets a column gets in a table of so many."""
    return max(_LEAST_BUCKETS, min(MOST_BUCKETS, MOST_CELLS // max(1, columns)))


def number_columns(path: Path, names: Sequence[str], threads: int) -> dict[str, NumberColumn]:
    """The figures of each column named, all of which have values."""
    metadata = pq.read_metadata(path)
    buckets = most_buckets(metadata.num_columns)

    def measured(name: str) -> NumberColumn:
        with pq.ParquetFile(path, metadata=metadata, pre_buffer=False) as file:
            return _measured(_Column(file, name), buckets)

    with ThreadPoolExecutor(threads) as pool:
        return dict(zip(names, pool.map(measured, names), strict=True))


@dataclass(frozen=True)
class _Column:
    file: pq.ParquetFile
    name: str

    def chunks(self) -> Iterator[Floats]:
        """The present values in row order, CHUNK of them at a time."""
        held: list[Floats] = []
        count = 0
        for group in range(self.file.num_row_groups):
            column = self.file.read_row_group(group, columns=[self.name], use_threads=False).column(self.name)
            values = _floats(column)
            while count + len(values) > CHUNK:
                room = CHUNK - count
                yield np.concatenate([*held, values[:room]])
                held, count, values = [], 0, values[room:]
            held.append(values)
            count += len(values)
        if count:
            yield np.concatenate(held)

    def ends(self) -> tuple[float, float]:
        """Least and largest value."""
        ends = [pc.min_max(self._group(group)).as_py() for group in range(self.file.num_row_groups)]
        found = [each for each in ends if each["min"] is not None]
        return float(min(each["min"] for each in found)) + 0.0, float(max(each["max"] for each in found)) + 0.0

    def _group(self, group: int) -> pa.ChunkedArray:
        return self.file.read_row_group(group, columns=[self.name], use_threads=False).column(self.name)


def _floats(column: pa.ChunkedArray) -> Floats:
    values: Floats = column.drop_null().to_numpy().astype(np.float64, copy=False)
    return values


def _measured(column: _Column, buckets: int) -> NumberColumn:
    chunks = column.chunks()
    first = next(chunks)
    second = next(chunks, None)
    low, high = (float(first.min()), float(first.max())) if second is None else column.ends()
    figures = NumberFigures.between(low + 0.0, high + 0.0)
    figures.add(first)
    if second is not None:
        figures.add(second)
        for values in chunks:
            figures.add(values)
    return _counted(column, figures, buckets)


def _counted(column: _Column, figures: NumberFigures, buckets: int) -> NumberColumn:
    few = figures.few_values(FEW_VALUES)
    if few is not None:
        alone = tuple((value, value, count) for value, count in zip(few[0].tolist(), few[1].tolist(), strict=True))
        return NumberColumn(figures, alone, alone)
    edges, even = figures.edges(buckets), _even_edges(figures)
    counts, binned = figures.counts_between(edges, "right"), figures.counts_between(even, "left")
    if counts is None or binned is None:
        counts, binned = _counts_again(column, edges, "right"), _counts_again(column, even, "left")
    bins = tuple(zip(even[:-1].tolist(), even[1:].tolist(), binned.tolist(), strict=True))
    return NumberColumn(figures, _buckets(edges, counts), bins)


def _even_edges(figures: NumberFigures) -> Floats:
    low, high = figures.low / figures.scale, figures.high / figures.scale
    inner = [(low + (high - low) * step / BINS) * figures.scale for step in range(1, BINS)]
    return np.array([figures.low, *inner, figures.high])


def _counts_again(column: _Column, edges: Floats, side: Side) -> Counts:
    counts = np.zeros(len(edges) - 1, np.int64)
    for values in column.chunks():
        counts += counts_between(values, edges, side)
    return counts


def _buckets(edges: Floats, counts: Counts) -> tuple[Bucket, ...]:
    """Without those that are empty; one that holds a single float64 has it as both bounds."""
    lower, upper = edges[:-1], edges[1:]
    alone = np.nextafter(upper, -np.inf) == lower
    first = np.arange(len(upper)) == 0
    bounds = np.where(alone, upper, np.where(first, np.nextafter(lower, np.inf), lower))
    kept = counts > 0
    return tuple(zip(bounds[kept].tolist(), upper[kept].tolist(), counts[kept].tolist(), strict=True))
