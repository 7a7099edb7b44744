"""Survival functions that tests need, equal to scipy's to 1e-10."""

import math

_TERMS = 1000
_TINY = 1e-300
_CLOSE = 1e-15
_SMALL = 0.6
"""Below, the other series of Kolmogorov's distribution converges faster."""


def chi_square_sf(statistic: float, degrees: int) -> float:
    """P(X >= statistic) of a chi-square variable: the regularised upper incomplete gamma function."""
    if statistic <= 0 or degrees <= 0:
        return 1.0
    shape, x = degrees / 2, statistic / 2
    scale = math.exp(shape * math.log(x) - x - math.lgamma(shape))
    if x < shape + 1:
        return max(0.0, 1.0 - scale * _lower_series(shape, x))
    return scale * _upper_fraction(shape, x)


def _lower_series(shape: float, x: float) -> float:
    term = total = 1.0 / shape
    for step in range(1, _TERMS):
        term *= x / (shape + step)
        total += term
        if term < total * _CLOSE:
            break
    return total


def _upper_fraction(shape: float, x: float) -> float:
    """Lentz's continued fraction."""
    b = x + 1 - shape
    c, d = 1 / _TINY, 1 / b
    fraction = d
    for step in range(1, _TERMS):
        a = -step * (step - shape)
        b += 2
        d = 1 / _away_from_zero(a * d + b)
        c = _away_from_zero(b + a / c)
        fraction *= d * c
        if abs(d * c - 1) < _CLOSE:
            break
    return fraction


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def kolmogorov_sf(z: float) -> float:
    """P(K >= z) of Kolmogorov's limiting distribution."""
    if z <= 0:
        return 1.0
    if z < _SMALL:
        tail = sum(math.exp(-(((2 * k - 1) * math.pi / z) ** 2) / 8) for k in range(1, 6))
        return max(0.0, 1.0 - math.sqrt(2 * math.pi) / z * tail)
    total = math.fsum(math.exp(-2 * (k * z) ** 2) * (1 if k % 2 else -1) for k in range(1, 20))
    return min(1.0, max(0.0, 2 * total))


def normal_sf(z: float) -> float:
    """P(Z >= z) of a standard normal variable."""
    return math.erfc(z / math.sqrt(2)) / 2
