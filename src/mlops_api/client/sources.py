"""A table to upload: a path, bytes, rows as dicts, or anything with pandas' `to_csv`, as one seekable file."""

import csv
import hashlib
import io
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

from mlops_api.client.errors import Validation

_CHUNK = 1 << 20


@runtime_checkable
class Frame(Protocol):
    """What is used of a pandas DataFrame; pandas itself is never imported."""

    def to_csv(self, path_or_buf: Any, *, index: bool) -> Any: ...

    def to_json(self, *, orient: str, date_format: str) -> str: ...


Table = str | os.PathLike[str] | bytes | Sequence[Mapping[str, Any]] | Frame


class Source:
    """An open file of known size; `close` it."""

    def __init__(self, file: BinaryIO, filename: str) -> None:
        self._file = file
        self.filename = filename
        self.size = file.seek(0, io.SEEK_END)
        if self.size == 0:
            file.close()
            raise Validation(f"{filename} is empty: there is nothing to upload.")

    def read(self, offset: int, size: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(size)

    def sha256(self) -> str:
        self._file.seek(0)
        digest = hashlib.sha256()
        while chunk := self._file.read(_CHUNK):
            digest.update(chunk)
        return digest.hexdigest()

    def close(self) -> None:
        self._file.close()


def open_source(table: Table, filename: str) -> Source:
    """`filename` names what has no name of its own. Raises Validation for what is no table."""
    if isinstance(table, str | os.PathLike):
        return _open_path(Path(table))
    if isinstance(table, bytes):
        return Source(io.BytesIO(table), filename)
    if isinstance(table, Frame):
        return Source(_spooled(lambda text: table.to_csv(text, index=False)), filename)
    if isinstance(table, list | tuple):
        return Source(_spooled(partial(_write_rows, rows=table)), filename)
    raise Validation(f"Cannot upload a {type(table).__name__}. Give a path, bytes, a DataFrame or a list of dicts.")


def _open_path(path: Path) -> Source:
    try:
        return Source(path.open("rb"), path.name)
    except OSError as error:
        raise Validation(f"Cannot read {path}: {error.strerror or error}.") from error


def _spooled(write: Callable[[io.TextIOWrapper], object]) -> BinaryIO:
    """A temporary file that vanishes when closed, holding the text that `write` writes."""
    file = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - closed by Source.close
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        write(text)
        text.flush()
    except BaseException:
        text.close()
        raise
    text.detach()
    return file


def _write_rows(text: io.TextIOWrapper, *, rows: Sequence[Mapping[str, Any]]) -> None:
    columns = _columns(rows)
    if not columns:
        raise Validation("There are no rows: nothing to upload.")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)


def _columns(rows: Iterable[Any]) -> list[str]:
    columns: dict[str, None] = {}
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise Validation(f"Row {number} is a {type(row).__name__}, not a dict of column to value.")
        columns.update(dict.fromkeys(map(str, row)))
    return list(columns)


def _cell(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    return str(value).lower() if isinstance(value, bool) else value
