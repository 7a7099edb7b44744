"""Sketches add up, and know which shares are exact."""

import math

import numpy as np
import pytest

from mlops_statistics.distributions import Categories, Numbers
from tests.support.sketches import numbers


def test_buckets_of_single_values():
    one = Numbers.of_buckets([(0.0, 0.0, 3), (2.0, 2.0, 1)])
    assert one.total == 4
    assert one.values == [0.0, 2.0]
    assert [one.share(x) for x in (-1, 0, 1, 1.999, 2, 3)] == [0, 0.75, 0.75, 0.75, 1, 1]


def test_buckets_of_ranges():
    one = Numbers.of_buckets([(1.0, 2.0, 2), (2.0, 4.0, 2)])
    assert one.values is None
    assert [one.share(x) for x in (0.5, 2, 3, 4)] == [0, 0.5, 0.75, 1]
    assert one.share(math.nextafter(1.0, 0)) == 0


def test_a_single_value_between_ranges():
    one = Numbers.of_buckets([(-1.0, 0.0, 1), (0.0, 0.0, 6), (0.0, 5.0, 3)])
    assert one.total == 10
    assert one.share(0.0) == 0.7
    assert one.share(math.nextafter(0.0, -1)) == pytest.approx(0.1)


def test_a_window_is_the_sum_of_its_batches():
    edges = (0.0, 1.0, 2.0)
    assert Numbers(edges, (0, 3, 4)) + Numbers(edges, (1, 0, 2)) == Numbers(edges, (1, 3, 6))
    with pytest.raises(ValueError, match="other edges"):
        Numbers(edges, (0, 1, 2)) + Numbers((0.0, 1.0, 3.0), (0, 1, 2))
    assert Categories({"a": 1}, 2) + Categories({"a": 1, "b": 5}) == Categories({"a": 2, "b": 5}, 2)


def test_shares_agree_with_the_values():
    values = np.random.default_rng(0).normal(size=20_000)
    sketch = numbers(values)
    assert sketch.total == len(values)
    for x in (-2.0, -0.5, 0.0, 1.0, 3.0):
        assert sketch.share(x) == pytest.approx(float((values <= x).mean()), abs=1 / 512)


def test_the_ends_of_float64():
    low, high = -1.7976931348623157e308, 1.7976931348623157e308
    one = Numbers.of_buckets([(low, high, 10)])
    assert one.share(0.0) == pytest.approx(0.5)
    assert one.share(high) == 1
