import re

import numpy as np
import pyarrow as pa
import pytest

from training.failure import JobError
from training.target import read_target


def target(values, column_type, asked=None, algorithm="xgboost"):
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return read_target(pa.chunked_array([array]), "t", column_type, asked, algorithm)


@pytest.mark.parametrize(
    ("values", "column_type", "problem_type", "classes"),
    [
        ([0, 1, 1, 0], "numeric", "binary", ("0", "1")),
        ([0.0, 1.0, 1.0], "numeric", "binary", ("0", "1")),
        ([0.0, -0.0, 1.0], "numeric", "binary", ("0", "1")),
        ([10, 9, 2], "numeric", "multiclass", ("2", "9", "10")),
        ([-1, 0, 1], "numeric", "multiclass", ("-1", "0", "1")),
        ([True, False], "boolean", "binary", ("false", "true")),
        (["b", "a", "c"], "categorical", "multiclass", ("a", "b", "c")),
        (pa.array(["b", "a", "b"]).dictionary_encode(), "categorical", "binary", ("a", "b")),
        (list(range(11)), "numeric", "regression", ()),
        ([0.5, 1.0], "numeric", "regression", ()),
    ],
)
def test_inferred(values, column_type, problem_type, classes):
    found = target(values, column_type)
    assert (found.problem_type, found.classes) == (problem_type, classes)


def test_codes_point_at_the_labels():
    found = target([3, 1, 2, 3], "numeric")
    assert [found.classes[code] for code in found.y] == ["3", "1", "2", "3"]
    words = target(["x", "é", "x"], "categorical")
    assert [words.classes[code] for code in words.y] == ["x", "é", "x"]


def test_regression_can_be_asked_for():
    found = target([0, 1, 2], "numeric", "regression")
    assert found.problem_type == "regression"
    assert found.y.tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("values", "column_type", "asked", "algorithm", "text"),
    [
        ([1, 1], "numeric", None, "xgboost", "The target 't' has one value only (1)"),
        (
            ["a", "b"],
            "categorical",
            "regression",
            "xgboost",
            "Regression needs a numeric target, but 't' is categorical",
        ),
        (["a", "b", "c"], "categorical", "binary", "xgboost", "the target 't' has 3; use multiclass"),
        ([0.5, 1.5, 2.0], "numeric", "multiclass", "xgboost", "holds fractions, so its values are no classes"),
        (["a", "b"], "text", None, "xgboost", "The target 't' is a text column"),
        (
            list(range(20)),
            "numeric",
            None,
            "logistic_regression",
            "logistic_regression does no regression, and the target 't' (numeric, 20 distinct values) asks for it; "
            "choose another algorithm (random_forest or xgboost), or --problem-type multiclass if its values are",
        ),
        ([0.5, 1.5, 2.0], "numeric", None, "logistic_regression", "another algorithm (random_forest or xgboost)."),
        (list(range(101)), "numeric", "multiclass", "xgboost", "has 101 classes, at most 100"),
        ([1e200, 1.0, 2.5], "numeric", None, "xgboost", "values beyond 1e+18; rescale it"),
    ],
)
def test_refused_with_what_to_do(values, column_type, asked, algorithm, text):
    with pytest.raises(JobError, match=re.escape(text)):
        target(values, column_type, asked, algorithm)


def test_outcome_for_the_order_of_categories():
    assert target([0, 1, 1], "numeric").outcome().tolist() == [[0], [1], [1]]
    assert target(["a", "b", "c"], "categorical").outcome().tolist() == np.eye(3).tolist()


def test_classes_without_training_rows_are_dropped():
    found = target(["a", "b", "c", "a"], "categorical")
    limited = found.limited_to(np.array([0, 2, 3]))
    assert limited.classes == ("a", "c")
    assert limited.problem_type == "binary"
    assert limited.y.tolist() == [0, -1, 1, 0]
    with pytest.raises(JobError, match="one class only"):
        found.limited_to(np.array([0, 3]))
