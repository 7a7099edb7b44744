"""Population stability index: how far two samples' shares of the same bins lie apart.

Without any change it is about (B - 1)(1/n + 1/m) for B bins and samples of n and m values; that floor is taken off, so
that many bins and few rows do not look like drift. An empty bin counts as half a value.
"""

import math
from collections.abc import Sequence


def psi(before: Sequence[float], after: Sequence[float]) -> float:
    """Of the counts of the same bins, less the floor; at least 0. 0.1 is usually called moderate, 0.25 large."""
    pairs = [(a, b) for a, b in zip(before, after, strict=True) if a + b > 0]
    n, m = sum(a for a, _ in pairs), sum(b for _, b in pairs)
    if n <= 0 or m <= 0 or len(pairs) < 2:
        return 0.0
    total = sum(_part(max(a, 0.5) / n, max(b, 0.5) / m) for a, b in pairs)
    return max(0.0, total - floor(len(pairs), n, m))


def _part(share: float, other: float) -> float:
    return (other - share) * math.log(other / share)


def floor(bins: int, rows: float, other_rows: float) -> float:
    """What samples of one distribution score on average."""
    return (bins - 1) * (1 / rows + 1 / other_rows)
