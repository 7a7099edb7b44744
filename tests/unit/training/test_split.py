import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.failure import JobError
from training.split import at_random, by_time, newest, split, stratified, time_values
from training.target import Target


def whole(parts, rows):
    return sorted([*parts.train, *parts.valid]) == list(range(rows))


@given(
    counts=st.lists(st.integers(1, 60), min_size=2, max_size=6).filter(lambda counts: max(counts) > 1),
    fraction=st.floats(0.05, 0.5),
    seed=st.integers(0, 99),
)
def test_every_class_with_two_rows_is_on_both_sides(counts, fraction, seed):
    classes = np.repeat(np.arange(len(counts)), counts)
    parts = stratified(classes, fraction, seed)
    assert whole(parts, len(classes))
    held = np.bincount(classes[parts.valid], minlength=len(counts))
    for count, out in zip(counts, held, strict=True):
        assert out == 0 if count == 1 else 1 <= out <= count - 1
        assert abs(out - count * fraction) <= 1


def test_seed_decides():
    classes = np.arange(1000) % 3
    first, again, other = (stratified(classes, 0.2, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.valid, again.valid)
    assert not np.array_equal(first.valid, other.valid)


def test_stratified_draws_from_the_whole_table():
    valid = stratified(np.zeros(10_000, dtype=int), 0.2, 0).valid
    assert abs(valid.mean() - 5_000) < 150


def test_regression_is_split_at_random():
    parts = split(Target("regression", (), np.zeros(100)), 0.2, 0)
    assert (parts.kind, len(parts.valid)) == ("random", 20)
    assert whole(parts, 100)


def test_one_row_stays_on_each_side():
    assert [len(part) for part in (at_random(2, 0.01, 0).valid, at_random(2, 0.99, 0).train)] == [1, 1]


def test_newest_rows_validate_and_days_stay_together():
    days = np.array([3.0, 1.0, 3.0, 2.0, 2.0, 1.0, 4.0, np.nan, 4.0, 0.0])
    parts = by_time(days, 0.2)
    assert parts.valid.tolist() == [6, 8]
    assert 7 in parts.train
    assert whole(parts, 10)


def test_time_takes_the_nearest_moment():
    days = np.array([0.0] * 5 + [1.0] * 5)
    assert by_time(days, 0.05).valid.tolist() == [5, 6, 7, 8, 9]


def test_newest_cuts_between_moments_where_it_can():
    days = np.repeat(np.arange(50.0), 20)
    assert newest(days, 0.1, 0).valid.tolist() == by_time(days, 0.1).valid.tolist() == list(range(900, 1000))


@pytest.mark.parametrize(
    ("counts", "held"),
    [([500, 500], [0, 100]), ([10, 990], [0, 100]), ([999, 1], [99, 1]), ([950, 30, 20], [0, 30, 20])],
)
def test_newest_draws_from_a_moment_that_is_too_coarse(counts, held):
    months = np.repeat(np.arange(float(len(counts))), counts)
    parts = newest(months, 0.1, 4)
    assert whole(parts, 1000)
    assert np.bincount(months[parts.valid].astype(int), minlength=len(counts)).tolist() == held
    assert np.array_equal(parts.valid, newest(months, 0.1, 4).valid)


def test_newest_draws_from_all_of_the_moment():
    valid = newest(np.repeat([0.0, 1.0], 500), 0.1, 4).valid
    assert abs(valid.mean() - 750) < 50
    assert not np.array_equal(valid, newest(np.repeat([0.0, 1.0], 500), 0.1, 5).valid)


def test_newest_takes_missing_times_for_the_oldest():
    assert 0 in newest(np.array([np.nan, *[1.0] * 300]), 0.1, 0).train


def test_one_moment_cannot_be_split():
    with pytest.raises(JobError, match="one value only"):
        by_time(np.ones(5), 0.2)
    with pytest.raises(JobError, match="one row only"):
        stratified(np.arange(5), 0.2, 0)


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.date32()])
def test_time_values_keep_the_order(kind):
    values = pa.array([20, 10, None, 30], pa.int32() if kind == pa.date32() else pa.int64()).cast(kind)
    numbers = time_values(pa.chunked_array([values]))
    assert np.argsort(numbers).tolist()[:3] == [1, 0, 3]
    assert np.isnan(numbers[2])
