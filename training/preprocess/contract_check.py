"""Holds a readable table to its data contract: what breaks a rule becomes a violation, with the rows that break it.

The profile tells whether a rule is broken, so that a table which keeps its contract is asked nothing but for keys and
lists of allowed values.
"""

from collections.abc import Mapping
from typing import Protocol

from mlops_contracts.columns import ColumnType
from mlops_contracts.data_contract import ColumnRule, NumberedContract, Value
from mlops_contracts.dataset import ColumnProfile, Profile
from training.preprocess.findings import Findings, plural, shown
from training.preprocess.typed_rows import Place, Places

_TEXTS = ("categorical", "text")
_NAMES = 10


class Rows(Protocol):
    """What a check asks of the table; see typed_rows."""

    def unlike(self, column: str, wanted: ColumnType) -> Places: ...
    def outside(self, column: str, minimum: float | None, maximum: float | None) -> Places: ...
    def not_among(self, column: str, allowed: tuple[Value, ...]) -> Places: ...
    def missing(self, column: str) -> Places: ...
    def repeats(self, columns: tuple[str, ...]) -> Places: ...


class ContractCheck:
    """One table against one contract; violations go to `findings`."""

    def __init__(self, contract: NumberedContract, profile: Profile, rows: Rows, findings: Findings) -> None:
        self._contract, self._name = contract.contract, f"contract {contract.number}"
        self._profile, self._rows, self._findings = profile, rows, findings
        self._columns: Mapping[str, ColumnProfile] = {each.name: each for each in profile.columns}

    def run(self) -> None:
        """Check every rule."""
        self._check_rows()
        self._check_extra()
        for rule in self._contract.columns:
            self._check_column(rule)
        for key in self._contract.unique:
            self._check_key(key)

    # ---------------------------------------------------------------- the table as a whole

    def _check_rows(self) -> None:
        rows, least, most = self._profile.rows, self._contract.min_rows, self._contract.max_rows
        if least is not None and rows < least:
            self._findings.violate(
                "contract_too_few_rows",
                f"The table has {plural(rows, 'row')}; {self._name} demands at least {least:,}. Upload the whole "
                "table, or lower min_rows in the contract.",
            )
        if most is not None and rows > most:
            self._findings.violate(
                "contract_too_many_rows",
                f"The table has {plural(rows, 'row')}; {self._name} allows at most {most:,}. Upload fewer, or raise "
                "max_rows in the contract.",
            )

    def _check_extra(self) -> None:
        if self._contract.extra_columns:
            return
        known = {rule.name for rule in self._contract.columns}
        for name in (each for each in self._columns if each not in known):
            self._findings.violate(
                "contract_extra_column",
                f"{self._name.capitalize()} does not name the column {shown(name)}, and allows no others. Remove it, "
                "or add it to the contract.",
                column=name,
            )

    def _violate_missing_column(self, name: str) -> None:
        names = list(self._columns)
        more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
        self._findings.violate(
            "contract_missing_column",
            f"The column {shown(name)} is absent; {self._name} demands it. The table has "
            f"{', '.join(map(shown, names[:_NAMES]))}{more}. Add it, or set required to false in the contract.",
            column=name,
        )

    # ---------------------------------------------------------------- one column

    def _check_column(self, rule: ColumnRule) -> None:
        column = self._columns.get(rule.name)
        if column is None:
            if rule.required:
                self._violate_missing_column(rule.name)
            return
        self._check_missing(rule, column)
        if column.missing == self._profile.rows or not self._check_type(rule, column):
            return
        self._check_range(rule, column)
        self._check_allowed(rule)
        if rule.unique:
            self._check_unique((rule.name,))

    def _check_missing(self, rule: ColumnRule, column: ColumnProfile) -> None:
        share = column.missing / self._profile.rows
        if rule.max_missing is None or share <= rule.max_missing:
            return
        first = self._rows.missing(rule.name).first
        self._findings.violate(
            "contract_too_many_missing",
            f"{plural(column.missing, 'cell')} are missing ({share:.2%}), the first in row {first[0].row:,}; "
            f"{self._name} allows {rule.max_missing:.2%}. Fill them, or raise max_missing in the contract.",
            column=rule.name,
            row=first[0].row,
        )

    def _check_type(self, rule: ColumnRule, column: ColumnProfile) -> bool:
        """Whether the cells can be held to the rest of the rule."""
        if rule.type is None or column.type == rule.type or (rule.type == "text" and column.type == "categorical"):
            return True
        found = self._rows.unlike(rule.name, rule.type) if column.type in _TEXTS else Places(0, ())
        if found.count:
            self._violate_cells("contract_type", rule.name, found, f"is not {rule.type}", "type")
        else:
            self._findings.violate(
                "contract_type",
                f"The column is {column.type}; {self._name} demands {rule.type}. {_HINTS[column.type]}, or change its "
                "type in the contract.",
                column=rule.name,
            )
        return False

    def _check_range(self, rule: ColumnRule, column: ColumnProfile) -> None:
        numbers = column.numeric
        if numbers is None:
            return
        low = rule.minimum is not None and numbers.min < rule.minimum
        high = rule.maximum is not None and numbers.max > rule.maximum
        if low or high:
            found = self._rows.outside(rule.name, rule.minimum, rule.maximum)
            self._violate_cells("contract_out_of_range", rule.name, found, f"is not {_range(rule)}", "range")

    def _check_allowed(self, rule: ColumnRule) -> None:
        found = self._rows.not_among(rule.name, rule.allowed) if rule.allowed else Places(0, ())
        if found.count:
            problem = f"is not among the {plural(len(rule.allowed), 'allowed value')}"
            self._violate_cells("contract_not_allowed", rule.name, found, problem, "allowed values")

    def _violate_cells(self, code: str, column: str, found: Places, problem: str, changed: str) -> None:
        for place in found.first:
            self._findings.violate(
                code,
                f"Row {place.row:,}: {shown(str(place.value))} {problem}, as {self._name} demands. Correct the cell, "
                f"or change the {changed} of the column in the contract.",
                column=column,
                row=place.row,
            )
        self._findings.count_more(found.count - len(found.first))

    # ---------------------------------------------------------------- keys

    def _check_key(self, key: tuple[str, ...]) -> None:
        absent = [name for name in key if name not in self._columns]
        named = {rule.name for rule in self._contract.columns if rule.required}
        for name in absent:
            if name not in named:
                self._violate_missing_column(name)
        if not absent:
            self._check_unique(key)

    def _check_unique(self, key: tuple[str, ...]) -> None:
        found = self._rows.repeats(key)
        for place in found.first:
            self._findings.violate(
                "contract_not_unique",
                _repeat(key, place, self._name),
                column=key[0] if len(key) == 1 else None,
                row=place.row,
            )
        self._findings.count_more(found.count - len(found.first))


def _repeat(key: tuple[str, ...], place: Place, name: str) -> str:
    return (
        f"Row {place.row:,} repeats {shown(str(place.value))} of row {place.earlier:,} in "
        f"{', '.join(map(shown, key))}, which {name} demands to be unique. Remove or correct one of the two, or "
        "take `unique` out of the contract."
    )


def _range(rule: ColumnRule) -> str:
    if rule.minimum is None:
        return f"at most {rule.maximum:.15g}"
    if rule.maximum is None:
        return f"at least {rule.minimum:.15g}"
    return f"between {rule.minimum:.15g} and {rule.maximum:.15g}"


_HINTS: Mapping[ColumnType, str] = {
    "numeric": "Write its values so that they are no numbers, as with a letter in front",
    "boolean": "Write other words than true and false",
    "datetime": "Write its values as the earlier versions had them",
    "categorical": "Write its values as the earlier versions had them",
    "text": "It has too many or too long values to be categories: group them",
}
