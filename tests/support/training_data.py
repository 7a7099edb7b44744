"""The training channel and its job, made from tables without `preprocess`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from mlops_contracts.columns import ColumnType
from mlops_contracts.dataset import Column, DatasetReport, Quality
from mlops_contracts.hyperparameters import HYPERPARAMETERS
from mlops_contracts.job import JobConfig, encode

EXAMPLES = Path(__file__).parents[2] / "examples" / "data"
MAX_LEVELS = 2_000


def read_csv(path: Path) -> pa.Table:
    return pyarrow.csv.read_csv(
        path, convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True, null_values=["", "NA"])
    )


def flights() -> pa.Table:
    return read_csv(EXAMPLES / "flights.csv.gz")


def penguins() -> pa.Table:
    return read_csv(EXAMPLES / "penguins.csv")


def column_type(values: pa.ChunkedArray) -> ColumnType:
    kind = values.type
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "numeric"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "datetime"
    return "categorical" if len(pc.unique(values)) <= MAX_LEVELS else "text"


def report_of(table: pa.Table) -> DatasetReport:
    columns = tuple(
        Column(
            name=name,
            type=column_type(table[name]),
            missing=table[name].null_count,
            distinct=len(pc.unique(table[name].drop_null())),
        )
        for name in table.column_names
    )
    return DatasetReport(rows=table.num_rows, columns=columns, quality=Quality(), sha256="0" * 64, format="csv")


def write_channel(root: Path, table: pa.Table, report: DatasetReport | None = None) -> Path:
    """Fill input/data/training below `root`."""
    folder = root / "input" / "data" / "training"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "data.parquet")
    (folder / "dataset.json").write_text((report or report_of(table)).model_dump_json())
    return folder


def config_of(**changes: Any) -> JobConfig:
    return JobConfig.model_validate({"algorithm": "xgboost", "model": "m", "dataset": "d:1", "target": "y"} | changes)


def write_job(root: Path, table: pa.Table, hyperparameters: dict[str, Any] | None = None, **config: Any) -> None:
    """Everything `train` needs below `root`."""
    write_channel(root, table)
    write_config(root, config_of(**config), hyperparameters or {})


def write_config(root: Path, config: JobConfig, hyperparameters: dict[str, Any]) -> None:
    chosen = HYPERPARAMETERS[config.algorithm].model_validate(hyperparameters)
    folder = root / "input" / "config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hyperparameters.json").write_text(json.dumps(encode(config, chosen)))


def without(table: pa.Table, names: Iterable[str]) -> pa.Table:
    return table.drop_columns(list(names))
