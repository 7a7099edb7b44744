"""Alarms: shown as the metric store judges them, and told to people when they go off."""

from mlops_api.domain.monitoring import AlarmView, AlarmViewPage
from mlops_api.domain.times import rfc3339
from mlops_api.ports import AlarmStatus, MetricSink, Notice
from mlops_api.services.alerts import AlertService

PATH = "/monitoring/alarms"
_MOST = 100


class AlarmService:
    def __init__(self, *, metrics: MetricSink, alerts: AlertService) -> None:
        self._metrics = metrics
        self._alerts = alerts

    def page(self, *, limit: int, token: str | None) -> AlarmViewPage:
        """By name; at most 100, whatever the limit."""
        page = self._metrics.alarms(limit=min(limit, _MOST), token=token)
        return AlarmViewPage(alarms=[_view(status) for status in page.alarms], next_token=page.next_token)

    def on_alarm_change(self, reference: str) -> None:
        """React to an alarm's event: people are told once of each time it goes off."""
        status = self._metrics.alarm_of_event(reference)
        if status is not None and status.state == "ALARM":
            self._alerts.tell(_notice(status))


def _notice(status: AlarmStatus) -> Notice:
    alarm, since = status.alarm, rfc3339(status.since)
    return Notice(
        key=f"alarm-{alarm.alarm}-{since}",
        kind="alarm",
        severity="error",
        subject=f"Alarm: {alarm.alarm}",
        body="\n".join(text for text in (alarm.description, status.reason) if text),
        at=since,
        path=PATH,
    )


def _view(status: AlarmStatus) -> AlarmView:
    alarm = status.alarm
    return AlarmView(
        alarm=alarm.alarm,
        description=alarm.description,
        state=status.state,
        reason=status.reason,
        since=rfc3339(status.since),
        metric=alarm.metric.name,
        dimensions=dict(alarm.metric.dimensions),
        statistic=alarm.statistic,
        comparison=alarm.comparison,
        threshold=alarm.threshold,
        period_seconds=alarm.period,
        evaluation_periods=alarm.evaluation_periods,
        datapoints_to_alarm=alarm.datapoints_to_alarm,
        missing_breaches=alarm.missing_breaches,
    )
