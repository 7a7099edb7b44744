"""Parquet files: declared types are kept, converted plainly, or refused by name.

    bool                                 boolean
    int8 .. uint64                       integer; text when a value lies beyond 2**53
    float16, float32, float64, decimal   number; NaN is missing, infinity is refused
    string, dictionary                   text
    date, timestamp                      naive_time, or zoned_time when a zone is declared
    null                                 text, all missing
    anything else                        refused

Strings are read as dictionaries: a few bytes of Parquet can stand for gigabytes of text, and are measured before
they become text.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from training.numbers import MAX_EXACT_INTEGER
from training.preprocess.findings import KEPT, Findings, Refused, plural, shown
from training.preprocess.header import checked_header
from training.preprocess.limits import Limits
from training.preprocess.staging import ARROW_TYPES, Staged, StagedType, StagingWriter

_BATCH_ROWS = 8192
_BATCH_CELLS = 400_000


def stage_parquet(path: Path, scratch: Path, findings: Findings, limits: Limits) -> Staged:
    """Check the file and write its cells to a staging file.

    Returns the staged table; unsupported types and infinite cells are in `findings`, and the table is not to be
    used then.

    Raises:
        Refused: corrupt_parquet, too_many_rows, too_many_columns, too_many_bytes, row_group_too_large,
            header_only, cell_too_large.
    """
    try:
        with pq.ParquetFile(path, pre_buffer=False, thrift_string_size_limit=64 << 20) as file:
            return _staged(path, file, scratch, findings, limits)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        message = f"The Parquet file is damaged or uses what is not supported ({_first_line(error)}). Write it again."
        raise Refused("corrupt_parquet", message) from error
    except pa.ArrowMemoryError as error:
        raise Refused("too_many_bytes", "The file needs too much memory. Write smaller row groups.") from error


def _staged(path: Path, file: pq.ParquetFile, scratch: Path, findings: Findings, limits: Limits) -> Staged:
    _check_size(file.metadata, path.stat().st_size, limits)
    schema = file.schema_arrow
    names = checked_header(schema.names, findings, limits)
    declared = [_staged_type(field.type) for field in schema]
    _refuse_unsupported(schema, declared, findings)
    if findings.count:
        return Staged(path, names, (), file.metadata.num_rows, ())
    types = _without_wide_integers(file, names, [each for each in declared if each], findings)
    _warn_decimals(schema, names, findings)
    return _converted(path, names, types, scratch, findings, limits)


def _check_size(metadata: pq.FileMetaData, size: int, limits: Limits) -> None:
    if metadata.num_columns > limits.max_columns:
        raise Refused(
            "too_many_columns",
            f"The file has {metadata.num_columns:,} columns; at most {limits.max_columns:,} are read.",
        )
    if metadata.num_rows > limits.max_rows:
        raise Refused(
            "too_many_rows", f"The table has more than {limits.max_rows:,} rows. Split it, or upload a sample."
        )
    if metadata.num_rows == 0:
        raise Refused("header_only", "The table has columns and no rows. Upload at least one row.")
    groups = [metadata.row_group(place).total_byte_size for place in range(metadata.num_row_groups)]
    if max(groups) > limits.max_row_group:
        megabytes = limits.max_row_group >> 20
        raise Refused("row_group_too_large", f"A row group is larger than {megabytes} MiB. Write smaller row groups.")
    if sum(groups) > limits.max_bytes:
        raise Refused("too_many_bytes", f"The columns are larger than {limits.max_bytes >> 30} GiB. Split the table.")
    if sum(groups) > limits.ratio_after and sum(groups) > size * limits.max_ratio:
        raise Refused(
            "decompression_ratio",
            f"The file grows more than {limits.max_ratio} times when decompressed, as a bomb does. If it is a "
            "real table, write its texts as a dictionary, or upload it as CSV.",
        )


def _staged_type(declared: pa.DataType) -> StagedType | None:
    """None: not supported."""
    kinds: tuple[tuple[bool, StagedType], ...] = (
        (pa.types.is_boolean(declared), "boolean"),
        (pa.types.is_integer(declared), "integer"),
        (pa.types.is_floating(declared) or pa.types.is_decimal(declared), "number"),
        (_is_text(declared) or pa.types.is_null(declared), "text"),
        (pa.types.is_date(declared), "naive_time"),
    )
    if pa.types.is_dictionary(declared):
        return _staged_type(declared.value_type)
    if pa.types.is_timestamp(declared):
        return "zoned_time" if declared.tz else "naive_time"
    return next((kind for found, kind in kinds if found), None)


def _is_text(declared: pa.DataType) -> bool:
    return bool(pa.types.is_string(declared) or pa.types.is_large_string(declared) or pa.types.is_string_view(declared))


def _refuse_unsupported(schema: pa.Schema, types: Sequence[StagedType | None], findings: Findings) -> None:
    for field, kind in zip(schema, types, strict=True):
        if kind is None:
            findings.violate(
                "unsupported_type",
                f"Column {shown(field.name)} is {shown(str(field.type))}. Convert it to numbers, text, booleans or "
                "timestamps, or leave it out.",
                column=field.name,
            )


def _warn_decimals(schema: pa.Schema, names: Sequence[str], findings: Findings) -> None:
    for field, name in zip(schema, names, strict=True):
        if pa.types.is_decimal(field.type):
            findings.warn(
                "decimal_as_float",
                f"{field.type} is read as a 64-bit float, which holds about 15 digits. Scale it if that is too few.",
                column=name,
            )


def _without_wide_integers(
    file: pq.ParquetFile, names: Sequence[str], types: Sequence[StagedType], findings: Findings
) -> tuple[StagedType, ...]:
    """The types, with text for integer columns that float64 cannot hold."""
    fields = list(file.schema_arrow)
    suspects = [place for place, each in enumerate(fields) if each.type in (pa.int64(), pa.uint64())]
    wide: set[int] = set()
    if suspects:
        for batch in file.iter_batches(_BATCH_ROWS, columns=[fields[place].name for place in suspects]):
            wide |= {place for place, column in zip(suspects, batch.columns, strict=True) if _beyond_float(column)}
    for place in sorted(wide):
        findings.warn(
            "large_integers",
            "Whole numbers beyond 2^53 lose digits as numbers, so the column is kept as text. If it is a quantity, "
            "store it as a float.",
            column=names[place],
        )
    return tuple("text" if place in wide else each for place, each in enumerate(types))


def _beyond_float(column: pa.Array) -> bool:
    ends = pc.min_max(column).as_py()
    return any(value is not None and abs(value) > MAX_EXACT_INTEGER for value in ends.values())


def _converted(
    path: Path, names: tuple[str, ...], types: tuple[StagedType, ...], scratch: Path, findings: Findings, limits: Limits
) -> Staged:
    rows = max(1, min(_BATCH_ROWS, _BATCH_CELLS // len(names)))
    converter = _Converter(names, types, findings, limits)
    with StagingWriter(scratch / "staged.arrow", names, types) as writer:
        for batch in _batches(path, rows):
            columns = [converter.column(place, each, writer.rows) for place, each in enumerate(batch.columns)]
            writer.append(columns, pa.array([0] * len(batch), pa.int64()))
            if writer.rows > limits.max_rows:
                raise Refused("too_many_rows", f"The table has more than {limits.max_rows:,} rows. Split it.")
        converter.warn()
        return writer.finish()


def _batches(path: Path, rows: int) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path, pre_buffer=False) as plain:
        texts = [field.name for field in plain.schema_arrow if _is_text(field.type)]
    with pq.ParquetFile(path, pre_buffer=False, read_dictionary=texts) as file:
        yield from file.iter_batches(rows, use_threads=False)


class _Converter:
    """Turns the columns of a batch into staged types and remembers what to warn about."""

    def __init__(self, names: Sequence[str], types: Sequence[StagedType], findings: Findings, limits: Limits) -> None:
        self._names, self._types, self._findings, self._limits = names, types, findings, limits
        self._bytes = 0
        self._nan: dict[int, int] = {}
        self._finer: set[int] = set()

    def column(self, place: int, column: pa.Array, before: int) -> pa.Array:
        """One column of a batch that follows `before` rows."""
        kind = self._types[place]
        if kind == "text":
            return self._text(place, column, before)
        plain = column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column
        if kind == "number":
            return self._number(place, plain, before)
        if kind in ("naive_time", "zoned_time"):
            return self._time(place, plain, kind)
        return plain.cast(ARROW_TYPES[kind])

    def _text(self, place: int, column: pa.Array, before: int) -> pa.Array:
        column.validate(full=True)
        lengths = _lengths(column)
        self._bytes += pc.sum(lengths).as_py() or 0
        if self._bytes > self._limits.max_bytes:
            raise Refused("too_many_bytes", f"The text is larger than {self._limits.max_bytes >> 30} GiB. Split it.")
        longest = pc.max(lengths).as_py() or 0
        if longest > self._limits.max_cell:
            row = before + 1 + pc.index(lengths, longest).as_py()
            message = f"Row {row:,}: the cell is longer than {self._limits.max_cell:,} bytes. Shorten it."
            raise Refused("cell_too_large", message, column=self._names[place], row=row)
        plain = column.cast(pa.string())
        self._violate(place, pc.match_substring(plain, "\0"), before, "nul_byte", "holds a NUL character; remove it.")
        return plain

    def _number(self, place: int, column: pa.Array, before: int) -> pa.Array:
        floats = column.cast(pa.float64(), safe=not pa.types.is_decimal(column.type))
        message = "is infinite. Replace it by a number, or leave it out if the value is unknown."
        self._violate(place, pc.is_inf(floats), before, "not_finite", message)
        nan = pc.is_nan(floats)
        count = pc.sum(nan).as_py() or 0
        if not count:
            return floats
        self._nan[place] = self._nan.get(place, 0) + count
        return pc.if_else(nan, pa.scalar(None, pa.float64()), floats)

    def _time(self, place: int, column: pa.Array, kind: StagedType) -> pa.Array:
        target = ARROW_TYPES[kind]
        cast = column.cast(target, safe=False)
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            back = cast.cast(column.type)
            if not pc.all(pc.equal(back, column)).as_py():
                self._finer.add(place)
        return cast

    def _violate(self, place: int, bad: pa.Array, before: int, code: str, message: str) -> None:
        rows = pc.indices_nonzero(bad)
        for index in rows[:KEPT].to_pylist():
            row = before + index + 1
            text = f"Row {row:,}: the cell {message}"
            self._findings.violate(code, text, column=self._names[place], row=row)
        self._findings.count_more(max(0, len(rows) - KEPT))

    def warn(self) -> None:
        """Add what was converted with a loss of meaning."""
        for place, count in sorted(self._nan.items()):
            message = f"{plural(count, 'cell')} NaN, read as missing. Store NULL to say so plainly."
            self._findings.warn("missing_tokens", message, column=self._names[place])
        for place in sorted(self._finer):
            message = "Times finer than a microsecond were cut to microseconds. Store the rest in a column of its own."
            self._findings.warn("time_precision", message, column=self._names[place])


def _lengths(column: pa.Array) -> pa.Array:
    if isinstance(column, pa.DictionaryArray):
        if not _is_text(column.dictionary.type):
            return pa.array([], pa.int32())
        return pc.take(pc.binary_length(column.dictionary), column.indices)
    return pc.binary_length(column) if _is_text(column.type) else pa.array([], pa.int32())


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
