"""`python -m bench.bare_polars TABLE.csv FOLDER`: the figures of `preprocess`, as a plain Polars program has them.

Reads the CSV with types inferred; of every column it counts missing cells, distinct values and the 20 most frequent
ones, of numeric ones it takes mean, standard deviation, sum, least and largest value and 512 quantile edges; and it
writes FOLDER/data.parquet (zstd) and FOLDER/figures.json. It checks nothing.
"""

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl

EDGES = 512
TOP = 20


def main(table: Path, folder: Path) -> None:
    frame = pl.read_csv(table, infer_schema_length=10_000)
    frame.write_parquet(folder / "data.parquet", compression="zstd")
    figures = {"rows": frame.height, "columns": {column.name: _figures(column) for column in frame}}
    (folder / "figures.json").write_text(json.dumps(figures))


def _figures(column: pl.Series) -> dict[str, Any]:
    present = column.drop_nulls()
    counts = present.value_counts(sort=True)
    common = {"missing": column.null_count(), "distinct": counts.height, "top": counts.head(TOP).rows()}
    return common | (_numbers(present) if column.dtype.is_numeric() else {})


def _numbers(present: pl.Series) -> dict[str, Any]:
    ascending = present.sort()
    places = [step * (len(ascending) - 1) // EDGES for step in range(EDGES + 1)]
    moments = {"mean": present.mean(), "std": present.std(), "sum": present.sum()}
    return moments | {"min": ascending[0], "max": ascending[-1], "edges": ascending.gather(places).to_list()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
