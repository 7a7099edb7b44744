"""Two shares: does an event happen more often in one sample than in the other?

The 2 x 2 chi-square test with Yates' correction, as scipy.stats.chi2_contingency has it: on rare events the plain one
raises false alarms.
"""

import math

from mlops_statistics.special import chi_square_sf


def share_p_value(events: int, rows: int, other_events: int, other_rows: int) -> float:
    """Chance of shares at least so far apart when both are one."""
    happened, rest = events + other_events, rows + other_rows - events - other_events
    if not (rows and other_rows and happened and rest):
        return 1.0
    total = rows + other_rows
    apart = abs(events * other_rows - other_events * rows)
    corrected = max(0.0, apart - total / 2)
    return chi_square_sf(total * corrected**2 / (happened * rest * rows * other_rows), 1)


def rise_p_value(events: int, rows: int, other_events: int, other_rows: int) -> float:
    """As share_p_value, but only a larger share in the second sample counts."""
    if not rows or not other_rows or other_events / other_rows <= events / rows:
        return 1.0
    return share_p_value(events, rows, other_events, other_rows) / 2


def cohen_h(share: float, other: float) -> float:
    """Distance of two shares on the scale where equal steps are equally easy to see; 0.2 is small."""
    return abs(2 * math.asin(math.sqrt(share)) - 2 * math.asin(math.sqrt(other)))
