"""Arrow columns -> the arrays a model reads: Parquet requests, and the tables that batch scoring reads.

What fits a feature:

    numeric      integers, floats, decimals; texts that are numbers
    boolean      booleans; texts that say true or false
    categorical  texts; integers, floats, decimals, booleans and times by their value (category_values.py)

Any other type can never fit, and a column of nothing but nulls always does. Texts stay dictionaries all the way:
one long text may stand in many rows.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from training.category_values import CategoryValues, is_time
from training.cells import EXPECTED, Field, report_missing, text_column
from training.complaints import Message, Sink, shown
from training.features import MISSING
from training.numbers import Decimal

Array = npt.NDArray[Any]


def check_schema(fields: Iterable[Field], schema: pa.Schema, sink: Sink, decimal: Decimal = ".") -> None:
    """Report each required column that the table lacks and each column whose type can never fit.

    `decimal` is the mark that the table's numbers were written with.
    """
    for field in fields:
        places = schema.get_all_field_indices(field.name)
        if len(places) > 1:
            sink.add(None, field.name, f"this column is given {len(places)} times; give it once")
        elif not places and field.required:
            sink.add(None, field.name, f"missing: this column is required, {EXPECTED[field.type]}")
        elif places and not fits(field, schema.field(places[0]).type):
            kind = schema.field(places[0]).type
            sink.add(None, field.name, f"expected {EXPECTED[field.type]}, but the column's type is {kind}")
        elif places:
            _check_categories(field, _plain(schema.field(places[0]).type), sink, decimal)


def _check_categories(field: Field, kind: pa.DataType, sink: Sink, decimal: Decimal) -> None:
    if field.type != "categorical" or _is_text(kind) or pa.types.is_null(kind):
        return
    clash = CategoryValues(field.feature.categories, kind, decimal).clash()
    if clash:
        one, other = map(shown, clash)
        sink.add(
            None,
            field.name,
            f"this column is of type {kind}, in which the model's categories {one} and {other} are the same value: "
            "give the column as text (a Parquet file can), or train again with one spelling of each value",
        )


def fits(field: Field, kind: pa.DataType) -> bool:
    """Whether cells of this type may be read as the feature."""
    kind = _plain(kind)
    if _is_text(kind) or pa.types.is_null(kind):
        return True
    if pa.types.is_boolean(kind):
        return field.type != "numeric"
    if is_time(kind):
        return field.type == "categorical" and bool(CategoryValues(field.feature.categories, kind).values)
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return number and field.type != "boolean"


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def table_columns(fields: Sequence[Field], table: pa.Table, sink: Sink, decimal: Decimal = ".") -> dict[str, Array]:
    """The ColumnMap of a table; what `check_schema` reports counts as missing, and other columns are ignored."""
    return {
        field.name: arrow_column(field, table[field.name], sink, decimal)
        if readable(field, table.schema)
        else field.all_missing(table.num_rows)
        for field in fields
    }


def readable(field: Field, schema: pa.Schema) -> bool:
    """Whether the table has the column once, of a type that fits."""
    places = schema.get_all_field_indices(field.name)
    return len(places) == 1 and fits(field, schema.field(places[0]).type)


def arrow_column(field: Field, values: pa.ChunkedArray, sink: Sink, decimal: Decimal = ".") -> Array:
    """Read one column whose type fits, reporting each cell that cannot be read."""
    if _is_text(_plain(values.type)):
        return _texts(field, values, sink)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_null(values.type):
        _report_rows(field, values.is_null(), sink)
        return field.all_missing(len(values))
    if field.type == "categorical":
        return _value_codes(field, values, sink, decimal)
    return _numbers(field, values, sink)


def _texts(field: Field, values: pa.ChunkedArray, sink: Sink) -> Array:
    """Each different text is read once, however many rows hold it."""
    levels, places = _levels(values)
    found = _ByLevel()
    column = text_column(field, levels, found)[places]
    for row in np.flatnonzero(np.isin(places, list(found.complaints))).tolist():
        message, shown_values = found.complaints[places[row]]
        sink.add(row, field.name, message, *shown_values)
    return column


class _ByLevel:
    """Sink of the complaints about the levels of one column, for the rows that hold them."""

    def __init__(self) -> None:
        self.complaints: dict[int, tuple[Message, tuple[object, ...]]] = {}

    def add(self, row: int | None, column: str | None, message: Message, *values: object) -> None:  # noqa: ARG002 - Sink's
        if row is not None:
            self.complaints[row] = message, values

    def discard(self, row: int, message: str, *values: object) -> None:
        self.add(row, None, message, *values)


def _levels(values: pa.ChunkedArray) -> tuple[list[str], Array]:
    """Distinct texts, the last one empty, and each row's place in them; a null is the empty one."""
    if not pa.types.is_dictionary(values.type):
        values = values.cast(pa.large_string()).dictionary_encode()
    chunks = values.unify_dictionaries().chunks
    if not chunks:
        return [""], np.empty(0, np.intp)
    levels = ["" if level is None else level for level in chunks[0].dictionary.to_pylist()]
    places = [np.asarray(chunk.indices.fill_null(len(levels)), np.intp) for chunk in chunks]
    return [*levels, ""], np.concatenate(places)


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


def _value_codes(field: Field, values: pa.ChunkedArray, sink: Sink, decimal: Decimal) -> Array:
    column = CategoryValues(field.feature.categories, values.type, decimal).codes(values)
    missing = values.is_null(nan_is_null=pa.types.is_floating(values.type)).to_numpy()
    column[missing] = MISSING
    _report_rows(field, missing, sink)
    return column


def _report_rows(field: Field, missing: Any, sink: Sink) -> None:
    if field.required:
        for row in np.flatnonzero(np.asarray(missing)).tolist():
            report_missing(field, row, sink)
