"""With a recipe, the target is looked at before anything is trained on it."""

from typing import Any

import numpy as np
import pytest

from tests.support.preprocessing import Outcome, preprocess


def checked(root, data: bytes, target: str = "y", *, allowed: float | None = None, **use: Any) -> Outcome:
    config: dict[str, Any] = {"target": {"target": target, **use}}
    if allowed is not None:
        config["contract"] = {"number": 1, "contract": {"columns": [{"name": target, "max_missing": allowed}]}}
    return preprocess(root, data, **config)


def table(**columns: Any) -> bytes:
    rows = zip(*columns.values(), strict=True)
    return ("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n").encode()


def labels(n: int, share: float = 0.4, seed: int = 0) -> Any:
    return np.where(np.random.default_rng(seed).random(n) < share, "yes", "no")


def noise(n: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).normal(size=n).round(9)


def test_a_good_target_says_nothing(tmp_path):
    outcome = checked(tmp_path, table(x=noise(500), y=labels(500)))
    assert outcome.violations == []
    assert outcome.warnings == set()


def test_without_a_recipe_no_target_is_looked_at(tmp_path):
    outcome = preprocess(tmp_path, table(x=noise(500), y=["yes"] * 500))
    assert outcome.violations == []
    assert outcome.warnings == {("constant_column", "y")}


BROKEN = {
    "absent": (b"a,Y\n1,2\n3,4\n", [("target_missing", None, "y")]),
    "one class": (b"a,y\n1,x\n2,x\n", [("target_one_class", None, "y")]),
    "one class and labels that are not there": (
        b"a,y\n1,x\n2,\n3,nan\n",
        [("target_one_class", None, "y"), ("target_labels_missing", 2, "y"), ("target_labels_missing", 3, "y")],
    ),
    "NaN labels": (
        b"a,y\n1,x\n2,NaN\n3,z\n4,\n",
        [("target_labels_missing", 2, "y"), ("target_labels_missing", 4, "y")],
    ),
    "no label at all": (b"a,y\n1,\n2,\n", [("target_labels_missing", 1, "y"), ("target_labels_missing", 2, "y")]),
    "a time": (b"a,y\n1,2024-01-01\n2,2024-01-02\n", [("target_type", None, "y")]),
    "text": (table(a=range(60), y=[f"word {row}" for row in range(60)]), [("target_type", None, "y")]),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_table_that_cannot_be_trained_on_is_refused(name, tmp_path):
    data, expected = BROKEN[name]
    outcome = checked(tmp_path, data)
    assert outcome.violations == expected
    for finding in outcome.report.quality.violations:
        assert "recipe" in finding.message
        assert ". " in finding.message


def test_a_name_that_is_nearly_right_is_named(tmp_path):
    message = checked(tmp_path, b"a,lat\n1,2\n3,4\n", "late").report.quality.violations[0].message
    assert "Did you mean 'lat'?" in message


def test_labels_may_be_missing_where_the_contract_says_so(tmp_path):
    data = table(x=noise(200), y=["", *labels(199)])
    assert checked(tmp_path, data, allowed=0.01).violations == []
    assert checked(tmp_path, data, allowed=0.001).violations == [("contract_too_many_missing", 1, "y")]
    assert checked(tmp_path, data).violations == [("target_labels_missing", 1, "y")]


def test_rare_classes_are_counted_in_the_whole_table(tmp_path):
    warning = checked(tmp_path, table(x=noise(2000), y=["a"] * 1990 + ["b"] * 10)).warning("class_imbalance")
    assert warning.column == "y"
    assert "(10 against 1990 of a)" in warning.message


def test_leakage_and_what_is_derived_from_the_target(tmp_path):
    n = 1000
    y = labels(n)
    told = np.where(y == "yes", 1.0, 0.0) + noise(n) / 10
    code = np.where(y == "yes", "P", "N")
    outcome = checked(tmp_path, table(x=noise(n), told=told, code=code, y=y))
    assert ("leakage", "told") in outcome.warnings
    assert ("target_derived", "code") in outcome.warnings
    assert not [column for _, column in outcome.warnings if column == "x"]
    left_out = checked(tmp_path, table(x=noise(n), told=told, code=code, y=y), exclude=["told", "code"])
    assert left_out.warnings == set()


def test_a_number_is_predicted_too(tmp_path):
    n = 1000
    x = noise(n)
    outcome = checked(tmp_path, table(x=noise(n, 2), twice=2 * x, y=x))
    assert ("leakage", "twice") in outcome.warnings
    assert outcome.violations == []


def test_a_target_that_training_would_refuse_is_said(tmp_path):
    data = table(x=noise(2000), y=[f"class {row % 130}" for row in range(2000)])
    assert "class" in checked(tmp_path, data).warning("target_unsuitable").message


def test_nothing_to_learn_from(tmp_path):
    outcome = checked(tmp_path, table(y=labels(100)))
    assert ("target_unsuitable", "y") in outcome.warnings


def test_a_large_table_is_sampled_from_all_over(tmp_path):
    """The column tells the target in the last rows only, which a sample of the first ones would miss."""
    n = 250_000
    y = labels(n)
    x = noise(n)
    x[: n // 100] = 0
    told = np.where(y == "yes", 1, 0)
    told[: n // 200] = 7
    outcome = checked(tmp_path, table(x=x, told=told, y=y))
    assert outcome.violations == []
    assert ("leakage", "told") in outcome.warnings
