"""A contract that a version keeps, with room for the next ones: a beginning for the user to edit. Pure."""

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from mlops_contracts.columns import ID_NAME
from mlops_contracts.data_contract import ColumnRule, DataContract, Value
from mlops_contracts.dataset import ColumnProfile, NumericProfile, Profile

ROOM = 0.5
"""Of the spread of a column's numbers, below the smallest and above the largest."""
MISSING_ROOM = 0.05
FEWEST_ROWS = 20
"""With fewer, uniqueness and lists of values are chance."""
FEWEST_OF_A_VALUE = 5
FEW_VALUES = 20
LEAST_SHARE_OF_ROWS = 0.1


def suggest(profile: Profile) -> DataContract:
    """Columns, types, ranges, values, keys and missing cells as this version has them; other columns may come."""
    return DataContract(
        columns=tuple(_rule(column, profile.rows) for column in profile.columns),
        min_rows=max(1, math.floor(profile.rows * LEAST_SHARE_OF_ROWS)),
    )


def _rule(column: ColumnProfile, rows: int) -> ColumnRule:
    if column.missing == rows:
        return ColumnRule(name=column.name)
    unique = _is_key(column, rows)
    low, high = _range(column.numeric, unique=unique) if column.numeric else (None, None)
    return ColumnRule(
        name=column.name,
        type=column.type,
        minimum=low,
        maximum=high,
        allowed=_allowed(column, rows),
        unique=unique,
        max_missing=_max_missing(column.missing / rows),
    )


def _is_key(column: ColumnProfile, rows: int) -> bool:
    """Texts that are all different, or numbers that are and are named like an identifier."""
    if rows < FEWEST_ROWS or column.distinct < rows or not column.exact_distinct:
        return False
    if column.type == "numeric":
        return ID_NAME.search(column.name) is not None
    return column.type in ("text", "categorical")


def _range(numbers: NumericProfile, *, unique: bool) -> tuple[float | None, float | None]:
    """Never beyond a natural end: shares stay between 0 and 1, and what is not negative stays so. Keys count on."""
    if numbers.min >= 0 and numbers.max <= 1:
        return 0.0, 1.0
    room = ROOM * (numbers.max - numbers.min) or ROOM * abs(numbers.max)
    if not math.isfinite(room) or not math.isfinite(numbers.min - room) or not math.isfinite(numbers.max + room):
        return None, None
    low, high = _rounded(numbers.min - room, room, ROUND_FLOOR), _rounded(numbers.max + room, room, ROUND_CEILING)
    return (max(0.0, low) if numbers.min >= 0 else low), (None if unique else high)


def _rounded(value: float, room: float, direction: str) -> float:
    """To as many decimals as the room has with two digits."""
    unit = Decimal(1).scaleb(math.floor(math.log10(room)) - 1)
    return float(Decimal(repr(value)).quantize(unit, direction))


def _allowed(column: ColumnProfile, rows: int) -> tuple[Value, ...]:
    """Every value seen, where they are few and none is rare: else new ones are to be expected."""
    values = column.top_values
    listed = column.type == "categorical" and len(values) == column.distinct <= FEW_VALUES and rows >= FEWEST_ROWS
    if not listed or min(value.count for value in values) < FEWEST_OF_A_VALUE:
        return ()
    return tuple(sorted(value.value for value in values))


def _max_missing(share: float) -> float:
    """Some room, in whole hundredths."""
    return min(1.0, math.ceil(round(100 * (share + MISSING_ROOM), 6)) / 100)
