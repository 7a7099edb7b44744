"""Every service, built once by bootstrap; routers take theirs from here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_api.ports import RecordStore
from mlops_api.services.activity import ActivityLog
from mlops_api.services.alerts import AlertService
from mlops_api.services.batch import BatchService
from mlops_api.services.contracts import ContractService
from mlops_api.services.dashboard import DashboardService
from mlops_api.services.datasets import DatasetService
from mlops_api.services.endpoints import EndpointService
from mlops_api.services.events import EventHandler
from mlops_api.services.feedback import FeedbackService
from mlops_api.services.identity import Identity
from mlops_api.services.inbox import Inbox
from mlops_api.services.inference import InferenceService
from mlops_api.services.lineage import LineageService
from mlops_api.services.pipelines import PipelineService
from mlops_api.services.registry import RegistryService
from mlops_api.services.repair import each
from mlops_api.services.training import TrainingService


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Platform:
    """`allowed_hosts`: names this server answers to, "*" for any; `allowed_origins`: pages that may change things
    beside its own. `mounts` are ASGI apps with their own authentication, by path (the local store's signed URLs).
    `start` and `close` frame the process's life."""

    records: RecordStore
    datasets: DatasetService
    contracts: ContractService
    training: TrainingService
    registry: RegistryService
    lineage: LineageService
    endpoints: EndpointService
    inference: InferenceService
    batch: BatchService
    inbox: Inbox
    pipelines: PipelineService
    feedback: FeedbackService
    dashboard: DashboardService
    activity: ActivityLog
    alerts: AlertService
    events: EventHandler
    identity: Identity
    allowed_hosts: frozenset[str]
    allowed_origins: frozenset[str] = frozenset()
    mounts: Mapping[str, Any] = field(default_factory=dict)
    start: Callable[[], None] = _nothing
    close: Callable[[], None] = _nothing

    def reconcile(self) -> None:
        """Make good what crashes left undone. Harmless at any time; run at start and on a schedule."""
        each(
            [
                self.datasets.reconcile,
                self.inbox.reconcile,
                self.pipelines.reconcile,
                self.training.reconcile,
                self.endpoints.reconcile,
                self.batch.reconcile,
                self.registry.mirroring.reconcile,
                self.alerts.reconcile,
            ],
            lambda reconcile: reconcile(),
        )

    def tidy(self) -> None:
        """What the schedule runs: reconcile, and drop uploads that were not completed in time."""
        each([self.reconcile, self.datasets.sweep], lambda chore: chore())
