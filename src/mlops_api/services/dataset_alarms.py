"""The alarms that every dataset has: each looks at the worst version of the last day."""

from dataclasses import dataclass

from mlops_api.domain.monitoring import Comparison, Statistic
from mlops_api.ports import Alarm, Metric
from mlops_api.services.policy import Policy

_DAY = 86_400


@dataclass(frozen=True)
class _Rule:
    kind: str
    metric: str
    statistic: Statistic
    comparison: Comparison
    threshold: float
    description: str


_RULES = (
    _Rule("violations", "DatasetViolations", "Maximum", "GreaterThanThreshold", 0, "A version of {} was rejected."),
    _Rule("completeness", "DatasetCompleteness", "Minimum", "LessThanThreshold", 80, "{} has many missing cells."),
    _Rule("rows", "DatasetRowsChange", "Minimum", "LessThanThreshold", 50, "{} has far fewer rows than before."),
    _Rule("drift", "DatasetDrift", "Maximum", "GreaterThanThreshold", 25, "Many columns of {} have drifted."),
)


def default_alarms(name: str, policy: Policy) -> list[Alarm]:
    """None where the policy asks for none; one on versions that do not come, where it asks for it."""
    if not policy.dataset_alarms:
        return []
    return [_alarm(name, rule) for rule in _RULES] + ([_stale(name, policy.fresh_days)] if policy.fresh_days else [])


def _alarm(name: str, rule: _Rule) -> Alarm:
    return Alarm(
        alarm=f"dataset-{name}-{rule.kind}",
        metric=Metric(rule.metric, {"dataset": name}),
        statistic=rule.statistic,
        comparison=rule.comparison,
        threshold=rule.threshold,
        period=_DAY,
        description=rule.description.format(name),
    )


def _stale(name: str, days: int) -> Alarm:
    """A day without a version is a day without a point, which breaches."""
    return Alarm(
        alarm=f"dataset-{name}-stale",
        metric=Metric("DatasetViolations", {"dataset": name}),
        statistic="SampleCount",
        comparison="LessThanThreshold",
        threshold=1,
        period=_DAY,
        evaluation_periods=days,
        datapoints_to_alarm=days,
        missing_breaches=True,
        description=f"No version of {name} has come for {days} days.",
    )
