"""statistics.json and constraints.json: Model Monitor's format, true to the rows."""

import json

import jsonschema_rs
import numpy as np
import pyarrow as pa
import pytest

from mlops_contracts.bundle import Feature
from training.baseline import BUCKETS, EDGE_ROWS, MOST_CATEGORIES, bucket_edges, write_baseline

COUNT = {"type": "integer", "minimum": 0}
NUMBER = {"type": "number"}


def closed(required, optional=None):
    """An object of exactly these keys."""
    properties = required | (optional or {})
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


COMMON = closed({"num_present": COUNT, "num_missing": COUNT})
BUCKET = closed({"lower_bound": NUMBER, "upper_bound": NUMBER, "count": COUNT})
NUMERICAL = closed(
    {
        "common": COMMON,
        **dict.fromkeys(("mean", "sum", "std_dev", "min", "max"), NUMBER),
        "distribution": closed({"kll": closed({"buckets": {"type": "array", "items": BUCKET, "minItems": 1}})}),
    }
)
CATEGORY = closed({"value": {"type": "string"}, "count": COUNT})
STRING = closed(
    {
        "common": COMMON,
        "distinct_count": COUNT,
        "distribution": closed({"categorical": closed({"buckets": {"type": "array", "items": CATEGORY}})}),
    }
)


def typed(*names):
    return {"name": {"type": "string"}, "inferred_type": {"enum": list(names)}}


STATISTICS = closed(
    {
        "version": {"const": 0},
        "dataset": closed({"item_count": COUNT}),
        "features": {
            "type": "array",
            "items": {
                "oneOf": [
                    closed(typed("Integral", "Fractional") | {"numerical_statistics": NUMERICAL}),
                    closed(typed("String") | {"string_statistics": STRING}),
                    closed(typed("Unknown") | {"common": COMMON}),
                ]
            },
        },
    }
)
SWITCH = {"enum": ["Enabled", "Disabled"]}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
CONSTRAINTS = closed(
    {
        "version": {"const": 0},
        "features": {
            "type": "array",
            "items": closed(
                typed("Integral", "Fractional", "String", "Unknown") | {"completeness": SHARE},
                {
                    "num_constraints": closed({"is_non_negative": {"type": "boolean"}}),
                    "string_constraints": closed({"domains": {"type": "array", "items": {"type": "string"}}}),
                },
            ),
        },
        "monitoring_config": closed(
            {
                "evaluate_constraints": SWITCH,
                "emit_metrics": SWITCH,
                "datatype_check_threshold": SHARE,
                "domain_content_threshold": SHARE,
                "distribution_constraints": closed(
                    {
                        "perform_comparison": SWITCH,
                        "comparison_threshold": SHARE,
                        "comparison_method": {"enum": ["Simple", "Robust"]},
                    }
                ),
            }
        ),
    }
)


def baseline(folder, columns):
    """(statistics, constraints) by feature name, both files checked against the format."""
    kinds = {name: kind for name, (kind, _) in columns.items()}
    table = pa.table({name: values for name, (_, values) in columns.items()})
    write_baseline(folder, table, [Feature(name=name, type=kind, required=True) for name, kind in kinds.items()])
    read = []
    for name, schema in (("statistics.json", STATISTICS), ("constraints.json", CONSTRAINTS)):
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        jsonschema_rs.validate(schema, content)
        read.append({entry["name"]: entry for entry in content["features"]})
    return read


def numbers(folder, values):
    statistics, constraints = baseline(folder, {"x": ("numeric", values)})
    return statistics["x"], constraints["x"]


def test_hand_worked_integers_with_a_missing_cell(tmp_path):
    statistics, constraints = numbers(tmp_path, pa.array([3, 1, None, 3, 5]))
    assert statistics == {
        "name": "x",
        "inferred_type": "Integral",
        "numerical_statistics": {
            "common": {"num_present": 4, "num_missing": 1},
            "mean": 3.0,
            "sum": 12.0,
            "std_dev": pytest.approx(2**0.5),
            "min": 1.0,
            "max": 5.0,
            "distribution": {
                "kll": {
                    "buckets": [
                        {"lower_bound": 1.0, "upper_bound": 3.0, "count": 1},
                        {"lower_bound": 3.0, "upper_bound": 5.0, "count": 2},
                        {"lower_bound": 5.0, "upper_bound": 5.0, "count": 1},
                    ]
                }
            },
        },
    }
    assert constraints == {
        "name": "x",
        "inferred_type": "Integral",
        "completeness": 0.8,
        "num_constraints": {"is_non_negative": True},
    }


def test_fractions_fall_into_ten_buckets_that_hold_every_row(tmp_path):
    values = np.random.default_rng(0).exponential(10, 3 * EDGE_ROWS) - 1
    statistics, constraints = numbers(tmp_path, pa.array(values))
    figures = statistics["numerical_statistics"]
    buckets = figures["distribution"]["kll"]["buckets"]
    assert statistics["inferred_type"] == "Fractional"
    assert len(buckets) == BUCKETS
    assert (buckets[0]["lower_bound"], buckets[-1]["upper_bound"]) == (values.min(), values.max())
    edges = [bucket["lower_bound"] for bucket in buckets] + [buckets[-1]["upper_bound"]]
    assert [bucket["count"] for bucket in buckets] == np.histogram(values, edges)[0].tolist()
    assert [bucket["count"] / len(values) for bucket in buckets] == pytest.approx([0.1] * 10, abs=0.01)
    expected = {"mean": values.mean(), "sum": values.sum(), "std_dev": values.std()}
    assert {name: figures[name] for name in expected} == pytest.approx(expected)
    assert constraints["num_constraints"] == {"is_non_negative": False}


def test_mostly_one_value_keeps_it_apart(tmp_path):
    values = np.concatenate([np.zeros(9 * EDGE_ROWS), np.ones(7), np.full(3, 2.0)])
    statistics, _ = numbers(tmp_path, pa.array(np.random.default_rng(0).permutation(values)))
    buckets = statistics["numerical_statistics"]["distribution"]["kll"]["buckets"]
    assert [bucket["count"] for bucket in buckets] == [9 * EDGE_ROWS, 7, 3]


def test_constant_column_is_one_bucket():
    assert bucket_edges(np.full(5, 2.5)).tolist() == [2.5, 2.5]


def test_nan_is_missing_and_huge_values_stay_finite(tmp_path):
    statistics, constraints = numbers(tmp_path, pa.array([1.7e308, 1.7e308, float("nan"), -1.7e308]))
    figures = statistics["numerical_statistics"]
    assert figures["common"] == {"num_present": 3, "num_missing": 1}
    assert figures["std_dev"] == pytest.approx(1.7e308 * (8**0.5 / 3))
    assert constraints["completeness"] == 0.75


def test_categories_with_counts_and_domain(tmp_path):
    carriers = pa.array(["UA", None, "DL", "UA", "A|A"])
    for values in (carriers, carriers.dictionary_encode()):
        statistics, constraints = baseline(tmp_path, {"carrier": ("categorical", values)})
        assert statistics["carrier"]["string_statistics"] == {
            "common": {"num_present": 4, "num_missing": 1},
            "distinct_count": 3,
            "distribution": {
                "categorical": {
                    "buckets": [
                        {"value": "UA", "count": 2},
                        {"value": "A|A", "count": 1},
                        {"value": "DL", "count": 1},
                    ]
                }
            },
        }
        assert constraints["carrier"]["string_constraints"] == {"domains": ["A|A", "DL", "UA"]}


def test_booleans_are_strings_as_requests_write_them(tmp_path):
    statistics, constraints = baseline(tmp_path, {"late": ("boolean", pa.array([True, False, True]))})
    buckets = statistics["late"]["string_statistics"]["distribution"]["categorical"]["buckets"]
    assert buckets == [{"value": "true", "count": 2}, {"value": "false", "count": 1}]
    assert constraints["late"]["string_constraints"] == {"domains": ["false", "true"]}


def test_chunks_of_different_dictionaries_are_counted_together(tmp_path):
    chunks = pa.chunked_array([pa.array(["a", "b"]).dictionary_encode(), pa.array(["b", "c"]).dictionary_encode()])
    statistics, _ = baseline(tmp_path, {"x": ("categorical", chunks)})
    buckets = statistics["x"]["string_statistics"]["distribution"]["categorical"]["buckets"]
    assert buckets == [{"value": "b", "count": 2}, {"value": "a", "count": 1}, {"value": "c", "count": 1}]


def test_column_without_a_value_is_unknown(tmp_path):
    statistics, constraints = baseline(
        tmp_path,
        {
            "x": ("numeric", pa.array([None, None], pa.float64())),
            "y": ("categorical", pa.array([None, None], pa.string())),
        },
    )
    for name in "xy":
        common = {"num_present": 0, "num_missing": 2}
        assert statistics[name] == {"name": name, "inferred_type": "Unknown", "common": common}
        assert constraints[name] == {"name": name, "inferred_type": "Unknown", "completeness": 0.0}


def test_very_many_categories_have_no_domain(tmp_path):
    names = pa.array([f"c{i}" for i in range(MOST_CATEGORIES + 1)])
    statistics, constraints = baseline(tmp_path, {"x": ("categorical", names)})
    figures = statistics["x"]["string_statistics"]
    assert figures["distinct_count"] == MOST_CATEGORIES + 1
    assert len(figures["distribution"]["categorical"]["buckets"]) == MOST_CATEGORIES
    assert "string_constraints" not in constraints["x"]


def test_only_features_are_described(tmp_path):
    table = pa.table({"x": [1.5], "late": [True]})
    write_baseline(tmp_path, table, [Feature(name="x", type="numeric", required=True)])
    content = json.loads((tmp_path / "statistics.json").read_text())
    assert [entry["name"] for entry in content["features"]] == ["x"]
    assert content["dataset"] == {"item_count": 1}
