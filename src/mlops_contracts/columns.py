"""The types a column of a table can have."""

from typing import Literal

ColumnType = Literal["numeric", "categorical", "boolean", "datetime", "text"]
