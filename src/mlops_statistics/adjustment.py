"""p-values of many tests at once, as scipy.stats.false_discovery_control."""

from collections.abc import Sequence


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: keeping those up to q, at most a share q of the findings is false."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__, reverse=True)
    adjusted = [1.0] * len(p_values)
    least = 1.0
    for place, index in enumerate(order):
        rank = len(p_values) - place
        least = min(least, p_values[index] * len(p_values) / rank)
        adjusted[index] = least
    return adjusted
