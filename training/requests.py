"""Reading a request: the one home of its validation, for every way in.

    application/json           {"instances": [{column: value}, ...]} or {"columns": [...], "rows": [[...], ...]}
    application/jsonlines      one object, or one array in the signature's order, a line
    text/csv                   columns in the signature's order, no header (SageMaker's rule)
    text/csv; header=present   columns by name, in any order; split at , ; tab or |
    application/x-parquet      columns by name, in any order

A CSV may be gzipped. In files with names, columns that training knew and left out (the target, ids) are passed over,
as in batch scoring; JSON is written by programs, and is refused with such a column.

`RequestParser.parse` returns the ColumnMap that `Bundle.scores` takes, or raises a complaints.RequestError.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final

import numpy.typing as npt

from mlops_contracts.bundle import Feature
from training.cells import ABSENT, EXPECTED, Field, json_column, text_column
from training.complaints import (
    BadRows,
    Complaint,
    Complaints,
    MalformedBody,
    RowErrors,
    Sink,
    TooManyRows,
    UnsupportedType,
)
from training.csv_body import csv_rows, named_rows, with_points
from training.json_body import load_json
from training.preprocess.sniff import NAMES

MAX_ROWS: Final = 100_000

_FORMS: Final = '{"instances": [{column: value}, ...]} or {"columns": [...], "rows": [[...], ...]}'
# `model` belongs to the platform's own request, whose body may be handed on as it came.
_WITH_INSTANCES: Final = frozenset({"model", "instances"})
_WITH_ROWS: Final = frozenset({"model", "columns", "rows"})

Array = npt.NDArray[Any]
Columns = dict[str, Array]
Reader = Callable[["RequestParser", bytes, Sink, Mapping[str, str]], tuple[Columns, int]]
ColumnReader = Callable[[Field, Sequence[Any], Sink], Array]


@dataclass(frozen=True)
class Parsed:
    """`errors` says of a row what is wrong with it; empty unless the rows were read leniently."""

    columns: Mapping[str, Array]
    rows: int
    errors: Mapping[int, str]


@lru_cache(maxsize=256)
def media_type(header: str) -> tuple[str, Mapping[str, str]]:
    """Split `text/csv; header=present` into its type and parameters, in lower case."""
    kind, *rest = header.lower().split(";")
    pairs = (each.partition("=") for each in rest)
    return kind.strip(), {name.strip(): value.strip().strip('"') for name, _, value in pairs}


class RequestParser:
    """Reads bodies for one signature. Nothing in it changes, so threads may share it."""

    def __init__(
        self, features: Sequence[Feature], *, ignored: Mapping[str, str] | None = None, max_rows: int = MAX_ROWS
    ) -> None:
        """`ignored`: columns that training knew but left out -> why."""
        self.fields = tuple(Field.of(feature) for feature in features)
        self.max_rows = max_rows
        self.order = tuple(field.name for field in self.fields)
        self._names = frozenset(self.order)
        self._ignored = dict(ignored or {})
        self._known = self._names | self._ignored.keys()
        self._numeric = frozenset(field.name for field in self.fields if field.type == "numeric")
        self._places = {name: place for place, name in enumerate(self.order)}
        self._lookups = tuple((field, field.name, ABSENT if field.required else None) for field in self.fields)

    def parse(self, body: bytes, content_type: str) -> Parsed:
        """Read every row or none; an empty content type is JSON.

        Raises BadRows (with up to 100 complaints), MalformedBody, TooManyRows or UnsupportedType.
        """
        sink = Complaints(self._places)
        columns, rows = self._read(body, content_type, sink)
        sink.raise_if_any()
        return Parsed(columns, rows, {})

    def parse_leniently(self, body: bytes, content_type: str) -> Parsed:
        """Read what can be read: `errors` names each bad row, whose bad cells count as missing.

        Raises as `parse` does for what concerns the whole body.
        """
        sink = RowErrors()
        columns, rows = self._read(body, content_type, sink)
        return Parsed(columns, rows, sink.errors)

    def _read(self, body: bytes, content_type: str, sink: Sink) -> tuple[Columns, int]:
        kind, parameters = media_type(content_type or "application/json")
        reader = READERS.get(kind)
        if reader is None:
            raise UnsupportedType(f"content type {kind!r} is not supported; use one of: {', '.join(READERS)}")
        if parameters.get("charset", "utf-8") not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedType(f"charset {parameters['charset']!r} is not supported; send UTF-8")
        if not body:
            raise MalformedBody(f"the body is empty; send rows as {kind}")
        return reader(self, body, sink, parameters)

    # --------------------------------------------------------------- JSON

    def _json(self, body: bytes, sink: Sink, _: Mapping[str, str]) -> tuple[Columns, int]:
        content = load_json(body)
        if not isinstance(content, dict):
            raise MalformedBody(f"expected an object, {_FORMS}")
        instances, names, rows = content.get("instances"), content.get("columns"), content.get("rows")
        if isinstance(instances, list) and content.keys() <= _WITH_INSTANCES:
            return self._instances(instances, sink)
        if isinstance(names, list) and isinstance(rows, list) and content.keys() <= _WITH_ROWS:
            return self._named_values(names, rows, sink)
        got = ", ".join(repr(key[:40]) for key in list(content)[:10]) or "none"
        raise MalformedBody(f"expected {_FORMS}; got the keys: {got}")

    def _instances(self, instances: list[Any], sink: Sink) -> tuple[Columns, int]:
        self._check_count(len(instances))
        for row, instance in enumerate(instances):
            if type(instance) is not dict:
                sink.discard(row, "expected an object of column names and values, got {}", instance)
                instances[row] = {}
            elif not instance.keys() <= self._names:
                self._report_unknown(row, instance, sink)
        columns = {
            name: json_column(field, [each.get(name, default) for each in instances], sink)
            for field, name, default in self._lookups
        }
        return columns, len(instances)

    def _named_values(self, names: list[Any], rows: list[Any], sink: Sink) -> tuple[Columns, int]:
        if not all(isinstance(name, str) for name in names):
            raise MalformedBody("`columns` must be a list of column names")
        self._check_count(len(rows))
        self._check_header(names, sink)
        return self._by_name(names, _transposed(rows, len(names), None, sink), len(rows), json_column, sink), len(rows)

    def _lines(self, body: bytes, sink: Sink, _: Mapping[str, str]) -> tuple[Columns, int]:
        lines = body.removesuffix(b"\n").split(b"\n")
        self._check_count(len(lines))
        return self._instances([self._line(row, line, sink) for row, line in enumerate(lines)], sink)

    def _line(self, row: int, line: bytes, sink: Sink) -> Any:
        try:
            content = load_json(line)
        except MalformedBody as error:
            sink.discard(row, str(error))
            return {}
        if type(content) is not list:
            return content
        if len(content) != len(self.fields):
            sink.discard(row, f"expected {len(self.fields)} values, one per column of the model, got {len(content)}")
        return dict(zip(self.order, content, strict=False))

    # --------------------------------------------------------------- CSV and Parquet

    def _csv(self, body: bytes, sink: Sink, parameters: Mapping[str, str]) -> tuple[Columns, int]:
        if parameters.get("header") == "present":
            names, rows, delimiter = named_rows(body, self._known)
            self._check_file_header(names, delimiter, sink)
        else:
            names, rows, delimiter = list(self.order), csv_rows(body), ","
            self._check_no_header(rows[0])
        self._check_count(len(rows))
        if len(names) == 1:
            rows = [row or [""] for row in rows]  # an empty line is a missing cell here
        cells = _transposed(rows, len(names), "", sink)
        if delimiter != ",":
            cells = self._with_points(names, cells, delimiter, sink)
        return self._by_name(names, cells, len(rows), text_column, sink), len(rows)

    def _check_file_header(self, names: Sequence[str], delimiter: str, sink: Sink) -> None:
        if self._known.isdisjoint(names):
            sink.add(None, None, f"the header, split at the {NAMES[delimiter]}, names no column of the model")
        self._check_header(self._used(names), sink)

    def _check_no_header(self, first: list[str]) -> None:
        if first and self._known.issuperset(first):
            hint = "this line holds column names; send the content type text/csv; header=present"
            raise BadRows([Complaint(0, None, hint)], 1)

    def _with_points(
        self, names: Sequence[str], cells: Sequence[Sequence[str]], delimiter: str, sink: Sink
    ) -> list[Sequence[str]]:
        """Columns whose numbers have decimal points; one that has them already beside decimal commas is refused."""
        read = [
            with_points(each, delimiter) if name in self._numeric else each
            for name, each in zip(names, cells, strict=True)
        ]
        if any(new is not old for new, old in zip(read, cells, strict=True)):
            for name, new, old in zip(names, read, cells, strict=True):
                if name in self._numeric and new is old and any("." in cell for cell in new):
                    sink.add(None, name, "this column has points, but another has decimal commas; use one mark")
        return read

    def _parquet(self, body: bytes, sink: Sink, _: Mapping[str, str]) -> tuple[Columns, int]:
        # Arrow takes 0.1 s to import, and few servers are ever sent Parquet.
        from training.arrow_cells import check_schema, readable, table_columns
        from training.parquet_body import ParquetBody

        content = ParquetBody(body, self.max_rows)
        self._check_count(content.rows)
        self._report_unknown(None, self._used(content.schema.names), sink)
        check_schema(self.fields, content.schema, sink)
        names = [field.name for field in self.fields if readable(field, content.schema)]
        return table_columns(self.fields, content.table(names), sink), content.rows

    # --------------------------------------------------------------- shared rules

    def _check_count(self, rows: int) -> None:
        if rows == 0:
            raise BadRows([Complaint(None, None, "no rows: send at least one")], 1)
        if rows > self.max_rows:
            raise TooManyRows(f"{rows} rows in one request; at most {self.max_rows}, use batch scoring for more")

    def _check_header(self, names: Sequence[str], sink: Sink) -> None:
        self._report_unknown(None, names, sink)
        counts = Counter(names)
        for field in self.fields:
            count = counts[field.name]
            if count > 1:
                sink.add(None, field.name, f"this column is given {count} times; give it once")
            elif not count and field.required:
                sink.add(None, field.name, f"missing: this column is required, {EXPECTED[field.type]}")

    def _used(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name not in self._ignored]

    def _report_unknown(self, row: int | None, names: Iterable[str], sink: Sink) -> None:
        for name in names:
            if name not in self._names:
                sink.add(row, name, partial(self._unknown, name))

    def _unknown(self, name: str) -> str:
        if name in self._ignored:
            return f"not used by this model ({self._ignored[name]}): remove it, or leave it in for batch scoring"
        close = _closest(name[:100], self.order)
        return "unknown column" if close is None else f"unknown column; did you mean {close!r}?"

    def _by_name(
        self, names: Sequence[str], cells: Sequence[Sequence[Any]], rows: int, read: ColumnReader, sink: Sink
    ) -> Columns:
        found = dict(zip(names, cells, strict=True))
        return {
            field.name: read(field, found[field.name], sink) if field.name in found else field.all_missing(rows)
            for field in self.fields
        }


READERS: Final[Mapping[str, Reader]] = {
    "application/json": RequestParser._json,
    "application/jsonlines": RequestParser._lines,
    "text/csv": RequestParser._csv,
    "application/x-parquet": RequestParser._parquet,
}


@lru_cache(maxsize=1024)
def _closest(name: str, known: tuple[str, ...]) -> str | None:
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)


def _transposed(rows: list[Any], width: int, missing: object, sink: Sink) -> list[Sequence[Any]]:
    """The cells by column; a row that is no list of `width` cells is discarded."""
    for row, cells in enumerate(rows):
        if type(cells) is not list:
            sink.discard(row, "expected a list of values, got {}", cells)
            rows[row] = [missing] * width
        elif len(cells) != width:
            sink.discard(row, f"expected {width} values, got {len(cells)}" if cells else "empty line")
            rows[row] = [missing] * width
    return list(zip(*rows, strict=True)) if rows else [()] * width
