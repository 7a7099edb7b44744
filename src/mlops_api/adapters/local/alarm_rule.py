"""When an alarm is in which state: CloudWatch's rule, over the values of the last periods.

With M of N datapoints to alarm, newest period first, missing ones left out:

    no value at all                                                                      INSUFFICIENT_DATA
    M breach, or the oldest value breaches, lies M periods back or more, and the newer
    ones breach or are missing                                                           ALARM
    some value does not breach                                                           OK
    too few values, and all of them breach                                               INSUFFICIENT_DATA
"""

import operator
from collections.abc import Callable, Mapping, Sequence

from mlops_api.domain.monitoring import AlarmState, Comparison
from mlops_api.ports import Alarm

_COMPARE: Mapping[Comparison, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
_IN_WORDS: Mapping[Comparison, str] = {
    "GreaterThanOrEqualToThreshold": "at least",
    "GreaterThanThreshold": "over",
    "LessThanThreshold": "under",
    "LessThanOrEqualToThreshold": "at most",
}


def judge(alarm: Alarm, values: Sequence[float | None]) -> tuple[AlarmState, str]:
    """The state and the reason; `values` of the last `evaluation_periods` periods, newest first, None for no data."""
    breaching = [_breaches(alarm, value) for value in values]
    count = sum(breach is True for breach in breaching)
    known = [value for value in values if value is not None]
    limit = f"{_IN_WORDS[alarm.comparison]} {alarm.threshold:g}"
    if count >= alarm.datapoints_to_alarm or _lasts(breaching, alarm.datapoints_to_alarm):
        last = f"{alarm.statistic} {known[0]:g} last" if known else "no data"
        return "ALARM", f"{count} of {len(values)} periods are {limit} ({last})."
    if False in breaching:
        return "OK", f"{count} of {len(values)} periods are {limit}, fewer than {alarm.datapoints_to_alarm}."
    if known:
        return "INSUFFICIENT_DATA", f"Data in {len(known)} of {len(values)} periods only, {limit} all of them."
    return "INSUFFICIENT_DATA", f"No data in the last {len(values)} periods of {alarm.period} seconds."


def _breaches(alarm: Alarm, value: float | None) -> bool | None:
    if value is None:
        return True if alarm.missing_breaches else None
    return _COMPARE[alarm.comparison](value, alarm.threshold)


def _lasts(breaching: Sequence[bool | None], datapoints: int) -> bool:
    """Whether it has breached since long enough ago, as far as there are data."""
    oldest = max((index for index, breach in enumerate(breaching) if breach is not None), default=-1)
    return oldest + 1 >= datapoints and False not in breaching[: oldest + 1]
