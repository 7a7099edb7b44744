"""What a data contract may say: bounded, and free of contradictions."""

import json

import pytest
from pydantic import ValidationError

from mlops_contracts.data_contract import MAX_ALLOWED, MAX_SIZE, DataContract


def contract(*columns, **rules) -> DataContract:
    return DataContract.model_validate_json(json.dumps({"columns": list(columns), **rules}))


def test_it_comes_back_from_json_as_it_went() -> None:
    one = contract(
        {"name": "n", "type": "numeric", "minimum": 0, "maximum": 1.5, "allowed": [1, 0.5]},
        {"name": "b", "type": "boolean", "allowed": [True], "required": False},
        {"name": "c", "type": "categorical", "allowed": ["1", "true", ""], "unique": True, "max_missing": 0.1},
        unique=[["n", "c"]],
        extra_columns=False,
        min_rows=1,
        max_rows=10,
    )
    assert DataContract.model_validate_json(one.model_dump_json(exclude_defaults=True)) == one
    assert [rule.allowed for rule in one.columns] == [(1.0, 0.5), (True,), ("1", "true", "")]


def test_the_empty_contract_allows_everything() -> None:
    assert json.loads(contract().model_dump_json(exclude_defaults=True)) == {}


@pytest.mark.parametrize(
    ("columns", "rules", "reason"),
    [
        ([{"name": "a", "minimum": 2, "maximum": 1, "type": "numeric"}], {}, "minimum 2 is above maximum 1"),
        ([{"name": "a", "minimum": 2}], {}, "need type numeric"),
        ([{"name": "a", "maximum": 2, "type": "text"}], {}, "need type numeric"),
        ([{"name": "a", "allowed": ["x"]}], {}, "allowed values need type"),
        ([{"name": "a", "allowed": ["x"], "type": "datetime"}], {}, "allowed values need type"),
        ([{"name": "a", "allowed": ["x", 1], "type": "text"}], {}, "must be texts, 1.0 is none"),
        ([{"name": "a", "allowed": [1, True], "type": "numeric"}], {}, "must be numbers, True is none"),
        ([{"name": "a", "allowed": [1], "type": "boolean"}], {}, "must be true and false, 1.0 is none"),
        ([{"name": "a", "max_missing": 1.1}], {}, "less than or equal to 1"),
        ([{"name": "a"}, {"name": "A"}], {}, "column 'A' is named twice"),
        ([{"name": ""}], {}, "at least 1 character"),
        ([{"name": "a", "range": [0, 1]}], {}, "Extra inputs"),
        ([], {"unique": [["a", "a"]]}, "named twice"),
        ([], {"unique": [[]]}, "at least 1 item"),
        ([], {"unique": [["a"]] * 21}, "at most 20 items"),
        ([], {"min_rows": 2, "max_rows": 1}, "min_rows 2 is above max_rows 1"),
        ([{"name": "a", "type": "text", "allowed": ["x"] * (MAX_ALLOWED + 1)}], {}, "at most 1000 items"),
        ([{"name": str(number) * 40} for number in range(10_000, 14_000)], {}, f"at most {MAX_SIZE:,} are taken"),
    ],
)
def test_contradictions_and_excess_are_refused(columns, rules, reason) -> None:
    with pytest.raises(ValidationError, match=reason):
        contract(*columns, **rules)


def test_infinite_bounds_are_refused() -> None:
    with pytest.raises(ValidationError):
        DataContract.model_validate_json('{"columns": [{"name": "a", "type": "numeric", "minimum": -1e999}]}')
