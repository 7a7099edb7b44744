"""A table with every kind of feature: missing cells, rare levels, and rows with levels the training never saw."""

import numpy as np
import pyarrow as pa


def mixed_table(rows: int = 1_500, seed: int = 0) -> pa.Table:
    """Columns a, b (optional), flag (optional), city (optional, with rare levels) and targets two, three, amount."""
    draw = np.random.default_rng(seed)
    a, b = draw.normal(size=rows) * 1e3 + 5e4, draw.normal(size=rows)
    flag, city = draw.random(rows) < 0.4, draw.integers(0, 12, rows)
    city[:6] = np.arange(50, 56)
    signal = (a - 5e4) / 1e3 + b * flag + np.sin(city) + 0.5 * draw.normal(size=rows)
    return pa.table(
        {
            "a": pa.array(a),
            "b": pa.array(b, mask=draw.random(rows) < 0.1),
            "flag": pa.array(flag, mask=draw.random(rows) < 0.1),
            "city": pa.array([f"c{each}" for each in city], mask=draw.random(rows) < 0.1),
            "two": pa.array(signal > 0.3),
            "three": pa.array(np.array(["low", "mid", "high"])[np.digitize(signal, [-0.7, 0.7])]),
            "amount": pa.array(1000 + 300 * signal),
        }
    )


FEATURES = ("a", "b", "flag", "city")


def strange_rows() -> pa.Table:
    """Missing everywhere, unseen levels, and numbers far outside of what was seen."""
    return pa.table(
        {
            "a": pa.array([None, 5e4, 1e300, -1e300, 5.1e4], pa.float64()),
            "b": pa.array([None, 0.1, 5.0, None, -1e30], pa.float64()),
            "flag": pa.array([None, True, False, None, True]),
            "city": pa.array([None, "zebra", "c1", "c50", "zebra"]),
        }
    )
