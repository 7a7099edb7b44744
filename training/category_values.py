"""Categories as the values that typed cells hold.

A category is a text: that of its training cells. In another file the same column may be typed, because all of its
cells happen to be numbers there, true or false, or times; then the spelling is lost and the value is what is left
to know a category by. TRUE is true, 1.10 is 1.1, 2024-01-05 the first moment of that day. A code such as 007 is no
number, so it never is 7.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from training.features import UNSEEN
from training.numbers import INTEGER_PATTERN, MAX_EXACT_INTEGER, WHITESPACE, Decimal, parse_number

Value = bool | int | float

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ].*)?", re.DOTALL)
_INTEGER: Final = re.compile(INTEGER_PATTERN)
_LONGEST_INTEGER: Final = 21
_TRUTH: Final = {"true": True, "false": False}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def is_time(kind: pa.DataType) -> bool:
    """Whether cells of this type are days or moments."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


class CategoryValues:
    """The categories of one feature, in a column of Arrow type `kind`; those without a value there are left out.

    `decimal` is the mark of the file's numbers, as the report of `preprocess` gives it.
    """

    def __init__(self, categories: Sequence[str], kind: pa.DataType, decimal: Decimal = ".") -> None:
        self._kind = _comparable_type(kind)
        found = list(_values(categories, kind, decimal))
        self.values = _rounded([value for _, value in found], kind, self._kind)
        self._codes = np.array([code for code, _ in found] + [UNSEEN], np.int32)
        self._categories = categories

    def clash(self) -> tuple[str, str] | None:
        """Two categories that are one value, so that none of its cells can be told."""
        first: dict[Value, int] = {}
        for value, code in zip(self.values, self._codes[:-1].tolist(), strict=True):
            if first.setdefault(value, code) != code:
                return self._categories[first[value]], self._categories[code]
        return None

    def codes(self, values: pa.ChunkedArray) -> npt.NDArray[np.int32]:
        """Code of each cell; UNSEEN for nulls too."""
        places = pc.index_in(_comparable(values, self._kind), value_set=pa.array(self.values, self._kind))
        codes: npt.NDArray[np.int32] = self._codes[places.fill_null(-1).to_numpy()]
        return codes


def _comparable_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_boolean(kind) or pa.types.is_uint64(kind):
        return kind
    return pa.int64() if pa.types.is_integer(kind) or is_time(kind) else pa.float64()


def _comparable(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Cells as `kind`; times as microseconds since 1970, and -0.0 as 0.0."""
    if is_time(values.type):
        zone = values.type.tz if pa.types.is_timestamp(values.type) else None
        return values.cast(pa.timestamp("us", zone), safe=False).cast(kind)
    if pa.types.is_decimal(values.type):  # Arrow's own cast is not always to the nearest
        return pa.chunked_array(
            [pa.array([None if each is None else float(each) for each in values.to_pylist()], kind)]
        )
    values = values.cast(kind)
    return pc.add(values, 0.0) if pa.types.is_floating(kind) else values


def _rounded(values: Sequence[Value], kind: pa.DataType, comparable: pa.DataType) -> list[Any]:
    """Numbers as a column of narrow floats holds them; -0.0 as 0.0."""
    if not pa.types.is_floating(comparable):
        return list(values)
    narrow = kind.to_pandas_dtype() if pa.types.is_floating(kind) else np.float64
    with np.errstate(over="ignore"):
        rounded: list[float] = (np.array(values, np.float64).astype(narrow).astype(np.float64) + 0.0).tolist()
    return rounded


def _values(categories: Sequence[str], kind: pa.DataType, decimal: Decimal) -> Iterator[tuple[int, Value]]:
    for code, category in enumerate(categories):
        value = _value(category.strip(WHITESPACE), kind, decimal)
        if value is not None:
            yield code, value


def _value(text: str, kind: pa.DataType, decimal: Decimal) -> Value | None:
    if pa.types.is_boolean(kind):
        return _TRUTH.get(text.lower())
    if is_time(kind):
        return _moment(text, zoned=bool(pa.types.is_timestamp(kind) and kind.tz))
    if pa.types.is_integer(kind):
        return _whole(text, np.iinfo(kind.to_pandas_dtype()), decimal)
    return _number(text, decimal)


def _number(text: str, decimal: Decimal) -> float | None:
    number = parse_number(text, decimal)
    return parse_number(text) if number is None else number


def _whole(text: str, bounds: "np.iinfo[Any]", decimal: Decimal) -> int | None:
    if _INTEGER.fullmatch(text) and len(text) <= _LONGEST_INTEGER:
        value = int(text)
        return value if bounds.min <= value <= bounds.max else None
    number = _number(text, decimal)
    exact = number is not None and abs(number) <= MAX_EXACT_INTEGER and number.is_integer()
    return int(number) if exact and number is not None and bounds.min <= number <= bounds.max else None


def _moment(text: str, *, zoned: bool) -> int | None:
    """Microseconds since 1970; a time with a UTC offset and one without are never the same."""
    if not _DAY.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if (moment.tzinfo is not None) != zoned:
        return None
    return ((moment if zoned else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND
