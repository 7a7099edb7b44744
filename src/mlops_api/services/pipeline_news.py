"""What people are told of an execution that ended, by an alert: once for each end, retries apart."""

from mlops_api.domain.alerts import Severity
from mlops_api.domain.times import Clock, rfc3339
from mlops_api.ports import Notice
from mlops_api.services.alerts import AlertService
from mlops_api.services.pipeline_records import StoredExecution

_LONGEST_SUBJECT = 200


class PipelineNews:
    def __init__(self, alerts: AlertService, clock: Clock) -> None:
        self._alerts = alerts
        self._clock = clock

    def succeeded(self, execution: StoredExecution) -> str:
        """Tell of the candidates and their comparison; the subject."""
        trained = sum(each.model_version is not None for each in execution.candidates)
        subject = (
            f"{execution.dataset}: {trained} candidate{'' if trained == 1 else 's'}, best {execution.model_version}"
        )
        lines = [f"{each.algorithm}: {_outcome(each.value, each.failure_reason)}" for each in execution.candidates]
        verdict = execution.comparison
        told = [*lines, *(verdict.reasons if verdict else []), execution.approval or ""]
        return self._tell(execution, "pipeline.succeeded", "info", subject, "\n".join(told))

    def failed(self, execution: StoredExecution) -> str:
        """Tell what ended it; the subject."""
        subject = f"{execution.dataset}: {execution.error}"
        return self._tell(execution, "pipeline.failed", "error", subject, execution.cause or "")

    def _tell(self, execution: StoredExecution, kind: str, severity: Severity, subject: str, body: str) -> str:
        subject = " ".join(subject.split())[:_LONGEST_SUBJECT]
        name, times = execution.execution, f"-{execution.retries}" if execution.retries else ""
        self._alerts.tell(
            Notice(
                key=f"{kind.replace('.', '-')}-{name}{times}",
                kind=kind,
                severity=severity,
                subject=subject,
                body=body,
                at=rfc3339(self._clock()),
                path=f"/pipelines/{name}",
            )
        )
        return subject


def _outcome(value: float | None, reason: str | None) -> str:
    return f"{value:.6g}" if value is not None else reason or "not trained"
