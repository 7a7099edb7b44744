"""The data contract of a dataset: what every later version of it must satisfy, or be refused.

The user writes it, mostly from a suggestion, as JSON; the platform numbers each edit. `preprocess` checks it, and says
in dataset.json which number it checked. A rule says nothing of cells that are missing; `max_missing` does.

    code of the violation       rule
    contract_missing_column     columns[].required, and columns that `unique` names
    contract_extra_column       extra_columns
    contract_type               columns[].type
    contract_out_of_range       columns[].minimum, maximum
    contract_not_allowed        columns[].allowed
    contract_too_many_missing   columns[].max_missing
    contract_not_unique         columns[].unique, unique
    contract_too_few_rows       min_rows
    contract_too_many_rows      max_rows
"""

from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import Field, StrictBool, StringConstraints, model_validator

from mlops_contracts.base import Contract
from mlops_contracts.columns import ColumnType

MAX_COLUMNS = 4096
MAX_ALLOWED = 1000
MAX_KEYS = 20
MAX_KEY_COLUMNS = 16
MAX_SIZE = 250_000
"""Bytes of the whole contract as JSON, so that it fits a record."""

ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Value = StrictBool | float | Annotated[str, StringConstraints(max_length=1000)]
"""A boolean, a number or a text, as the column's type demands."""


class ColumnRule(Contract):
    """What one column must satisfy; what is left out is not checked."""

    name: ColumnName
    required: bool = Field(True, description="False: the column may be absent.")
    type: ColumnType | None = Field(
        None, description="Type that must be found. A text column may also be found to be categorical."
    )
    minimum: float | None = Field(None, description="Smallest number allowed; numeric columns.")
    maximum: float | None = Field(None, description="Largest number allowed; numeric columns.")
    allowed: tuple[Value, ...] = Field((), max_length=MAX_ALLOWED, description="The only values allowed; none: any.")
    unique: bool = Field(False, description="No two rows have the same value.")
    max_missing: float | None = Field(None, ge=0, le=1, description="Largest share of missing cells, 0 to 1.")

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"column {self.name!r}: minimum {self.minimum:g} is above maximum {self.maximum:g}")
        if (self.minimum is not None or self.maximum is not None) and self.type != "numeric":
            raise ValueError(f"column {self.name!r}: minimum and maximum need type numeric")
        _check_allowed(self)
        return self


_ALLOWED_KIND: dict[ColumnType, tuple[type, str]] = {
    "numeric": (float, "numbers"),
    "boolean": (bool, "true and false"),
    "categorical": (str, "texts"),
    "text": (str, "texts"),
}


def _check_allowed(rule: ColumnRule) -> None:
    if not rule.allowed:
        return
    if rule.type is None or rule.type not in _ALLOWED_KIND:
        raise ValueError(f"column {rule.name!r}: allowed values need type {', '.join(_ALLOWED_KIND)}")
    kind, named = _ALLOWED_KIND[rule.type]
    wrong = next((value for value in rule.allowed if type(value) is not kind), None)
    if wrong is not None:
        raise ValueError(f"column {rule.name!r} is {rule.type}: allowed values must be {named}, {wrong!r} is none")


Key = Annotated[tuple[ColumnName, ...], Field(min_length=1, max_length=MAX_KEY_COLUMNS)]


class DataContract(Contract):
    """An empty contract allows every table."""

    columns: tuple[ColumnRule, ...] = Field((), max_length=MAX_COLUMNS)
    extra_columns: bool = Field(True, description="False: columns that the contract does not name are refused.")
    unique: tuple[Key, ...] = Field(
        (), max_length=MAX_KEYS, description="Columns that no two rows have the same values of, all taken together."
    )
    min_rows: int | None = Field(None, ge=0)
    max_rows: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _check_distinct("column", (rule.name for rule in self.columns))
        for key in self.unique:
            _check_distinct(f"the key {', '.join(key)}: column", key)
        if self.min_rows is not None and self.max_rows is not None and self.min_rows > self.max_rows:
            raise ValueError(f"min_rows {self.min_rows} is above max_rows {self.max_rows}")
        size = len(self.model_dump_json(exclude_defaults=True).encode())
        if size > MAX_SIZE:
            raise ValueError(f"the contract has {size:,} bytes; at most {MAX_SIZE:,} are taken")
        return self


def _check_distinct(what: str, names: Iterable[str]) -> None:
    """As in a table's header, names do not differ by case alone."""
    seen: set[str] = set()
    for name in names:
        if name.casefold() in seen:
            raise ValueError(f"{what} {name!r} is named twice")
        seen.add(name.casefold())


class NumberedContract(Contract):
    """A contract with its number: 1 for the first, one more with each edit."""

    number: int = Field(ge=1)
    contract: DataContract
