"""Columns that know too much are named, honest ones are not."""

import numpy as np
import pytest

from mlops_contracts.bundle import Feature
from tests.support.evaluation_data import (
    FEATURES,
    binary_request,
    binary_scores,
    categorical,
    columns,
    linear,
    multiclass_request,
    numeric,
    regression_request,
    request,
    three_scores,
)
from training.evaluation.leakage import leakage_warnings

ROWS = 4000


def found(kind, y, feature, values, predict, classes=()):
    drawn = columns(len(y)) | {feature.name: values}
    given = request(kind, y, drawn, predict, features=(*FEATURES, feature), classes=classes)
    warnings = leakage_warnings(given)
    assert all(warning.column == feature.name for warning in warnings)
    return {warning.code for warning in warnings}


def binary(feature, values, y=None):
    return found("binary", labels(values) if y is None else y, feature, values, binary_scores, ("0", "1"))


def labels(values, share=0.3):
    return (np.random.default_rng(5).random(len(values)) < share).astype(np.int64)


@pytest.mark.parametrize("make", [binary_request, multiclass_request, regression_request])
@pytest.mark.parametrize("seed", range(3))
def test_honest_columns_raise_nothing(make, seed):
    assert leakage_warnings(make(seed=seed)) == []


def test_noisy_copy_of_a_binary_target_leaks():
    y = labels(np.empty(ROWS))
    noisy = y + np.random.default_rng(1).normal(0, 0.25, ROWS)
    assert binary(numeric("copy"), noisy, y) == {"leakage"}


def test_leak_need_not_be_monotone():
    y = labels(np.empty(ROWS))
    ring = np.where(y == 1, 0, np.random.default_rng(1).choice([-3, 3], ROWS))
    assert "leakage" in binary(numeric("ring"), ring + np.random.default_rng(2).normal(0, 0.3, ROWS), y)


def test_missing_cells_that_tell_the_target_leak():
    y = labels(np.empty(ROWS))
    assert "leakage" in binary(
        numeric("delay"), np.where(y == 1, np.nan, np.random.default_rng(1).normal(size=ROWS)), y
    )


def test_category_that_names_the_class_is_derived():
    y = labels(np.empty(ROWS))
    reason = (2 * y + np.random.default_rng(1).integers(0, 2, ROWS)).astype(np.int32)
    assert binary(categorical("reason", "a", "b", "c", "d"), reason, y) == {"leakage", "target_derived"}


def test_one_exception_is_no_longer_derived():
    y = labels(np.empty(ROWS))
    code = y.astype(np.int32)
    y[7] = 1 - y[7]
    assert binary(categorical("code", "a", "b"), code, y) == {"leakage"}


def test_boolean_copy_is_derived():
    y = labels(np.empty(ROWS))
    assert binary(Feature(name="was_late", type="boolean", required=True), y.astype(float), y) == {
        "leakage",
        "target_derived",
    }


def test_target_cut_from_a_number_is_derived():
    delay = np.random.default_rng(1).normal(10, 30, ROWS)
    assert binary(numeric("delay"), delay, (delay > 15).astype(np.int64)) == {"leakage", "target_derived"}


def test_bands_of_several_classes_are_derived():
    score = np.random.default_rng(1).normal(size=ROWS)
    grade = np.digitize(score, [-0.5, 0.5])
    assert found("multiclass", grade, numeric("score"), score, three_scores, ("a", "b", "c")) == {
        "leakage",
        "target_derived",
    }


@pytest.mark.parametrize("curve", [lambda x: 3 - 2 * x, np.exp])
def test_regression_target_computed_from_a_column(curve):
    x = np.random.default_rng(1).normal(size=ROWS)
    assert "target_derived" in found("regression", curve(x), numeric("source"), x, linear)


def test_regression_leak_by_line_and_by_group():
    x = np.random.default_rng(1).standard_t(2, ROWS)
    noise = np.random.default_rng(2).normal(size=ROWS)
    assert found("regression", x + 0.05 * noise, numeric("source"), x, linear) == {"leakage"}
    level = np.random.default_rng(3).integers(0, 3, ROWS).astype(np.int32)
    y = level * 10 + noise
    assert found("regression", y, categorical("level", "a", "b", "c"), level, linear) == {"leakage"}


def test_counter_is_id_like_whatever_its_name_and_order():
    values = np.random.default_rng(1).permutation(ROWS).astype(float)
    assert binary(numeric("n"), values) == {"id_like"}


def test_sparse_whole_numbers_are_id_like_by_name_only():
    values = np.random.default_rng(1).choice(10**9, ROWS, replace=False).astype(float)
    assert binary(numeric("population"), values) == set()
    for name in ("id", "customer_id", "customerId", "ORDER_ID", "uuid"):
        assert binary(numeric(name), values) == {"id_like"}
    for name in ("paid", "humid", "valid"):
        assert binary(numeric(name), values) == set()


def test_category_of_each_rows_own_is_id_like():
    train = np.full(3000, -2, dtype=np.int32)
    assert binary(categorical("ticket"), np.append(train, np.full(1000, -2)).astype(np.int32)) == {"id_like"}
    own = np.arange(400, dtype=np.int32)
    assert binary(categorical("ticket", *map(str, range(400))), own, labels(own)) == {"id_like"}


def test_measurements_are_not_id_like():
    assert binary(numeric("id"), np.random.default_rng(1).normal(size=ROWS)) == set()


def test_few_rows_give_no_verdict():
    y = np.arange(40) % 2
    assert binary(numeric("copy"), y.astype(float), y) == set()


def test_message_says_what_to_do():
    y = labels(np.empty(ROWS))
    drawn = columns(ROWS) | {"copy": y.astype(float)}
    given = request("binary", y, drawn, binary_scores, features=(numeric("copy"),), classes=("0", "1"))
    assert leakage_warnings(given)[0].message == (
        "copy alone predicts late almost perfectly on held-out rows (AUC 1.000). If it is not known when a prediction "
        "is made, exclude it and train again."
    )
