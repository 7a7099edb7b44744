"""The short way for JSON rows that hold nothing odd: straight to the arrays that Encoder.assemble takes.

A row is plain when it has every column of the signature and no other, its numbers are JSON numbers, its categories
strings, and nothing is null where training saw no missing cell. `PlainRows.read` gives None for anything else, and the
careful reader (requests.py) then says what is wrong with it, or reads it: it alone makes the rules, and both read
plain rows to the same arrays.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from training.cells import Field
from training.features import MISSING, UNSEEN

Array = npt.NDArray[Any]
Row = Any
"""A dict by column name, or a list in the order of some header."""

_NUMBERS: Final = frozenset({int, float})
_NULL: Final = type(None)
_LAYOUTS: Final = 16


class Dense(NamedTuple):
    """(n, numbers) float64 with NaN for missing, and (n, categoricals) int32 codes, in the encoder's order."""

    numbers: Array
    codes: Array


Cells = Callable[[Row], Sequence[Any]]


@dataclass(frozen=True)
class _Layout:
    """Where the cells of a row are: each function gives those of one kind, in the signature's order."""

    width: int
    numeric: Cells
    boolean: Cells
    categorical: Cells
    needed_numeric: Cells
    needed_categorical: Cells


class PlainRows:
    """Reads plain rows of one signature. Nothing in it changes but a cache, so threads may share it."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._fields = tuple(fields)
        numbers = [field for field in self._fields if field.type != "categorical"]
        self._numeric_at = [place for place, field in enumerate(numbers) if field.type == "numeric"]
        self._boolean_at = [place for place, field in enumerate(numbers) if field.type == "boolean"]
        self._count = len(numbers)
        self._lookups = [_codes(field).get for field in self._fields if field.type == "categorical"]
        self._by_name = self._layout({field.name: field.name for field in self._fields})
        self._by_header = lru_cache(_LAYOUTS)(self._of_header)

    def read(self, rows: Sequence[Row], header: Sequence[str] | None = None) -> Dense | None:
        """The rows' cells, or None when one is not plain. `header`: rows are lists in this order."""
        layout = self._by_name if header is None else self._by_header(tuple(header))
        kind = dict if header is None else list
        if layout is None or not all(type(row) is kind and len(row) == layout.width for row in rows):
            return None
        try:
            return self._read(rows, layout)
        except (KeyError, OverflowError):
            return None

    def _read(self, rows: Sequence[Row], layout: _Layout) -> Dense | None:
        numbers = self._numbers(rows, layout)
        codes = self._codes(rows, layout)
        return None if numbers is None or codes is None else Dense(numbers, codes)

    def _numbers(self, rows: Sequence[Row], layout: _Layout) -> Array | None:
        cells = [layout.numeric(row) for row in rows]
        odd = set(map(type, chain.from_iterable(cells))) - _NUMBERS
        if odd and (odd != {_NULL} or _has_null(rows, layout.needed_numeric)):
            return None
        numeric = np.array(cells, dtype=np.float64)
        if not self._boolean_at:
            return numeric
        truths = [layout.boolean(row) for row in rows]
        if set(map(type, chain.from_iterable(truths))) != {bool}:
            return None
        out = np.empty((len(rows), self._count))
        out[:, self._numeric_at] = numeric
        out[:, self._boolean_at] = truths
        return out

    def _codes(self, rows: Sequence[Row], layout: _Layout) -> Array | None:
        cells = [layout.categorical(row) for row in rows]
        odd = set(map(type, chain.from_iterable(cells))) - {str}
        if odd and (odd != {_NULL} or _has_null(rows, layout.needed_categorical)):
            return None
        codes = [[look(cell, UNSEEN) for look, cell in zip(self._lookups, row, strict=True)] for row in cells]
        return np.array(codes, dtype=np.int32)

    def _of_header(self, header: tuple[Any, ...]) -> _Layout | None:
        places = {name: place for place, name in enumerate(header)}
        if len(places) != len(header) or places.keys() != {field.name for field in self._fields}:
            return None
        return self._layout(places)

    def _layout(self, places: dict[str, Any]) -> _Layout:
        def cells(kind: str, *, needed: bool = False) -> Cells:
            chosen = [field for field in self._fields if field.type == kind and (field.required or not needed)]
            return _getter([places[field.name] for field in chosen])

        return _Layout(
            width=len(self._fields),
            numeric=cells("numeric"),
            boolean=cells("boolean"),
            categorical=cells("categorical"),
            needed_numeric=cells("numeric", needed=True),
            needed_categorical=cells("categorical", needed=True),
        )


def _codes(field: Field) -> dict[str | None, int]:
    codes: dict[str | None, int] = {None: MISSING}
    codes.update(field.codes)
    return codes


def _getter(keys: Sequence[Any]) -> Cells:
    """itemgetter, which gives a tuple only for two keys and more."""
    if not keys:
        return lambda _: ()
    if len(keys) == 1:
        (key,) = keys
        return lambda row: (row[key],)
    return itemgetter(*keys)


def _has_null(rows: Sequence[Row], needed: Cells) -> bool:
    return any(None in needed(row) for row in rows)
