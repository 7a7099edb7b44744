"""Sketches of samples that a test has drawn, made as `preprocess` makes them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlops_statistics.distributions import Categories, Numbers
from mlops_statistics.drift import Sample

BUCKETS = 512


def numbers(values: Any, buckets: int = BUCKETS) -> Numbers:
    """Counts between quantile edges; a value that fills buckets has one of its own."""
    ascending = np.sort(np.asarray(values, np.float64))
    distinct = np.unique(ascending)
    if len(distinct) > 20:
        cut = ascending[(np.arange(buckets + 1) * (len(ascending) - 1)) // buckets]
        repeated = cut[1:][cut[1:] == cut[:-1]]
        edges = np.unique(np.concatenate([cut, np.nextafter(repeated, -np.inf), [np.nextafter(cut[0], -np.inf)]]))
    else:
        edges = np.unique(np.concatenate([distinct, np.nextafter(distinct, -np.inf)]))
    counts = np.diff(np.searchsorted(ascending, edges, side="right"), prepend=0)
    return Numbers(tuple(edges.tolist()), tuple(counts.tolist()))


def categories(codes: Any) -> Categories:
    """Counts of whole numbers as categories."""
    found = np.bincount(np.asarray(codes))
    return Categories({f"c{code}": int(count) for code, count in enumerate(found) if count})


def sample(distribution: Numbers | Categories, missing: int = 0) -> Sample:
    return Sample(distribution.total, missing, distribution)


def table(columns: Sequence[Numbers | Categories], missing: Sequence[int] | None = None) -> dict[str, Sample]:
    gaps = missing or [0] * len(columns)
    return {f"x{place}": sample(column, gap) for place, (column, gap) in enumerate(zip(columns, gaps, strict=True))}
