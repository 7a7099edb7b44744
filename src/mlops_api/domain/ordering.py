"""Numbers as text whose byte order is the numbers' order, for sorting records by a metric."""

import struct


def sortable(value: float) -> str:
    """16 hex digits. IEEE 754 doubles order like their bits once negative ones are inverted; NaN is refused."""
    if value != value:
        raise ValueError("NaN has no place in an order")
    (bits,) = struct.unpack(">Q", struct.pack(">d", value + 0.0))
    flipped = bits ^ 0xFFFFFFFFFFFFFFFF if bits >> 63 else bits | 1 << 63
    return f"{flipped:016x}"
