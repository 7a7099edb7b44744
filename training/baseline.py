"""The baseline of a model: statistics and constraints of its training rows, in SageMaker Model Monitor's format.

statistics.json    per feature: counts, moments, and a distribution (`kll` buckets or categories with counts)
constraints.json   per feature: type, completeness, sign or domain; and how a monitor should compare

Formats: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-interpreting-statistics.html and
.../model-monitor-byoc-constraints.html. A boolean is a String of "true" and "false", as it arrives in a request.
A feature without a single value is Unknown and has no statistics but its counts.

Buckets are [lower, upper), the last one closed: one per value for at most FEW_VALUES distinct values, else ten
of about equally many rows. Counts are exact, so a window of requests can be counted into the same edges.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mlops_contracts.bundle import CONSTRAINTS, STATISTICS, Feature

BUCKETS = 10
FEW_VALUES = 20
EDGE_ROWS = 20_000
MOST_CATEGORIES = 1000
"""Most categories listed; `distinct_count` and `num_present` tell what is left out."""

MONITORING_CONFIG: dict[str, Any] = {
    "evaluate_constraints": "Enabled",
    "emit_metrics": "Enabled",
    "datatype_check_threshold": 1.0,
    "domain_content_threshold": 1.0,
    "distribution_constraints": {
        "perform_comparison": "Enabled",
        "comparison_threshold": 0.1,
        "comparison_method": "Robust",
    },
}

Floats = npt.NDArray[np.float64]
Json = dict[str, Any]


def write_baseline(folder: Path, table: pa.Table, features: Sequence[Feature]) -> None:
    """Write statistics.json and constraints.json of the training rows' feature columns into `folder`.

    Raises KeyError when the table lacks a feature.
    """
    described = [describe(feature, table.column(feature.name)) for feature in features]
    statistics = {"version": 0, "dataset": {"item_count": table.num_rows}, "features": described}
    constraints = {
        "version": 0,
        "features": [constrain(statistic) for statistic in described],
        "monitoring_config": MONITORING_CONFIG,
    }
    _write(folder / STATISTICS, statistics)
    _write(folder / CONSTRAINTS, constraints)


def describe(feature: Feature, column: pa.ChunkedArray) -> Json:
    """The entry of statistics.json."""
    return _describe_numbers(feature, column) if feature.type == "numeric" else _describe_strings(feature, column)


def constrain(statistic: Json) -> Json:
    """The entry of constraints.json that the training rows themselves satisfy."""
    figures = statistic.get("numerical_statistics") or statistic.get("string_statistics") or statistic
    common = figures["common"]
    rows = common["num_present"] + common["num_missing"]
    return {
        "name": statistic["name"],
        "inferred_type": statistic["inferred_type"],
        "completeness": common["num_present"] / rows if rows else 0.0,
        **_kind_constraints(statistic),
    }


def _kind_constraints(statistic: Json) -> Json:
    if numbers := statistic.get("numerical_statistics"):
        return {"num_constraints": {"is_non_negative": numbers["min"] >= 0}}
    if strings := statistic.get("string_statistics"):
        buckets = strings["distribution"]["categorical"]["buckets"]
        if len(buckets) == strings["distinct_count"]:
            return {"string_constraints": {"domains": sorted(bucket["value"] for bucket in buckets)}}
    return {}


def _describe_numbers(feature: Feature, column: pa.ChunkedArray) -> Json:
    values = _present_numbers(column)
    common = _common(len(values), len(column))
    if not len(values):
        return _unknown(feature, common)
    return {
        "name": feature.name,
        "inferred_type": "Integral" if pa.types.is_integer(column.type) else "Fractional",
        "numerical_statistics": {"common": common, **_moments(values), "distribution": _kll(values)},
    }


def _present_numbers(column: pa.ChunkedArray) -> Floats:
    values: Floats = column.drop_null().to_numpy().astype(np.float64, copy=False)
    missing = np.isnan(values)
    return values[~missing] if missing.any() else values


def _moments(values: Floats) -> Json:
    """std_dev is the population's, as Model Monitor's. Scaled, so that squares of large values do not overflow;
    a sum beyond the largest float is reported as that float."""
    low, high = float(values.min()), float(values.max())
    scale = max(abs(low), abs(high)) or 1.0
    scaled = values / scale
    mean = float(scaled.mean())
    limit = float(np.finfo(np.float64).max)
    return {
        "mean": mean * scale,
        "sum": min(max(mean * len(values) * scale, -limit), limit),
        "std_dev": min(float(scaled.std()) * scale, limit),
        "min": low,
        "max": high,
    }


def _kll(values: Floats) -> Json:
    edges = bucket_edges(values)
    inside = np.searchsorted(edges[1:-1], values, side="right")
    counts = np.bincount(inside, minlength=len(edges) - 1)
    bounds = zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True)
    buckets = [{"lower_bound": low, "upper_bound": high, "count": count} for low, high, count in bounds]
    return {"kll": {"buckets": buckets}}


def bucket_edges(values: Floats) -> Floats:
    """Edges of the buckets, ascending, lowest and highest value included; at least two.

    Of more than EDGE_ROWS values a fixed draw decides where the inner quantile edges lie; counts are of all.
    """
    ascending = np.sort(_draw(values))
    if _few_distinct(ascending) is not None and len(ascending) < len(values):
        ascending = np.sort(values)
    distinct = _few_distinct(ascending)
    if distinct is not None:
        return np.append(distinct, distinct[-1])
    inner = ascending[(np.arange(1, BUCKETS) * len(ascending)) // BUCKETS]
    return np.unique(np.concatenate([inner, [values.min(), values.max()]]))


def _draw(values: Floats) -> Floats:
    if len(values) <= EDGE_ROWS:
        return values
    return values[np.random.default_rng(0).integers(0, len(values), EDGE_ROWS)]


def _few_distinct(ascending: Floats) -> Floats | None:
    """The distinct values, or None when there are more than FEW_VALUES; one binary search for each."""
    found = [ascending[0]]
    while (after := int(np.searchsorted(ascending, found[-1], side="right"))) < len(ascending):
        if len(found) == FEW_VALUES:
            return None
        found.append(ascending[after])
    return np.asarray(found)


def _describe_strings(feature: Feature, column: pa.ChunkedArray) -> Json:
    values = column.drop_null()
    common = _common(len(values), len(column))
    if not len(values):
        return _unknown(feature, common)
    counted = _value_counts(values)
    buckets = [{"value": value, "count": count} for value, count in counted[:MOST_CATEGORIES]]
    return {
        "name": feature.name,
        "inferred_type": "String",
        "string_statistics": {
            "common": common,
            "distinct_count": len(counted),
            "distribution": {"categorical": {"buckets": buckets}},
        },
    }


def _value_counts(values: pa.ChunkedArray) -> list[tuple[str, int]]:
    """Most frequent first, ties by value."""
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    counted = pc.value_counts(values)
    names = pc.cast(counted.field("values"), pa.string()).to_pylist()
    return sorted(zip(names, counted.field("counts").to_pylist(), strict=True), key=lambda pair: (-pair[1], pair[0]))


def _unknown(feature: Feature, common: Json) -> Json:
    return {"name": feature.name, "inferred_type": "Unknown", "common": common}


def _common(present: int, rows: int) -> Json:
    return {"num_present": present, "num_missing": rows - present}


def _write(path: Path, content: Json) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, allow_nan=False), encoding="utf-8")
