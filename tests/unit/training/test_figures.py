"""Figures of numbers against numpy: exact for one chunk, within their stated bounds for many, whatever the chunks."""

import numpy as np
import pytest

from training.preprocess import figures, number_columns
from training.preprocess.figures import KEPT_COUNTS, POINTS, NumberFigures, counts_between

DRAWS = {
    "normal": lambda draw, n: draw.normal(3, 2, n).round(3),
    "skewed": lambda draw, n: draw.lognormal(0, 3, n),
    "mostly zero": lambda draw, n: np.where(draw.random(n) < 0.9, 0.0, draw.normal(size=n)),
    "few": lambda draw, n: draw.integers(0, 5, n).astype(float),
    "huge": lambda draw, n: draw.normal(size=n) * 1e307,
    "signed zeros": lambda draw, n: np.where(draw.random(n) < 0.5, 0.0, -0.0),
    "sorted": lambda draw, n: np.arange(float(n)),
}


def _figures(values, size):
    found = NumberFigures.between(values.min() + 0.0, values.max() + 0.0)
    for start in range(0, len(values), size):
        found.add(values[start : start + size].copy())
    return found


@pytest.fixture(params=DRAWS)
def values(request):
    return DRAWS[request.param](np.random.default_rng(0), 200_000)


@pytest.mark.parametrize("size", [200_000, 30_000])
def test_moments(values, size):
    found = _figures(values, size)
    scaled = values / found.scale
    assert found.mean == pytest.approx(scaled.mean() * found.scale, rel=1e-9, abs=1e-9 * float(scaled.std()))
    assert found.std == pytest.approx(min(scaled.std(ddof=1) * found.scale, np.finfo(float).max), rel=1e-9)
    assert found.moments.count == len(values)


def test_one_chunk_is_exact(values):
    found = _figures(values, len(values))
    distinct, counts = np.unique(values + 0.0, return_counts=True)
    assert found.exact
    assert found.distinct == len(distinct)
    levels = (0.0, 0.01, 0.5, 0.99, 1.0)
    expected = np.quantile(values / found.scale, levels) * found.scale
    assert found.quantiles(levels) == pytest.approx(expected, rel=1e-12)
    order = np.lexsort((distinct, -counts))[:20]
    assert found.top() == list(zip(distinct[order].tolist(), counts[order].tolist(), strict=True))


@pytest.mark.parametrize("size", [200_000, 30_000])
def test_edges_are_off_by_at_most_their_bound(values, size):
    found = _figures(values, size)
    edges = found.edges(512)
    counts = counts_between(values, edges, "right")
    assert counts.sum() == len(values)
    assert (edges[0] < values.min(), edges[-1]) == (True, values.max())
    bound = len(values) / 512 + (0 if found.exact else 2 * len(values) / POINTS) + 1
    alone = np.nextafter(edges[1:], -np.inf) == edges[:-1]
    ties = np.array([(values == edge).sum() for edge in edges[1:]])
    assert (counts - ties)[~alone].max(initial=0) <= bound
    if found.exact:
        assert found.counts_between(edges, "right").tolist() == counts.tolist()


def test_distinct_values_are_exact_up_to_a_number_and_estimated_beyond(monkeypatch):
    few, many = np.arange(50_000.0), np.arange(900_000.0)
    assert _figures(np.tile(few, 3), 40_000).distinct == 50_000
    found = _figures(many, 100_000)
    assert not found.distinct_is_exact
    assert found.distinct == pytest.approx(len(many), rel=0.012)


def test_counts_of_top_values_are_too_small_by_a_bounded_number():
    draw = np.random.default_rng(1)
    values = np.where(draw.random(400_000) < 0.1, -999.0, draw.normal(size=400_000))
    (value, count), *_ = _figures(values, 50_000).top()
    assert value == -999.0
    assert 0 <= (values == -999.0).sum() - count <= len(values) / KEPT_COUNTS


@pytest.mark.parametrize("chunk", [2_000_000, 7_000])
def test_columns_of_a_file(values, chunk, tmp_path, monkeypatch):
    """Chunks need not end where row groups do."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    monkeypatch.setattr(figures, "CHUNK", chunk)
    monkeypatch.setattr(number_columns, "CHUNK", chunk)
    missing = np.random.default_rng(2).random(len(values)) < 0.1
    pq.write_table(pa.table({"x": pa.array(values, mask=missing)}), tmp_path / "t.parquet", row_group_size=10_000)
    found = number_columns.number_columns(tmp_path / "t.parquet", ["x"], 2)["x"]
    kept = values[~missing]
    assert found.figures.moments.count == len(kept)
    for buckets in (found.buckets, found.bins):
        assert sum(count for *_, count in buckets) == len(kept)
    for lower, upper, count in found.buckets:
        inside = (kept >= lower) & (kept <= upper)
        assert count <= inside.sum()
        if lower == upper:
            assert count == inside.sum()
