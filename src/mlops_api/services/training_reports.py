"""What is told of a training job that has ended: in the activity log, as metrics, and to people when it failed.

TrainingSeconds     of model, algorithm     from its start to its end
TrainingFailed      of model                1 when it failed, 0 when it was completed
TrainingObjective   of model, metric        the objective metric of the version it made
"""

from collections.abc import Sequence

from mlops_api.domain.times import parse_rfc3339
from mlops_api.domain.training import TrainingJob
from mlops_api.ports import Metric, Notice, Point, Put
from mlops_api.services.activity import ActivityLog
from mlops_api.services.alerts import AlertService
from mlops_api.services.measurements import Measurements
from mlops_api.services.principal import PLATFORM
from mlops_contracts.metrics import OBJECTIVE


class TrainingReports:
    def __init__(self, *, activity: ActivityLog, alerts: AlertService, measurements: Measurements) -> None:
        self._activity = activity
        self._alerts = alerts
        self._measurements = measurements

    def entries(self, job: TrainingJob) -> Sequence[Put]:
        """What to write together with the job's end; then call `send`."""
        entry = self._activity.entry(
            PLATFORM,
            f"training.{job.status.lower()}",
            job.job,
            detail=job.failure_reason or job.model_version or "",
            path=_path(job),
        )
        return [entry, self._alerts.entry(_failed(job))] if job.status == "Failed" else [entry]

    def send(self, job: TrainingJob) -> None:
        """Once the end is written. When this is cut off, its metrics are lost; people are told all the same."""
        self._measurements.record(_points(job))
        if job.status == "Failed":
            self._alerts.push(_failed(job).key)


def _failed(job: TrainingJob) -> Notice:
    return Notice(
        key=f"training-failed-{job.job}",
        kind="training.failed",
        severity="error",
        subject=f"Training of {job.model} failed: {job.job}",
        body=f"{job.algorithm} on {job.dataset}, started by {job.created_by}, failed: {job.failure_reason}",
        at=job.ended_at or job.created_at,
        path=_path(job),
    )


def _points(job: TrainingJob) -> list[Point]:
    if job.ended_at is None:
        return []
    at = parse_rfc3339(job.ended_at)
    points = []
    if job.started_at is not None:
        seconds = (at - parse_rfc3339(job.started_at)).total_seconds()
        metric = Metric("TrainingSeconds", {"model": job.model, "algorithm": job.algorithm})
        points.append(Point(metric, seconds, "Seconds", at))
    if job.status != "Stopped":
        failed = Metric("TrainingFailed", {"model": job.model})
        points.append(Point(failed, float(job.status == "Failed"), "Count", at))
    if job.status == "Completed" and job.problem_type is not None:
        name = OBJECTIVE[job.problem_type][0]
        value = job.metrics.get(f"validation:{name}")
        objective = Metric("TrainingObjective", {"model": job.model, "metric": name})
        points += [Point(objective, value, "None", at)] if value is not None else []
    return points


def _path(job: TrainingJob) -> str:
    return f"/training/jobs/{job.job}"
