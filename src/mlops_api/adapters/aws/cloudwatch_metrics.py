"""MetricSink on CloudWatch: points are printed, in its embedded metric format; series and alarms are asked for.

Lambda hands what a function prints to CloudWatch Logs, so a point costs no call. Names of alarms have the namespace in
front of them, so that several platforms can share an account.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from mlops_api.adapters.aws.clients import AwsClients, Client
from mlops_api.adapters.aws.embedded_metrics import embedded_lines
from mlops_api.adapters.aws.errors import translated
from mlops_api.adapters.metric_rules import (
    aligned,
    check_alarm,
    check_alarm_name,
    check_alarm_page,
    check_metric,
    check_points,
    check_series,
)
from mlops_api.adapters.page_tokens import read_token, write_token
from mlops_api.domain.errors import BadRequest, Invalid, NotFound
from mlops_api.domain.monitoring import Statistic
from mlops_api.domain.times import Clock, utc_now
from mlops_api.ports import Alarm, AlarmPage, AlarmStatus, Metric, PeriodValue, Point

_CLOUDWATCH = "cloudwatch"
_QUERY = ("alarms",)


def _forbidden(sentence: str) -> Invalid:
    return Invalid(f"{sentence}. Allow it to the function's role: docs/aws.md says what it needs.")


_DENIED = dict.fromkeys(("AccessDenied", "AccessDeniedException"), _forbidden)


def _print_lines(text: str) -> None:
    """In one piece, so that lines of several threads do not mix."""
    sys.stdout.write(text)
    sys.stdout.flush()


class CloudWatchMetrics:
    """As ports.MetricSink promises. `out` takes whole lines, ends included."""

    def __init__(
        self,
        clients: AwsClients,
        namespace: str,
        *,
        out: Callable[[str], object] = _print_lines,
        clock: Clock = utc_now,
    ) -> None:
        self._clients = clients
        self._namespace = namespace
        self._out = out
        self._clock = clock

    @property
    def _client(self) -> Client:
        return self._clients.client(_CLOUDWATCH)

    def write(self, points: Sequence[Point]) -> None:
        check_points(points, self._clock())
        for line in embedded_lines(self._namespace, points):
            self._out(line + "\n")

    def series(
        self, metric: Metric, *, start: datetime, end: datetime, period: int, statistic: Statistic
    ) -> Sequence[PeriodValue]:
        check_metric(metric)
        check_series(start, end, period, statistic, self._clock())
        stat = {"Metric": self._metric(metric), "Period": period, "Stat": statistic}
        request = {
            "MetricDataQueries": [{"Id": "asked", "MetricStat": stat}],
            "StartTime": aligned(start, period),
            # The end is not part of what is asked for: the last period is the one before it.
            "EndTime": aligned(end - timedelta(microseconds=1), period) + timedelta(seconds=period),
            "ScanBy": "TimestampAscending",
        }
        with translated(f"metric {metric.name}", _DENIED):
            pages = self._client.get_paginator("get_metric_data").paginate(**request)
            results = [result for page in pages for result in page["MetricDataResults"]]
        found = {
            at: value for result in results for at, value in zip(result["Timestamps"], result["Values"], strict=True)
        }
        return [PeriodValue(at, float(found[at])) for at in sorted(found)]

    def put_alarm(self, alarm: Alarm) -> None:
        check_alarm(alarm)
        with translated(f"alarm {alarm.alarm}", _DENIED):
            self._client.put_metric_alarm(
                AlarmName=self._outside(alarm.alarm),
                AlarmDescription=alarm.description,
                **self._metric(alarm.metric),
                Statistic=alarm.statistic,
                ComparisonOperator=alarm.comparison,
                Threshold=alarm.threshold,
                Period=alarm.period,
                EvaluationPeriods=alarm.evaluation_periods,
                DatapointsToAlarm=alarm.datapoints_to_alarm,
                TreatMissingData="breaching" if alarm.missing_breaches else "missing",
            )

    def delete_alarm(self, alarm: str) -> None:
        check_alarm_name(alarm)
        try:
            with translated(f"alarm {alarm}", _DENIED | {"ResourceNotFound": NotFound}):
                self._client.delete_alarms(AlarmNames=[self._outside(alarm)])
        except NotFound:
            return

    def alarm(self, alarm: str) -> AlarmStatus:
        check_alarm_name(alarm)
        found = self._described(AlarmNames=[self._outside(alarm)])["MetricAlarms"]
        if not found:
            raise NotFound(f"There is no alarm {alarm!r}.")
        return self._status(found[0])

    def alarms(self, *, limit: int = 100, token: str | None = None) -> AlarmPage:
        check_alarm_page(limit)
        [after] = read_token(_QUERY, token, length=1) if token else [None]
        place = {"NextToken": after} if after else {}
        page = self._described(AlarmNamePrefix=self._outside(""), MaxRecords=limit, **place)
        following = page.get("NextToken")
        alarms = [self._status(found) for found in page["MetricAlarms"]]
        return AlarmPage(alarms, write_token(_QUERY, [following]) if following else None)

    def alarm_of_event(self, reference: str) -> AlarmStatus | None:
        prefix = self._outside("")
        try:
            return self.alarm(reference.removeprefix(prefix)) if reference.startswith(prefix) else None
        except (NotFound, BadRequest):  # a name that could not be given here is none of this platform's
            return None

    def _described(self, **request: Any) -> Mapping[str, Any]:
        with translated("alarms", _DENIED | {"InvalidNextToken": BadRequest}):
            answer: Mapping[str, Any] = self._client.describe_alarms(AlarmTypes=["MetricAlarm"], **request)
        return answer

    def _outside(self, alarm: str) -> str:
        return f"{self._namespace}/{alarm}"

    def _metric(self, metric: Metric) -> Mapping[str, Any]:
        dimensions = [{"Name": name, "Value": value} for name, value in sorted(metric.dimensions.items())]
        return {"Namespace": self._namespace, "MetricName": metric.name, "Dimensions": dimensions}

    def _status(self, found: Mapping[str, Any]) -> AlarmStatus:
        dimensions = {item["Name"]: item["Value"] for item in found.get("Dimensions", [])}
        periods = found["EvaluationPeriods"]
        alarm = Alarm(
            alarm=found["AlarmName"].removeprefix(self._outside("")),
            metric=Metric(found["MetricName"], dimensions),
            statistic=found["Statistic"],
            comparison=found["ComparisonOperator"],
            threshold=float(found["Threshold"]),
            period=found["Period"],
            evaluation_periods=periods,
            datapoints_to_alarm=found.get("DatapointsToAlarm", periods),
            missing_breaches=found.get("TreatMissingData") == "breaching",
            description=found.get("AlarmDescription", ""),
        )
        since = found.get("StateTransitionedTimestamp") or found["StateUpdatedTimestamp"]
        return AlarmStatus(alarm, found["StateValue"], found.get("StateReason", ""), since)
