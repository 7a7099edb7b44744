"""A table that breaks its data contract is refused, with the rule, the column and the rows."""

from pathlib import Path
from typing import Any

import pytest

from mlops_api.domain.contract_suggestion import suggest
from tests.support.corpus import parquet
from tests.support.preprocessing import Outcome, preprocess

TABLE = b"id,age,plan,vip,day\n1,30,pro,true,2024-01-01\n2,41,basic,false,2024-01-02\n3,,pro,true,2024-01-03\n"


def held_to(root, data: bytes, columns: Any = (), **rules: Any) -> Outcome:
    contract = {"columns": list(columns), **rules}
    return preprocess(root, data, contract={"number": 4, "contract": contract})


def column(name: str, **rule: Any) -> dict[str, Any]:
    return {"name": name, **rule}


KEPT = [
    column("id", type="numeric", minimum=1, maximum=3, unique=True, max_missing=0),
    column("age", type="numeric", minimum=30, max_missing=0.34),
    column("plan", type="categorical", allowed=["pro", "basic", "never seen"]),
    column("vip", type="boolean", allowed=[True, False]),
    column("day", type="datetime"),
    column("not there", required=False, type="numeric"),
]


def test_a_table_that_keeps_its_contract(tmp_path):
    outcome = held_to(
        tmp_path, TABLE, KEPT, extra_columns=False, unique=[["plan", "age"], ["id"]], min_rows=3, max_rows=3
    )
    assert outcome.violations == []
    assert outcome.report.contract == 4
    assert outcome.table is not None


def test_without_a_contract_none_is_named(tmp_path):
    assert preprocess(tmp_path, TABLE).report.contract is None


BROKEN = {
    "missing column": ([column("fare")], {}, [("contract_missing_column", None, "fare")]),
    "key of a missing column": ([], {"unique": [["id", "fare"]]}, [("contract_missing_column", None, "fare")]),
    "case matters": ([column("ID")], {}, [("contract_missing_column", None, "ID")]),
    "extra columns, in the table's order": (
        [column("age")],
        {"extra_columns": False},
        [("contract_extra_column", None, name) for name in ("id", "plan", "vip", "day")],
    ),
    "type": ([column("age", type="text")], {}, [("contract_type", None, "age")]),
    "type, cell by cell": (
        [column("plan", type="numeric")],
        {},
        [("contract_type", row, "plan") for row in (1, 2, 3)],
    ),
    "text that is no time": (
        [column("plan", type="datetime")],
        {},
        [("contract_type", row, "plan") for row in (1, 2, 3)],
    ),
    "minimum": ([column("age", type="numeric", minimum=30.5)], {}, [("contract_out_of_range", 1, "age")]),
    "maximum": (
        [column("id", type="numeric", maximum=1)],
        {},
        [("contract_out_of_range", row, "id") for row in (2, 3)],
    ),
    "allowed texts": (
        [column("plan", type="categorical", allowed=["basic", "Pro", "it's"])],
        {},
        [("contract_not_allowed", 1, "plan"), ("contract_not_allowed", 3, "plan")],
    ),
    "allowed numbers": ([column("id", type="numeric", allowed=[1, 3])], {}, [("contract_not_allowed", 2, "id")]),
    "allowed booleans": ([column("vip", type="boolean", allowed=[True])], {}, [("contract_not_allowed", 2, "vip")]),
    "unique": ([column("plan", unique=True)], {}, [("contract_not_unique", 3, "plan")]),
    "unique together": ([], {"unique": [["vip", "plan"]]}, [("contract_not_unique", 3, None)]),
    "missing": ([column("age", max_missing=0.33)], {}, [("contract_too_many_missing", 3, "age")]),
    "too few rows": ([], {"min_rows": 4}, [("contract_too_few_rows", None, None)]),
    "too many rows": ([], {"max_rows": 2}, [("contract_too_many_rows", None, None)]),
    "the table first, then by row": (
        [column("age", max_missing=0), column("plan", type="categorical", allowed=["pro"])],
        {"min_rows": 9},
        [
            ("contract_too_few_rows", None, None),
            ("contract_not_allowed", 2, "plan"),
            ("contract_too_many_missing", 3, "age"),
        ],
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule(name, tmp_path):
    columns, rules, expected = BROKEN[name]
    outcome = held_to(tmp_path, TABLE, columns, **rules)
    assert outcome.violations == expected
    assert outcome.report.quality.violation_count == len(expected)
    for finding in outcome.report.quality.violations:
        assert "ontract 4" in finding.message
        assert finding.message.endswith(".")
        assert ". " in finding.message
        assert len(finding.message) < 400
    assert [each.name for each in outcome.report.columns] == ["id", "age", "plan", "vip", "day"]


def test_all_breaches_are_counted_and_the_first_hundred_named(tmp_path):
    data = ("a,b\n" + "1,x\n" * 50 + "-1,y\n" * 450).encode()
    outcome = held_to(tmp_path, data, [column("a", type="numeric", minimum=0)])
    assert outcome.report.quality.violation_count == 450
    assert outcome.violations == [("contract_out_of_range", row, "a") for row in range(51, 151)]


def test_repeats_name_the_row_they_repeat(tmp_path):
    data = b"a,b\n1,x\n2,x\n1,y\n1,x\n,x\n,x\n"
    outcome = held_to(tmp_path, data, unique=[["a", "b"]])
    assert outcome.violations == [("contract_not_unique", 4, None)]
    assert "Row 4 repeats '1, x' of row 1 in 'a', 'b'" in outcome.report.quality.violations[0].message


def test_a_column_without_a_value_has_no_type(tmp_path):
    rule = column("a", type="numeric", minimum=0, unique=True)
    assert held_to(tmp_path, b"a,b\n,1\n,2\n", [rule]).violations == []
    assert held_to(tmp_path, b"a,b\n,1\n,2\n", [rule | {"max_missing": 0.5}]).violations == [
        ("contract_too_many_missing", 1, "a")
    ]


def test_a_text_column_may_turn_out_categorical_but_not_the_other_way(tmp_path):
    few = b"a,b\nx,1\ny,2\n"
    many = ("a\n" + "".join(f"word {row}\n" for row in range(40))).encode()
    assert held_to(tmp_path, few, [column("a", type="text")]).violations == []
    assert held_to(tmp_path, many, [column("a", type="categorical")]).violations == [("contract_type", None, "a")]


def test_names_and_values_are_only_text(tmp_path):
    """Nothing that a contract or a table says reaches the engine as SQL."""
    name, value = 'b"; DROP TABLE x; --', "'; SELECT 1; --"
    data = f'a,"{name.replace(chr(34), chr(34) * 2)}"\n1,{value}\n2,y\n'.encode()
    rule = column(name, type="categorical", allowed=[value])
    assert held_to(tmp_path, data, [rule], unique=[["a", name]]).violations == [("contract_not_allowed", 2, name)]


def test_parquet_is_held_to_it_too(tmp_path):
    data = parquet({"a": [1, 2, 2], "b": [1.5, None, 99.0]})()
    rules = [column("a", unique=True), column("b", type="numeric", maximum=50)]
    assert held_to(tmp_path, data, rules).violations == [
        ("contract_not_unique", 3, "a"),
        ("contract_out_of_range", 3, "b"),
    ]


def test_a_table_that_cannot_be_read_is_not_held_to_it(tmp_path):
    outcome = held_to(tmp_path, b"a,b\n1\n", [column("z")])
    assert outcome.violations == [("ragged_row", 1, None)]
    assert outcome.report.contract == 4


@pytest.mark.parametrize("name", ["flights.csv.gz", "penguins.csv"])
def test_a_version_keeps_the_contract_that_it_suggests(name, tmp_path):
    data = (Path(__file__).resolve().parents[3] / "examples" / "data" / name).read_bytes()
    first = preprocess(tmp_path, data, name)
    assert first.profile is not None
    suggestion = suggest(first.profile)
    again = preprocess(tmp_path, data, name, contract={"number": 1, "contract": suggestion.model_dump(mode="json")})
    assert again.violations == []
    assert all(rule.type is not None for rule in suggestion.columns)
