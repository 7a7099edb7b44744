"""Arrow columns -> the arrays a model reads: Parquet requests, and the tables that batch scoring reads.

What fits a feature:

    numeric      integers, floats, decimals; texts that are numbers
    boolean      booleans; texts that say true or false
    categorical  texts; integers and whole floats as their decimal text; booleans as true/false

Any other type can never fit, and a column of nothing but nulls always does.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from training.cells import EXPECTED, Field, report_missing, text_column
from training.complaints import Sink
from training.features import MISSING, UNSEEN
from training.missing import MISSING_TEXTS
from training.numbers import WHITESPACE

Array = npt.NDArray[Any]

_INTEGERS_BELOW = 2.0**63


def check_schema(fields: Iterable[Field], schema: pa.Schema, sink: Sink) -> None:
    """Report each required column that the table lacks and each column whose type can never fit."""
    for field in fields:
        places = schema.get_all_field_indices(field.name)
        if len(places) > 1:
            sink.add(None, field.name, f"this column is given {len(places)} times; give it once")
        elif not places and field.required:
            sink.add(None, field.name, f"missing: this column is required, {EXPECTED[field.type]}")
        elif places and not fits(field, schema.field(places[0]).type):
            kind = schema.field(places[0]).type
            sink.add(None, field.name, f"expected {EXPECTED[field.type]}, but the column's type is {kind}")


def fits(field: Field, kind: pa.DataType) -> bool:
    """Whether cells of this type may be read as the feature."""
    kind = _plain(kind)
    if _is_text(kind) or pa.types.is_null(kind):
        return True
    if pa.types.is_boolean(kind):
        return field.type != "numeric"
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return number and field.type != "boolean"


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def table_columns(fields: Sequence[Field], table: pa.Table, sink: Sink) -> dict[str, Array]:
    """The ColumnMap of a table; what `check_schema` reports counts as missing, and other columns are ignored."""
    return {
        field.name: arrow_column(field, table[field.name], sink)
        if _readable(field, table.schema)
        else field.all_missing(table.num_rows)
        for field in fields
    }


def _readable(field: Field, schema: pa.Schema) -> bool:
    places = schema.get_all_field_indices(field.name)
    return len(places) == 1 and fits(field, schema.field(places[0]).type)


def arrow_column(field: Field, values: pa.ChunkedArray, sink: Sink) -> Array:
    """Read one column whose type fits, reporting each cell that cannot be read."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_null(values.type):
        _report_rows(field, values.is_null(), sink)
        return field.all_missing(len(values))
    if field.type == "categorical":
        return _codes(field, values, sink)
    if _is_text(values.type):
        return text_column(field, ["" if text is None else text for text in values.to_pylist()], sink)
    return _numbers(field, values, sink)


def _numbers(field: Field, values: pa.ChunkedArray, sink: Sink) -> Array:
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    # `safe` would refuse integers beyond 2**53, which a model cannot tell apart anyway.
    column = np.array(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    _report_rows(field, np.isnan(column), sink)
    infinite = np.isinf(column)
    for row in np.flatnonzero(infinite).tolist():
        sink.add(row, field.name, "expected a finite number, got an infinite one")
    column[infinite] = np.nan
    return column


def _codes(field: Field, values: pa.ChunkedArray, sink: Sink) -> Array:
    texts = _as_text(values)
    known = pc.index_in(texts, value_set=pa.array(field.feature.categories, texts.type))
    column = np.array(known.fill_null(UNSEEN).to_numpy(), dtype=np.int32)
    missing_texts = pa.array(sorted(MISSING_TEXTS), texts.type)
    missing = pc.or_(
        texts.is_null(),
        pc.and_(known.is_null(), pc.is_in(pc.utf8_lower(pc.utf8_trim(texts, WHITESPACE)), value_set=missing_texts)),
    ).to_numpy()
    column[missing] = MISSING
    _report_rows(field, missing, sink)
    return column


def _as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts of a column, null where it is null or NaN."""
    kind = values.type
    if _is_text(kind) or pa.types.is_integer(kind):
        return values if _is_text(kind) else values.cast(pa.string())
    spell: Callable[[Any], str | None] = _spelt_bool if pa.types.is_boolean(kind) else _spelt_number
    texts = [None if value is None else spell(value) for value in values.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _spelt_bool(value: bool) -> str:
    return "true" if value else "false"


def _spelt_number(value: Any) -> str | None:
    number = float(value)
    if np.isnan(number):
        return None
    whole = abs(number) < _INTEGERS_BELOW and number.is_integer()
    return str(int(number)) if whole else repr(number)


def _report_rows(field: Field, missing: Any, sink: Sink) -> None:
    if field.required:
        for row in np.flatnonzero(np.asarray(missing)).tolist():
            report_missing(field, row, sink)
