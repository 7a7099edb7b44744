"""Every test and survival function says what scipy's says."""

import math

import numpy as np
import pytest
from scipy import special, stats

from mlops_statistics.adjustment import benjamini_hochberg
from mlops_statistics.chi_square import chi_square
from mlops_statistics.kolmogorov_smirnov import distance, p_value
from mlops_statistics.proportions import cohen_h, rise_p_value, share_p_value
from mlops_statistics.psi import floor, psi
from mlops_statistics.special import chi_square_sf, kolmogorov_sf, normal_sf
from tests.support.sketches import numbers


@pytest.mark.parametrize("degrees", [1, 2, 3, 10, 103, 1000])
def test_chi_square_tail(degrees):
    for x in (1e-6, 0.1, 1.0, degrees / 2, degrees, degrees + 1.0, 2.0 * degrees, 5.0 * degrees + 30):
        assert chi_square_sf(x, degrees) == pytest.approx(stats.chi2.sf(x, degrees), rel=1e-8, abs=1e-300)
    assert chi_square_sf(0, degrees) == 1


def test_kolmogorov_tail():
    for z in np.linspace(0.05, 5, 100).tolist():
        assert kolmogorov_sf(z) == pytest.approx(special.kolmogorov(z), rel=1e-10, abs=1e-14)
    assert kolmogorov_sf(0) == 1


def test_normal_tail():
    for z in (-3.0, 0.0, 1.96, 8.0):
        assert normal_sf(z) == pytest.approx(stats.norm.sf(z), rel=1e-12)


@pytest.mark.parametrize(("n", "m", "shift"), [(200, 200, 0), (250, 200, 0.3), (256, 256, 1), (150, 250, 0)])
def test_distance_of_few_values_is_exact(n, m, shift):
    random = np.random.default_rng(n + m)
    a, b = random.normal(size=n), random.normal(shift, size=m)
    found = distance(numbers(a), numbers(b))
    known = stats.ks_2samp(a, b, method="asymp")
    assert found == pytest.approx(known.statistic, abs=1e-12)
    assert p_value(found, n, m) == pytest.approx(special.kolmogorov(math.sqrt(n * m / (n + m)) * found), rel=1e-9)
    assert p_value(found, n, m) == pytest.approx(known.pvalue, rel=0.15, abs=0.02)
    assert p_value(found, n, m) >= known.pvalue  # errs to the safe side


@pytest.mark.parametrize("n", [5000, 50_000])
def test_distance_of_sketches_is_within_a_bucket(n):
    random = np.random.default_rng(n)
    for shift in (0, 0.05, 0.3):
        a, b = random.lognormal(size=n), random.lognormal(shift, size=n)
        known = stats.ks_2samp(a, b, method="asymp").statistic
        assert known - 2 / 512 <= distance(numbers(a), numbers(b)) <= known + 1e-12


def test_distance_with_ties_and_a_mass_at_zero():
    random = np.random.default_rng(1)
    a = np.where(random.random(4000) < 0.7, 0.0, random.exponential(size=4000))
    b = np.where(random.random(3000) < 0.4, 0.0, random.exponential(size=3000))
    known = stats.ks_2samp(a, b, method="asymp").statistic
    assert known - 2 / 512 <= distance(numbers(a), numbers(b)) <= known + 1e-12
    a, b = random.poisson(3, 4000), random.poisson(3.5, 3000)
    assert distance(numbers(a), numbers(b)) == pytest.approx(stats.ks_2samp(a, b, method="asymp").statistic, abs=1e-12)


def test_chi_square_and_cramers_v():
    random = np.random.default_rng(2)
    for levels in (2, 5, 40):
        a, b = random.integers(1, 50, levels).tolist(), random.integers(1, 50, levels).tolist()
        known = stats.chi2_contingency([a, b], correction=False)
        found = chi_square([*a, 0], [*b, 0])
        assert found.statistic == pytest.approx(known.statistic, rel=1e-12)
        assert (found.degrees, found.p_value) == (known.dof, pytest.approx(known.pvalue, rel=1e-9))
        assert found.effect == pytest.approx(stats.contingency.association(np.array([a, b]), "cramer"), rel=1e-12)


def test_chi_square_of_nothing_to_compare():
    for a, b in (([], []), ([5], [9]), ([0, 3], [0, 4]), ([1, 2], [0, 0])):
        assert chi_square(a, b).p_value == 1


def test_two_shares():
    for events, rows, other, other_rows in ((3, 200, 20, 180), (50, 1000, 60, 900), (0, 30, 9, 25), (1, 9, 1, 9)):
        table = [[events, rows - events], [other, other_rows - other]]
        known = stats.chi2_contingency(table, correction=True).pvalue
        assert share_p_value(events, rows, other, other_rows) == pytest.approx(known, rel=1e-9)
        if other / other_rows > events / rows:
            assert rise_p_value(events, rows, other, other_rows) == pytest.approx(known / 2, rel=1e-9)
        assert rise_p_value(other, other_rows, events, rows) in (1.0, pytest.approx(known / 2))
    assert share_p_value(0, 10, 0, 10) == share_p_value(0, 0, 1, 2) == share_p_value(5, 5, 6, 6) == 1
    assert cohen_h(0.5, 0.5) == 0
    assert cohen_h(0, 1) == pytest.approx(math.pi)


def test_adjustment():
    random = np.random.default_rng(3)
    for count in (1, 2, 7, 60):
        p = random.random(count) ** 3
        assert benjamini_hochberg(p.tolist()) == pytest.approx(stats.false_discovery_control(p).tolist(), rel=1e-12)
    assert benjamini_hochberg([]) == []
    assert benjamini_hochberg([0.04, 0.04]) == pytest.approx([0.04, 0.04])


def test_psi_by_hand():
    rows = 10_000
    expected = (0.6 - 0.5) * math.log(0.6 / 0.5) + (0.4 - 0.5) * math.log(0.4 / 0.5) - 2 / rows
    assert psi([5000, 5000], [6000, 4000]) == pytest.approx(expected)
    assert psi([5, 5], [5, 5]) == 0
    assert psi([], []) == psi([3], [4]) == psi([1, 2], [0, 0]) == 0
    assert math.isfinite(psi([100, 0], [0, 100]))


def test_psi_floor_is_what_chance_scores():
    """104 levels at n = 500 score .44 without any drift."""
    random = np.random.default_rng(4)
    weights = np.full(104, 1 / 104)
    raw, net = [], []
    for _ in range(200):
        a, b = random.multinomial(500, weights), random.multinomial(500, weights)
        kept = (a + b) > 0
        p, q = np.maximum(a[kept], 0.5) / 500, np.maximum(b[kept], 0.5) / 500
        raw.append(float(((q - p) * np.log(q / p)).sum()))
        net.append(psi(a.tolist(), b.tolist()))
    assert floor(104, 500, 500) == pytest.approx(0.412)
    assert np.mean(raw) == pytest.approx(0.44, abs=0.06)
    assert np.mean(net) < 0.1
