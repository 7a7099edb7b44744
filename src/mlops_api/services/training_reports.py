"""What is told of a training job that has ended: in the activity log, and to people when it failed."""

from collections.abc import Sequence

from mlops_api.domain.training import TrainingJob
from mlops_api.ports import Notice, Put
from mlops_api.services.activity import ActivityLog
from mlops_api.services.alerts import AlertService
from mlops_api.services.principal import PLATFORM


class TrainingReports:
    def __init__(self, *, activity: ActivityLog, alerts: AlertService) -> None:
        self._activity = activity
        self._alerts = alerts

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
        """Once the end is written. Nothing of it is lost when this is cut off."""
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


def _path(job: TrainingJob) -> str:
    return f"/training/jobs/{job.job}"
