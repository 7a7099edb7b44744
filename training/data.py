"""The training channel: which columns of the dataset train a model, read and checked.

Everything the user can have got wrong about the table raises JobError: one sentence, with what to do.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from mlops_contracts.dataset import Column, DatasetReport
from mlops_contracts.job import JobConfig
from training.failure import JobError
from training.features import USABLE
from training.row_hashes import RowHashes, row_hashes

MIN_ROWS = 10
TABLE = "data.parquet"


@dataclass(frozen=True)
class TrainingData:
    """Rows with a present target. `table` holds features, target and, if there is one, the time column."""

    table: pa.Table
    report: DatasetReport
    features: tuple[str, ...]
    ignored: Mapping[str, str]
    """Column that is no feature -> why, as in "text column with 812 distinct values"."""
    path: Path
    kept: npt.NDArray[np.intp]
    """Numbers, in the file, of the rows that have a target."""
    file_rows: int
    hashes: RowHashes | None = None
    """Of the rows, when they are split by hash."""

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)

    @property
    def left_out(self) -> int:
        """Rows left out because their target is missing."""
        return self.file_rows - self.rows

    def column(self, name: str) -> Column:
        return next(column for column in self.report.columns if column.name == name)


def load(channel: Path, config: JobConfig) -> TrainingData:
    """Read what `config` asks for from data.parquet and dataset.json; raises JobError."""
    report = read_report(channel)
    columns = {column.name: column for column in report.columns}
    check_columns(columns, config)
    features, ignored = choose_features(report, config)
    path = channel / TABLE
    table = _read(path, columns, [*features, config.target, *_time(config)])
    kept = _with_target(table[config.target])
    if len(kept) < MIN_ROWS:
        raise JobError(
            f"Only {len(kept):,} of {table.num_rows:,} rows have a target in {config.target!r}; "
            f"training needs at least {MIN_ROWS}."
        )
    labelled = table if len(kept) == table.num_rows else table.take(pa.array(kept))
    hashes = _hashes(path, config.seed, kept) if config.split == "hash" else None
    return TrainingData(labelled, report, features, ignored, path, kept, table.num_rows, hashes)


def _hashes(path: Path, seed: int, kept: npt.NDArray[np.intp]) -> RowHashes:
    found = row_hashes(path, seed)
    return replace(found, values=found.values[kept])


def read_rows(loaded: TrainingData, names: Sequence[str], rows: npt.NDArray[np.intp]) -> pa.Table:
    """Columns of the dataset, whether they train or not, at rows of `loaded.table`. Raises JobError."""
    columns = {column.name: column for column in loaded.report.columns}
    return _read(loaded.path, columns, list(names)).take(pa.array(loaded.kept[rows]))


def _time(config: JobConfig) -> list[str]:
    return [config.time_column] if config.time_column else []


def read_report(channel: Path) -> DatasetReport:
    """dataset.json; raises JobError when the channel does not hold what `preprocess` writes."""
    try:
        return DatasetReport.model_validate_json((channel / "dataset.json").read_bytes())
    except FileNotFoundError as error:
        raise JobError(
            f"The channel {channel.name!r} holds no dataset.json; fill it with the output of `preprocess`."
        ) from error
    except ValidationError as error:
        raise JobError(f"dataset.json of the channel {channel.name!r} is not valid: {error.errors()[0]}.") from error


# --------------------------------------------------------------------------- which columns


def check_columns(columns: Mapping[str, Column], config: JobConfig) -> None:
    """Raises JobError for a target, time column or exclusion that the dataset does not have or cannot use."""
    _known(columns, "target", config.target)
    for name in config.exclude:
        _known(columns, "excluded column", name)
    if config.target in config.exclude:
        raise JobError(f"The target {config.target!r} is excluded too; take it out of `exclude`.")
    if config.time_column is not None:
        _check_time(columns, config.target, config.time_column)


def _check_time(columns: Mapping[str, Column], target: str, name: str) -> None:
    _known(columns, "time column", name)
    if name == target:
        raise JobError(f"The time column {name!r} is the target too; name another column.")
    if columns[name].type not in ("datetime", "numeric"):
        raise JobError(
            f"The time column {name!r} is {columns[name].type}; rows are ordered by a datetime or numeric one."
        )


def _known(columns: Iterable[str], role: str, name: str) -> None:
    names = list(columns)
    if name in names:
        return
    close = difflib.get_close_matches(name, names, n=1)
    hint = f", did you mean {close[0]!r}?" if close else "."
    raise JobError(f"The {role} {name!r} is not a column; columns are: {_listed(names)}{hint}")


def _listed(names: list[str], most: int = 30) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def choose_features(report: DatasetReport, config: JobConfig) -> tuple[tuple[str, ...], dict[str, str]]:
    """(features, ignored column -> why). Excluded columns are neither; raises JobError when no feature is left."""
    left = [
        column for column in report.columns if column.name not in {config.target, config.time_column, *config.exclude}
    ]
    ignored = {column.name: why for column in left if (why := _unusable(column, report.rows))}
    features = tuple(column.name for column in left if column.name not in ignored)
    if not features:
        reasons = "; ".join(f"{name}: {why}" for name, why in ignored.items()) or "every other column is excluded"
        raise JobError(f"No column is left to learn from ({reasons}). Exclude fewer columns or use another dataset.")
    return features, ignored


def _unusable(column: Column, rows: int) -> str | None:
    if column.type not in USABLE:
        return f"{column.type} column with {column.distinct:,} distinct values"
    return "every cell is missing" if column.missing >= rows else None


# --------------------------------------------------------------------------- which rows


def _read(path: Path, columns: Mapping[str, Column], names: list[str]) -> pa.Table:
    texts = [name for name in names if columns[name].type == "categorical"]
    try:
        return pq.read_table(path, columns=names, read_dictionary=texts, memory_map=True)
    except FileNotFoundError as error:
        raise JobError(
            f"The channel {path.parent.name!r} holds no {path.name}; fill it with the output of `preprocess`."
        ) from error
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise JobError(f"{path.name} cannot be read: {error}. Upload the dataset again.") from error


def _with_target(target: pa.ChunkedArray) -> npt.NDArray[np.intp]:
    """Numbers of the rows where it is present."""
    missing = pc.is_null(target, nan_is_null=True).to_numpy()
    return np.flatnonzero(~missing)
