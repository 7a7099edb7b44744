"""No alarm without a change, and one where there is: the bars, on draws with fixed seeds, and each finding."""

from collections.abc import Callable

import numpy as np
import pytest

from mlops_statistics.distributions import Categories
from mlops_statistics.drift import Sample, compare
from tests.support.sketches import categories, numbers, sample, table

TRIALS = 200
COLUMNS = 20
Draw = Callable[[np.random.Generator, int], object]

_LEVELS = 1 / np.arange(1, 105)
_LEVELS /= _LEVELS.sum()


def _zero_inflated(random, n):
    return np.where(random.random(n) < 0.8, 0.0, random.exponential(size=n))


KINDS: dict[str, Draw] = {
    "normal": lambda random, n: numbers(random.normal(size=n)),
    "skewed": lambda random, n: numbers(random.lognormal(0, 2, n)),
    "zero-inflated": lambda random, n: numbers(_zero_inflated(random, n)),
    "few values": lambda random, n: numbers(random.poisson(2, n)),
    "three categories": lambda random, n: categories(random.choice(3, n, p=[0.7, 0.25, 0.05])),
    "104 categories": lambda random, n: categories(random.choice(104, n, p=_LEVELS)),
}


def _draw(random: np.random.Generator, n: int) -> dict[str, Sample]:
    kinds = list(KINDS.values())
    columns = [kinds[place % len(kinds)](random, n) for place in range(COLUMNS)]
    return table(columns, random.binomial(n, 0.02, COLUMNS).tolist())


@pytest.mark.parametrize("n", [200, 1000, 10_000])
def test_draws_from_one_distribution_raise_nothing(n):
    """The A/A bar: any finding in at most 5% of the trials."""
    random = np.random.default_rng(n)
    alarms = 0
    for _ in range(TRIALS):
        found = compare(_draw(random, n), _draw(random, n))
        assert all(change.why_not is None for change in found.values())
        alarms += any(change.changed for change in found.values())
    print(f"n={n}: {alarms} of {TRIALS} trials raised an alarm")
    assert alarms <= 0.05 * TRIALS


def test_a_small_shift_of_one_column_is_found():
    """The power bar: 0.3 sigma in one of 20 columns at n = 5,000."""
    random = np.random.default_rng(7)
    still = [random.normal(size=5000) for _ in range(COLUMNS - 1)]
    sketches = [numbers(each) for each in still]
    found = 0
    for _ in range(TRIALS):
        before = table([*sketches, numbers(random.normal(size=5000))])
        after = table([*sketches, numbers(random.normal(0.3, size=5000))])
        changes = compare(before, after)
        found += changes.pop(f"x{COLUMNS - 1}").changed
        assert not any(change.changed for change in changes.values())
    print(f"found in {found} of {TRIALS} trials")
    assert found >= 0.95 * TRIALS


def test_significance_alone_is_not_drift():
    """A million rows make a hundredth of sigma significant; it is still no drift."""
    random = np.random.default_rng(1)
    change = compare(
        {"x": sample(numbers(random.normal(size=1_000_000)))},
        {"x": sample(numbers(random.normal(0.01, size=1_000_000)))},
    )["x"]
    assert change.shift is not None
    assert change.shift.tested.significant
    assert not change.shift.drifted
    assert change.shift.psi < 0.001


def test_a_change_of_mass_at_zero_is_seen():
    """Where deciles are all zero."""
    random = np.random.default_rng(2)

    def draw(share):
        return sample(numbers(np.where(random.random(5000) < share, 0.0, random.exponential(size=5000))))

    change = compare({"x": draw(0.95)}, {"x": draw(0.8)})["x"]
    assert change.shift is not None
    assert change.shift.drifted
    assert change.shift.effect == pytest.approx(0.15, abs=0.02)


def test_missing_cells_are_a_test_of_their_own():
    still = numbers(np.random.default_rng(3).normal(size=2000))
    change = compare({"x": Sample(2000, 20, still)}, {"x": Sample(2000, 300, still)})["x"]
    assert change.missing_changed
    assert change.shift is not None
    assert not change.shift.drifted
    little = compare({"x": Sample(100_000, 1000, still)}, {"x": Sample(100_000, 2000, still)})["x"]
    assert little.missing.significant
    assert not little.missing_changed


def test_new_levels_are_a_finding_when_chance_does_not_bring_them():
    before = Categories({"a": 500, "b": 490, "rare": 1, "rarer": 1})
    by_chance = compare({"x": sample(before)}, {"x": sample(Categories({"a": 500, "b": 498, "odd": 2}))})["x"]
    assert by_chance.new_levels is not None
    assert by_chance.new_levels.counts == {"odd": 2}
    assert not by_chance.new_levels.notable
    plain = compare({"x": sample(before)}, {"x": sample(Categories({"a": 480, "b": 480, "new": 30, "too": 10}))})["x"]
    assert plain.new_levels is not None
    assert plain.new_levels.notable
    assert plain.new_levels.share == pytest.approx(0.04)
    assert list(plain.new_levels.counts) == ["new", "too"]


def test_levels_that_are_not_listed_do_not_look_new():
    before = Categories({"a": 500, "b": 400}, unlisted=100)
    change = compare({"x": sample(before)}, {"x": sample(Categories({"a": 500, "b": 400, "c": 50, "d": 50}))})["x"]
    assert change.new_levels is None
    assert change.shift is not None
    assert not change.shift.drifted


def test_what_cannot_be_compared_says_why():
    some = numbers(np.arange(99.0))
    words = Categories({"a": 300})
    found = compare(
        {"few": sample(some), "type": sample(words), "text": Sample(300, 0), "gone": sample(words)},
        {"few": sample(some), "type": sample(numbers(np.arange(300.0))), "text": Sample(300, 0), "new": sample(words)},
    )
    assert found.keys() == {"few", "type", "text"}
    assert found["few"].why_not == "not enough rows: 99 values, at least 100 are needed"
    assert found["type"].why_not == "the type has changed"
    assert found["text"].why_not == "columns of this type are not compared"
    assert not any(change.changed for change in found.values())


def test_adjusted_over_the_whole_table():
    random = np.random.default_rng(5)
    before, after = _draw(random, 500), _draw(random, 500)
    found = compare(before, after)
    alone = compare({"x0": before["x0"]}, {"x0": after["x0"]})["x0"]
    shift, same = found["x0"].shift, alone.shift
    assert shift is not None
    assert same is not None
    assert shift.tested.p_value == same.tested.p_value
    assert shift.tested.p_adjusted >= same.tested.p_adjusted
