"""statistics.json and constraints.json of a table, from its profile and the sketches of its columns."""

import json
import math
import sys
from collections.abc import Mapping, Sequence, Set
from typing import Any

from mlops_contracts.dataset import ColumnProfile, NumericProfile, Profile
from mlops_contracts.statistics import (
    Categorical,
    CategoryBucket,
    CategoryDistribution,
    Common,
    DatasetFigures,
    FeatureStatistics,
    Kll,
    NumberBucket,
    NumberDistribution,
    NumericalStatistics,
    Statistics,
    StringStatistics,
)
from training.baseline import MONITORING_CONFIG, constrain

Buckets = Mapping[str, Sequence[tuple[float, float, int]]]
Categories = Mapping[str, Sequence[tuple[str, int]]]


def statistics_of(profile: Profile, integral: Set[str], buckets: Buckets, categories: Categories) -> Statistics:
    """`integral`: names of the columns of whole numbers; `buckets` and `categories` of those that have them."""

    def described(column: ColumnProfile) -> FeatureStatistics:
        common = Common(num_present=profile.rows - column.missing, num_missing=column.missing)
        if column.numeric is not None:
            kind = "Integral" if column.name in integral else "Fractional"
            figures = _numbers(column.numeric, common, buckets[column.name])
            return FeatureStatistics(name=column.name, inferred_type=kind, numerical_statistics=figures)
        if column.name in categories and common.num_present:
            strings = _strings(column, common, categories[column.name])
            return FeatureStatistics(name=column.name, inferred_type="String", string_statistics=strings)
        return FeatureStatistics(name=column.name, inferred_type="Unknown", common=common)

    return Statistics(dataset=DatasetFigures(item_count=profile.rows), features=tuple(map(described, profile.columns)))


def _numbers(
    figures: NumericProfile, common: Common, buckets: Sequence[tuple[float, float, int]]
) -> NumericalStatistics:
    count, largest = common.num_present, sys.float_info.max
    listed = tuple(NumberBucket(lower_bound=low, upper_bound=high, count=number) for low, high, number in buckets)
    return NumericalStatistics(
        common=common,
        mean=figures.mean,
        sum=min(max(figures.mean * count, -largest), largest),
        std_dev=figures.std * math.sqrt((count - 1) / count),
        min=figures.min,
        max=figures.max,
        distribution=NumberDistribution(kll=Kll(buckets=listed)),
    )


def _strings(column: ColumnProfile, common: Common, categories: Sequence[tuple[str, int]]) -> StringStatistics:
    listed = tuple(CategoryBucket(value=value, count=count) for value, count in categories)
    return StringStatistics(
        common=common,
        distinct_count=column.distinct,
        distribution=CategoryDistribution(categorical=Categorical(buckets=listed)),
    )


def constraints_of(statistics: Statistics) -> dict[str, Any]:
    """constraints.json that this table satisfies."""
    features = [constrain(each.model_dump(exclude_none=True)) for each in statistics.features]
    return {"version": 0, "features": features, "monitoring_config": MONITORING_CONFIG}


def as_bytes(document: Statistics | dict[str, Any]) -> bytes:
    """As JSON without keys that say nothing, which Model Monitor's readers do not expect."""
    content = document.model_dump(exclude_none=True) if isinstance(document, Statistics) else document
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
