"""The whole of evaluation.json: complete, finite, small, the same every time."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mlops_contracts.evaluation import Evaluation
from tests.support.evaluation_data import (
    FEATURES,
    binary_request,
    binary_scores,
    columns,
    multiclass_request,
    numeric,
    regression_request,
    request,
    three_scores,
)
from training.evaluation import evaluate

REQUESTS = {"binary": binary_request, "multiclass": multiclass_request, "regression": regression_request}


def codes(evaluation):
    return [warning.code for warning in evaluation.warnings]


@pytest.fixture(params=REQUESTS)
def a_request(request):
    return REQUESTS[request.param]()


def test_same_input_same_bytes_and_readable_back(a_request):
    written = evaluate(a_request).model_dump_json()
    assert written == evaluate(a_request).model_dump_json()
    assert Evaluation.model_validate_json(written).model_dump_json() == written


def test_good_model_beats_the_dummy_without_warnings(a_request):
    found = evaluate(a_request)
    assert found.warnings == ()
    lead = found.metrics[found.objective] - found.baseline[found.objective]
    assert lead < -0.5 if found.objective == "rmse" else lead > 0.2
    assert found.training_rows == 3000
    assert found.validation_rows == 1000


def test_binary_parts():
    found = evaluate(binary_request(threshold=0.3))
    assert len(found.thresholds) == 101
    at_limit = found.thresholds[30]
    assert found.confusion == (
        (at_limit.true_negatives, at_limit.false_positives),
        (at_limit.false_negatives, at_limit.true_positives),
    )
    assert sum(found.class_balance.values()) == 4000
    assert found.baseline["auc"] == 0.5
    assert found.slice_metric == "auc"
    assert len(found.calibration) == 10
    assert found.residuals is None


def test_regression_parts():
    found = evaluate(regression_request(40_000))
    assert found.residuals is not None
    assert len(found.residuals.points) == 500
    assert found.residuals.error_quantiles["0.5"] == pytest.approx(0, abs=0.05)
    assert found.residuals.error_quantiles["0.95"] == pytest.approx(1.645, abs=0.1)
    assert (found.classes, found.confusion, found.roc) == ((), (), ())


def test_shuffled_target_is_no_better_than_a_dummy():
    for make in REQUESTS.values():
        good = make()
        mixed = np.random.default_rng(0).permutation(good.y_valid)
        assert "no_better_than_dummy" in codes(evaluate(replace(good, y_valid=mixed)))


def test_held_out_rows_of_one_class_leave_the_area_undefined():
    good = binary_request()
    found = evaluate(replace(good, y_valid=np.zeros_like(good.y_valid)))
    assert "auc" not in found.metrics
    assert (found.importance, found.importance_rows, found.slices, found.roc) == ((), 0, (), ())
    assert "few_rows" in codes(found)


def test_class_absent_from_held_out_rows():
    good = multiclass_request()
    found = evaluate(replace(good, y_valid=np.where(good.y_valid == 2, 1, good.y_valid)))
    assert found.per_class[2].support == 0
    assert 0 < found.metrics["auc"] < 1


def test_rare_class_is_named():
    drawn = columns(4000)
    y = (np.arange(4000) % 40 == 0).astype(np.int64)
    found = evaluate(request("binary", y, drawn, binary_scores, classes=("no", "yes")))
    assert next(w.message for w in found.warnings if w.code == "class_imbalance").startswith("Class yes makes up 2.50%")


def test_few_rows_and_ignored_columns_are_said():
    found = evaluate(binary_request(200, ignored={"note": "text column"}))
    assert "few_rows" in codes(found)
    assert [w.message for w in found.warnings if w.column == "note"] == ["note is not used: text column."]


@pytest.mark.parametrize(("asked", "split", "said"), [(0.05, "time", 1), (0.2, "time", 0), (0.05, "random", 0)])
def test_an_uneven_split_is_said_with_both_shares(asked, split, said):
    found = evaluate(binary_request(split=split, asked_share=asked))
    messages = [w.message for w in found.warnings if w.code == "uneven_split"]
    assert len(messages) == said
    assert all(message.startswith("25.0% of the rows are held out, where 5.0% was asked for") for message in messages)


def test_two_held_out_rows_are_enough_to_answer():
    for make in REQUESTS.values():
        assert evaluate(make(8)).validation_rows == 2


def test_wide_tables_and_many_classes_stay_below_a_megabyte():
    k, rows = 250, 4000
    rng = np.random.default_rng(0)
    names = [f"a_rather_long_column_name_{i}" for i in range(100)]
    drawn = {name: rng.normal(size=rows) for name in names}

    def predict(some):
        scores = np.random.default_rng(1).random((len(some[names[0]]), k)) + 0.01
        return scores / scores.sum(axis=1, keepdims=True)

    found = evaluate(
        request(
            "multiclass",
            rng.integers(0, k, rows),
            drawn,
            predict,
            features=tuple(numeric(name) for name in names),
            classes=tuple(f"class {i}" for i in range(k)),
            ignored={f"ignored_{i}": "text column" for i in range(3000)},
        )
    )
    assert len(found.model_dump_json()) < 1_000_000
    assert (found.confusion, len(found.per_class), len(found.class_balance)) == ((), 100, 100)
    assert sum(code == "ignored_column" for code in codes(found)) == 101


def test_missing_and_unseen_cells_everywhere():
    drawn = columns(2000)
    drawn["x0"][::3] = np.nan
    drawn["x1"][:] = np.nan
    drawn["city"][::5] = -1
    drawn["city"][1::5] = -2
    y = np.random.default_rng(0).integers(0, 3, 2000)
    found = evaluate(request("multiclass", y, drawn, three_scores, classes=("a", "b", "c")))
    json.dumps(found.model_dump(), allow_nan=False)
    assert {one.feature for one in found.importance} == {feature.name for feature in FEATURES}


def test_scores_that_do_not_fit_are_refused():
    good = binary_request(100)
    with pytest.raises(ValueError, match=r"scores have shape \(25,\), expected \(25, 2\)"):
        replace(good, scores=good.scores[:, 1])
    with pytest.raises(ValueError, match="not finite"):
        replace(good, scores=good.scores * np.nan)
