"""What `preprocess` writes about one table.

    dataset.json      DatasetReport: rows, columns, quality     (always)
    profile.json      Profile                                   (accepted tables)
    preview.json      Preview, the first 100 rows               (accepted tables)
    statistics.json   sketches, see statistics.py               (accepted tables)
    constraints.json  what the table satisfies, in Model Monitor's format
    data.parquet      the typed table                           (accepted tables)

Positions: `row` counts data rows from 1, the header not counted; `line` is the physical line in the file
from 1, where it is known.
"""

from typing import Literal

from pydantic import Field

from mlops_contracts.base import Contract
from mlops_contracts.columns import ColumnType
from mlops_contracts.data_contract import NumberedContract
from mlops_contracts.hyperparameters import ProblemType


class TargetUse(Contract):
    """What the dataset's recipe trains on: makes the table's target worth a look before any model is trained."""

    target: str
    problem_type: ProblemType | None = None
    exclude: tuple[str, ...] = ()
    time_column: str | None = None


class PreprocessConfig(Contract):
    """input/config/preprocess.json. `filename` is the user's name of the one file below input/data/raw."""

    filename: str
    sha256: str = Field(description="That the raw file must have; empty: nobody knows it.")
    contract: NumberedContract | None = Field(None, description="What the table must satisfy.")
    target: TargetUse | None = Field(None, description="What will be trained on it; None: not known.")


class Finding(Contract):
    """A violation (the table is refused) or a warning (it is not), with its place."""

    code: str = Field(description="Stable name, one of mlops_contracts.codes, such as ragged_row.")
    message: str = Field(description="What is wrong and what to do about it, in one or two sentences.")
    column: str | None = None
    row: int | None = None
    line: int | None = None


class Quality(Contract):
    violations: tuple[Finding, ...] = ()
    violation_count: int = Field(0, description="All of them; `violations` holds at most 100.")
    warnings: tuple[Finding, ...] = ()


class Column(Contract):
    name: str
    type: ColumnType
    missing: int = Field(description="Number of missing cells.")
    distinct: int = Field(description="Number of distinct present values.")


class DatasetReport(Contract):
    """dataset.json. The table is Ready exactly when `quality.violations` is empty."""

    rows: int
    columns: tuple[Column, ...]
    quality: Quality
    sha256: str = Field(description="Of the raw file, as read.")
    format: Literal["csv", "parquet"]
    encoding: str | None = None
    delimiter: str | None = None
    decimal: str | None = None
    contract: int | None = Field(None, description="Number of the data contract that the table was held to.")


class ValueCount(Contract):
    value: str
    count: int


class Bucket(Contract):
    """Counts of [lower, upper), the last one closed; lower == upper: of that one value."""

    lower: float
    upper: float
    count: int


class NumericProfile(Contract):
    min: float
    max: float
    mean: float
    std: float = Field(description="Of the sample (n - 1); 0 for a single value.")
    quantiles: dict[str, float] = Field(description='Keys "0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99".')
    exact_quantiles: bool = Field(
        True, description="False: of more than 2,000,000 values, off by at most 1/16,384 of rank."
    )
    histogram: tuple[Bucket, ...]


class ColumnProfile(Contract):
    name: str
    type: ColumnType
    missing: int
    distinct: int
    exact_distinct: bool = Field(
        True, description="False: `distinct` is an estimate (one sigma: 0.4 %), of a numeric column of many rows."
    )
    numeric: NumericProfile | None = None
    top_values: tuple[ValueCount, ...] = Field(
        (),
        description="Up to 20 most frequent values, most frequent first. With exact_quantiles false counts are too "
        "small by at most 1/4,096 of the values.",
    )
    earliest: str | None = Field(
        None, description="datetime columns: ISO 8601, with Z when the table gives UTC offsets."
    )
    latest: str | None = None


class Profile(Contract):
    rows: int
    columns: tuple[ColumnProfile, ...]


class Preview(Contract):
    columns: tuple[str, ...]
    rows: tuple[tuple[float | bool | str | None, ...], ...]
