import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.failure import JobError
from training.row_hashes import RowHashes
from training.split import at_random, by_hash, by_time, newest, split, stratified, time_values
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


# --------------------------------------------------------------------------- by hash


def numbers(values):
    return RowHashes(np.asarray(values, np.uint64), "key")


def drawn(rows, seed=0):
    return np.random.default_rng(seed).integers(0, 2**64, rows, np.uint64)


@given(old=st.integers(30, 200), new=st.integers(0, 200), fraction=st.floats(0.2, 0.5), seed=st.integers(0, 999))
def test_rows_stay_on_their_side_in_a_longer_table_of_another_order(old, new, fraction, seed):
    values = drawn(old + new, seed)
    order = np.random.default_rng(seed + 1).permutation(old + new)
    first, later = by_hash(numbers(values[:old]), fraction), by_hash(numbers(values[order]), fraction)
    assert whole(later, old + new)
    assert [each for each in sorted(order[later.valid]) if each < old] == first.valid.tolist()
    assert [each for each in sorted(order[later.train]) if each < old] == first.train.tolist()


def test_equal_rows_are_on_the_same_side():
    values = np.repeat(drawn(400), 3)
    parts = by_hash(numbers(values), 0.2)
    assert not set(values[parts.train].tolist()) & set(values[parts.valid].tolist())
    assert len(parts.valid) / len(values) == pytest.approx(0.2, abs=0.05)


def test_classes_keep_about_their_shares():
    counts = np.array([9_000, 900, 100])
    codes = np.repeat(np.arange(3), counts)
    held = np.bincount(codes[by_hash(numbers(drawn(10_000)), 0.2).valid])
    assert held / counts == pytest.approx([0.2, 0.2, 0.2], abs=0.1)


@pytest.mark.parametrize("value", [5, 2**64 - 1])
def test_rows_that_are_all_alike_cannot_be_split_by_hash(value):
    with pytest.raises(JobError, match="too alike"):
        by_hash(numbers([value] * 20), 0.2)


def test_hashes_decide_for_classes_and_numbers():
    found = numbers(drawn(1_000))
    for target in (Target("regression", (), np.zeros(1_000)), Target("binary", ("a", "b"), np.arange(1_000) % 2)):
        parts = split(target, 0.2, 0, hashes=found)
        assert (parts.kind, len(parts.valid)) == ("hash", pytest.approx(200, abs=40))
