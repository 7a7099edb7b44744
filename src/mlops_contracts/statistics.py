"""statistics.json of a dataset version, in SageMaker Model Monitor's format: sketches of its columns that add up.

A numeric column has at most MOST_BUCKETS buckets: one for each value when there are few of them, else between
quantiles, each of (lower_bound, upper_bound], the first with its lower bound. A value that fills buckets by itself has
one of its own, lower_bound == upper_bound, and is not in the bucket before it. Counts are exact.

A boolean column is a String of "true" and "false". Texts that are no categories, and times, are Unknown: they have
counts of present and missing cells only.

Format: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-interpreting-statistics.html
"""

from typing import Literal

from pydantic import Field

from mlops_contracts.base import Contract

STATISTICS = "statistics.json"
MOST_BUCKETS = 512
MOST_CATEGORIES = 1000
MOST_CELLS = 200_000
"""Buckets, or categories, of all columns together: a table of very many columns has fewer in each."""


class Common(Contract):
    num_present: int
    num_missing: int


class NumberBucket(Contract):
    lower_bound: float
    upper_bound: float
    count: int


class Kll(Contract):
    buckets: tuple[NumberBucket, ...]


class NumberDistribution(Contract):
    kll: Kll


class NumericalStatistics(Contract):
    common: Common
    mean: float
    sum: float
    std_dev: float = Field(description="The population's.")
    min: float
    max: float
    distribution: NumberDistribution


class CategoryBucket(Contract):
    value: str
    count: int


class Categorical(Contract):
    buckets: tuple[CategoryBucket, ...] = Field(description="Most frequent first; `distinct_count` tells of others.")


class CategoryDistribution(Contract):
    categorical: Categorical


class StringStatistics(Contract):
    common: Common
    distinct_count: int
    distribution: CategoryDistribution


class FeatureStatistics(Contract):
    """Exactly one of the three: `common` is that of an Unknown column."""

    name: str
    inferred_type: Literal["Integral", "Fractional", "String", "Unknown"]
    numerical_statistics: NumericalStatistics | None = None
    string_statistics: StringStatistics | None = None
    common: Common | None = None


class DatasetFigures(Contract):
    item_count: int


class Statistics(Contract):
    version: Literal[0] = 0
    dataset: DatasetFigures
    features: tuple[FeatureStatistics, ...]
