"""Curves keep ends and shape, counts and bins equal scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.calibration import calibration_curve

from tests.support.evaluation_data import binary_request, multiclass_request
from training.evaluation.curves import MAX_POINTS, calibration, precision_recall, roc, sweep, threshold_counts
from training.evaluation.ranking import Areas, area, column_areas, grouped_areas, rank, standard_error


def swept(y, score):
    return sweep(rank(score, y == 1))


@pytest.fixture(scope="module")
def drawn():
    request = binary_request(40_000)
    return request.y_valid, request.scores[:, 1]


def test_grouped_areas_equal_scikit_learn_in_every_group():
    rng = np.random.default_rng(0)
    y, score, groups = rng.random(2000) < 0.3, np.round(rng.random(2000), 2), rng.integers(0, 5, 2000)
    found = grouped_areas(rank(score, y), groups, 6)
    for g in range(5):
        assert found.area[g] == pytest.approx(reference.roc_auc_score(y[groups == g], score[groups == g]))
    assert np.isnan(found.area[5])


def test_ties_count_half():
    assert area(np.array([0.5, 0.5, 0.5]), np.array([True, False, False])) == 0.5


def test_area_of_counts_equals_area_of_rows():
    score, positives, negatives = np.array([0.2, 0.9, 0.2]), np.array([1, 4, 2]), np.array([5, 1, 0])
    rows = np.repeat(score, positives + negatives)
    kinds = np.concatenate([[1] * p + [0] * n for p, n in zip(positives, negatives, strict=True)]) == 1
    found = column_areas(np.column_stack([score, -score]), *(np.column_stack([n, n]) for n in (positives, negatives)))
    expected = reference.roc_auc_score(kinds, rows)
    assert found.area == pytest.approx([expected, 1 - expected])


def test_standard_error_matches_the_spread_of_repeated_draws():
    rng = np.random.default_rng(1)
    draws = []
    for _ in range(400):
        score = np.concatenate([rng.exponential(1, 60), rng.exponential(3, 50)])
        draws.append(area(score, np.arange(110) >= 60))
    expected = standard_error(Areas(np.array([np.mean(draws)]), np.array([50]), np.array([60])))
    assert np.std(draws) == pytest.approx(expected[0], rel=0.1)


def test_roc_is_short_and_keeps_ends_and_area(drawn):
    points = roc(swept(*drawn))
    assert len(points) <= MAX_POINTS
    assert (points[0].x, points[0].y, points[0].threshold) == (0, 0, None)
    assert (points[-1].x, points[-1].y) == (1, 1)
    xs, ys = [p.x for p in points], [p.y for p in points]
    assert np.trapezoid(ys, xs) == pytest.approx(reference.roc_auc_score(*drawn), abs=1e-3)


def test_roc_points_are_true_at_their_thresholds(drawn):
    y, score = drawn
    for point in roc(swept(y, score))[1::20]:
        called = score >= point.threshold
        assert point.y == pytest.approx(called[y == 1].mean())
        assert point.x == pytest.approx(called[y == 0].mean())


def test_short_curve_equals_scikit_learn():
    y, score = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    x, true_rate, _ = reference.roc_curve(y, score, drop_intermediate=False)
    points = roc(swept(y, score))
    assert [(p.x, p.y) for p in points] == list(zip(x.tolist(), true_rate.tolist(), strict=True))
    precision, recall, limits = reference.precision_recall_curve(y, score)
    expected = list(zip(recall.tolist(), precision.tolist(), [*limits.tolist(), None], strict=True))[::-1]
    assert [(p.x, p.y, p.threshold) for p in precision_recall(swept(y, score))] == expected[: len(expected) - 1]


def test_precision_recall_is_short_and_keeps_area(drawn):
    points = precision_recall(swept(*drawn))
    assert len(points) <= MAX_POINTS
    assert (points[0].x, points[0].y, points[-1].x) == (0, 1, 1)
    area_below = np.trapezoid([p.y for p in points], [p.x for p in points])
    assert area_below == pytest.approx(reference.average_precision_score(*drawn), abs=5e-3)


def test_one_class_has_no_curves():
    alone = swept(np.zeros(3), np.array([0.1, 0.2, 0.3]))
    assert roc(alone) == ()
    assert precision_recall(alone) == ()
    assert all(one.true_positives == one.false_negatives == 0 for one in threshold_counts(alone))


def test_threshold_counts_equal_scikit_learn():
    rng = np.random.default_rng(2)
    y, score = rng.integers(0, 2, 500), np.round(rng.random(500), 2)
    counts = threshold_counts(swept(y, score))
    assert len(counts) == 101
    for one in counts:
        table = reference.confusion_matrix(y, score >= one.threshold, labels=[0, 1])
        found = [[one.true_negatives, one.false_positives], [one.false_negatives, one.true_positives]]
        assert found == table.tolist()


def test_calibration_bins_equal_scikit_learn(drawn):
    y, score = drawn
    bins = calibration("binary", y, np.column_stack([1 - score, score]))
    observed, predicted = calibration_curve(y, score, n_bins=10, strategy="quantile")
    assert [one.observed_rate for one in bins] == pytest.approx(observed)
    assert [one.mean_predicted for one in bins] == pytest.approx(predicted)
    assert sum(one.rows for one in bins) == len(y)


def test_constant_score_is_one_bin():
    bins = calibration("binary", np.array([0, 1]), np.full((2, 2), 0.5))
    assert [(one.mean_predicted, one.observed_rate, one.rows) for one in bins] == [(0.5, 0.5, 2)]


def test_multiclass_calibration_is_of_the_likeliest_class():
    request = multiclass_request(20_000)
    bins = calibration("multiclass", request.y_valid, request.scores)
    assert [one.observed_rate for one in bins] == pytest.approx([one.mean_predicted for one in bins], abs=0.06)
    assert min(one.mean_predicted for one in bins) > 1 / 3
