import numpy as np
import pyarrow as pa
import pytest

from mlops_contracts.bundle import Feature
from tests.support.training_data import report_of
from training.category_order import by_effect
from training.features import (
    LARGEST,
    MAX_CATEGORIES,
    MISSING,
    UNSEEN,
    Encoder,
    FeatureError,
    codes,
    columns_from_table,
    fit_features,
)

NAN = float("nan")


def table():
    return pa.table(
        {
            "n": pa.array([1, 2, None, 10], pa.int64()),
            "full": pa.array([0.5, -1.5, 2.5, 3.5]),
            "b": pa.array([True, None, False, True]),
            "c": pa.array(["x", "y", None, "x"]),
        }
    )


def fitted(algorithm, source=None):
    source = table() if source is None else source
    return fit_features(source, report_of(source), source.column_names, algorithm=algorithm)


def test_signature_describes_the_training_rows():
    n, full, b, c = fitted("random_forest")
    assert (n.type, n.required, n.fill, n.minimum, n.maximum) == ("numeric", False, 2.0, 1.0, 10.0)
    assert (full.required, full.example) == (True, 2.5)
    assert (b.type, b.required, b.fill, b.example) == ("boolean", False, 1.0, True)
    assert (c.type, c.categories, c.example, c.required) == ("categorical", ("x", "y"), "x", False)


def test_missing_outside_the_training_rows_makes_a_column_optional():
    source = table()
    (n,) = fit_features(source.take([0, 1]), report_of(source), ["n"])
    assert not n.required


def test_xgboost_keeps_missing_as_nan():
    features = fitted("xgboost")
    assert [each.fill for each in features[:3]] == [None] * 3
    matrix = Encoder(features, "xgboost").matrix(columns_from_table(table(), features))
    np.testing.assert_array_equal(matrix, [[1, 0.5, 1, 0], [2, -1.5, NAN, 1], [NAN, 2.5, 0, NAN], [10, 3.5, 1, 0]])
    assert matrix.dtype == np.float32


def test_random_forest_fills_numbers_and_gives_missing_categories_a_level():
    features = fitted("random_forest")
    matrix = Encoder(features, "random_forest").matrix(columns_from_table(table(), features))
    np.testing.assert_array_equal(matrix, [[1, 0.5, 1, 0], [2, -1.5, 1, 1], [2, 2.5, 0, -1], [10, 3.5, 1, 0]])


def test_linear_matrix_has_indicators_and_shifted_codes():
    features = fitted("logistic_regression")
    encoder = Encoder(features, "logistic_regression")
    matrix = encoder.matrix(columns_from_table(table(), features))
    np.testing.assert_array_equal(
        matrix,
        [[1, 0.5, 1, 0, 0, 2], [2, -1.5, 1, 0, 1, 3], [2, 2.5, 0, 1, 0, 1], [10, 3.5, 1, 0, 0, 2]],
    )
    assert encoder.width == 6


def test_codes_tell_missing_from_unseen():
    feature = Feature(name="c", type="categorical", required=False, categories=("a", "b"))
    assert codes(feature, ["b", None, "zebra", "a", ""]).tolist() == [1, MISSING, UNSEEN, 0, UNSEEN]
    column = columns_from_table(pa.table({"c": pa.array(["b", None, "zebra"]).dictionary_encode()}), [feature])["c"]
    assert column.tolist() == [1, MISSING, UNSEEN]
    assert column.dtype == np.int32


def test_unseen_level_takes_the_median_rows_code_unless_rare_levels_were_learnt():
    common = pa.table({"c": pa.array(["a"] * 600 + ["b"] * 600)})
    (feature,) = fitted("xgboost", common)
    assert feature.fill == 0.0
    unseen = {"c": codes(feature, ["zebra"])}
    assert Encoder([feature], "xgboost").matrix(unseen).tolist() == [[0.0]]

    rare = pa.table({"c": pa.array(["a"] * 600 + ["b"] * 600 + ["odd"] * 4)})
    (feature,) = fitted("xgboost", rare)
    assert (feature.categories, feature.fill) == (("a", "b"), None)
    assert Encoder([feature], "random_forest").matrix(unseen).tolist() == [[UNSEEN]]


def test_levels_are_capped_by_frequency():
    twice, once = [f"t{i}" for i in range(400)], [f"o{i:03}" for i in range(199)]
    (feature,) = fitted("xgboost", pa.table({"c": pa.array(twice * 2 + once)}))
    assert feature.categories == (*sorted(twice), *once[: MAX_CATEGORIES - 400])


def test_categories_are_ordered_by_effect():
    source = pa.table({"c": pa.array(["a", "b", "c", "d"] * 50)})
    outcome = np.tile([0.4, 0.1, 0.9, 0.2], 50)[:, None]
    (feature,) = fit_features(source, report_of(source), ["c"], outcome=outcome)
    assert feature.categories in (("b", "d", "a", "c"), ("c", "a", "d", "b"))


def test_rows_without_an_outcome_do_not_order_the_categories():
    source = pa.table({"c": pa.array(["a", "b", "c", "d"] * 50)})
    outcome = np.tile([0.4, 0.1, 0.9, 0.2], 50)[:, None]
    seen = fit_features(source.slice(0, 160), report_of(source), ["c"], outcome=outcome[:160])
    outcome[160:] = np.nan
    assert fit_features(source, report_of(source), ["c"], outcome=outcome)[0].categories == seen[0].categories


def test_order_by_effect_for_three_classes_separates_the_levels():
    level = np.repeat([0, 1, 2, 3], 100)
    outcome = np.zeros((400, 3))
    outcome[np.arange(400), np.repeat([0, 2, 0, 2], 100)] = 1.0
    order = by_effect(level, 4, outcome).tolist()
    assert {frozenset(order[:2]), frozenset(order[2:])} == {frozenset({0, 2}), frozenset({1, 3})}


def test_huge_numbers_are_taken_for_the_largest():
    huge = {"n": np.array([1e300, -1e300, NAN])}
    for algorithm in ("xgboost", "random_forest", "logistic_regression"):
        (feature,) = fitted(algorithm, pa.table({"n": pa.array([1.0, 2.0])}))
        assert Encoder([feature], algorithm).matrix(huge)[:2, 0].tolist() == pytest.approx([LARGEST, -LARGEST])


def test_a_huge_fill_is_taken_for_the_largest_too():
    (feature,) = fitted("random_forest", pa.table({"n": pa.array([1e300, 1e300, None])}))
    assert Encoder([feature], "random_forest").matrix({"n": np.array([NAN])})[0, 0] == np.float32(LARGEST)


def test_absent_columns():
    n, full = fitted("xgboost")[:2]
    assert np.isnan(columns_from_table(pa.table({"full": [1.0]}), [n, full])["n"]).all()
    with pytest.raises(FeatureError, match="column 'full' is missing"):
        columns_from_table(pa.table({"n": [1.0]}), [n, full])


def test_wrong_types_are_named():
    (_, full, _, _) = fitted("xgboost")
    with pytest.raises(FeatureError, match="column 'full' should hold numbers, but it is string"):
        columns_from_table(pa.table({"full": ["a"]}), [full])
    dates = pa.table({"when": pa.array([1], pa.timestamp("us"))})
    with pytest.raises(FeatureError, match="column 'when' is datetime"):
        fit_features(dates, report_of(dates), ["when"])
    with pytest.raises(FeatureError, match="column 'gone' is not in the dataset"):
        fit_features(dates, report_of(dates), ["gone"])


def test_nan_counts_as_missing_and_all_missing_has_a_fill():
    source = pa.table({"n": pa.array([NAN, NAN]), "c": pa.array([None, None], pa.string())})
    n, c = fitted("random_forest", source)
    assert (n.fill, n.required, c.categories) == (0.0, False, ())
    matrix = Encoder([n, c], "random_forest").matrix(columns_from_table(source, [n, c]))
    assert matrix.tolist() == [[0.0, -1.0], [0.0, -1.0]]
