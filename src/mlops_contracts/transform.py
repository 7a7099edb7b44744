"""What a batch-scoring worker reads and writes below its folder.

input/config/transform.json   TransformConfig
output/progress.json          TransformProgress, replaced atomically as chunks are done
output/results.csv|.parquet   one row per input row, in order
"""

from typing import Literal

from pydantic import Field

from mlops_contracts.base import Contract

ResultFormat = Literal["csv", "parquet"]


class TransformConfig(Contract):
    format: ResultFormat = "csv"
    chunk_rows: int = Field(50_000, ge=1, description="Rows scored, and kept against a crash, at a time.")


class TransformProgress(Contract):
    rows: int
    done_rows: int
    failed_rows: int
