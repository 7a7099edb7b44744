"""Pearson's chi-square test of two samples of categories, as scipy.stats.chi2_contingency without correction."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mlops_statistics.special import chi_square_sf


@dataclass(frozen=True)
class ChiSquare:
    """`effect` is Cramer's V: 0 no difference, 1 no category in common."""

    statistic: float
    degrees: int
    p_value: float
    effect: float


def chi_square(before: Sequence[int], after: Sequence[int]) -> ChiSquare:
    """Of two samples' counts, category by category; a category that neither has does not count."""
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a + b]
    n, m = sum(a for a, _ in pairs), sum(b for _, b in pairs)
    if n == 0 or m == 0 or len(pairs) < 2:
        return ChiSquare(0.0, 0, 1.0, 0.0)
    # With two rows both deviations of a column are one number: (a - n share) = -(b - m share).
    statistic = sum((a * m - b * n) ** 2 / (a + b) for a, b in pairs) / (n * m)
    degrees = len(pairs) - 1
    return ChiSquare(statistic, degrees, chi_square_sf(statistic, degrees), math.sqrt(statistic / (n + m)))
