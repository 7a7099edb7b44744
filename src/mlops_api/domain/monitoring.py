"""The words of metrics and alarms, as CloudWatch has them.

INSUFFICIENT_DATA <--> OK <--> ALARM      each may follow each; without data it is never OK
"""

from typing import Literal

from mlops_api.domain.base import Answer, Page

Unit = Literal["Seconds", "Milliseconds", "Bytes", "Percent", "Count", "None"]
Statistic = Literal["Average", "Sum", "Minimum", "Maximum", "SampleCount"]
Comparison = Literal[
    "GreaterThanOrEqualToThreshold", "GreaterThanThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold"
]
AlarmState = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]


class AlarmView(Answer):
    """An alarm and its state: when at least `datapoints_to_alarm` of the last `evaluation_periods` periods breach."""

    alarm: str
    description: str
    state: AlarmState
    reason: str
    since: str
    metric: str
    dimensions: dict[str, str]
    statistic: Statistic
    comparison: Comparison
    threshold: float
    period_seconds: int
    evaluation_periods: int
    datapoints_to_alarm: int
    missing_breaches: bool


class AlarmViewPage(Page):
    alarms: list[AlarmView]


class PeriodPoint(Answer):
    """`at`: when the period begins."""

    at: str
    value: float


class MetricValues(Answer):
    """Periods without a point are left out: they are not zero."""

    metric: str
    dimensions: dict[str, str]
    statistic: Statistic
    period_seconds: int
    points: list[PeriodPoint]
