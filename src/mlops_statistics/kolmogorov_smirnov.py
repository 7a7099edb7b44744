"""The two-sample Kolmogorov-Smirnov test on sketches.

D is the largest distance of the two cumulative shares. Where a sketch leaves a share open, the nearest one is taken: D
is never more than that of the values, and less by at most the share of a bucket of either. p is that of the limiting
distribution, as scipy.stats.kstwobign has it; on few rows and on ties it errs to the safe side.
"""

import math
from bisect import bisect_left

from mlops_statistics.distributions import Numbers
from mlops_statistics.special import kolmogorov_sf


def distance(before: Numbers, after: Numbers) -> float:
    """D, between 0 and 1."""
    return max(_distance_at_edges(before, after), _distance_at_edges(after, before))


def _distance_at_edges(exact: Numbers, other: Numbers) -> float:
    """The largest distance at the edges of `exact`, where its shares are known."""
    edges, shares = other.edges, (0.0, *other.shares, 1.0)
    largest = 0.0
    for edge, share in zip(exact.edges, exact.shares, strict=True):
        place = bisect_left(edges, edge)
        high = shares[place + 1]
        low = high if place < len(edges) and edges[place] == edge else shares[place]
        largest = max(largest, low - share, share - high)
    return largest


def p_value(statistic: float, rows: int, other_rows: int) -> float:
    """Chance of a D at least so large when both samples are of one distribution."""
    return kolmogorov_sf(statistic * math.sqrt(rows * other_rows / (rows + other_rows)))
