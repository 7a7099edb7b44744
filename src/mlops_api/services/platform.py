"""Every service over one set of adapters; routers take theirs from here.

Each is imported and made when it is first asked for. A Lambda function starts for one request and answers it after all
that is loaded: it bears what that request needs, however many services there are.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_api.domain.times import Clock, utc_now
from mlops_api.ports import (
    EndpointHost,
    JobRequests,
    MetricSink,
    ModelMirror,
    Notifier,
    ObjectStore,
    PipelineRunner,
    ProcessingRunner,
    RecordStore,
    TrainingRunner,
    TransformRunner,
)
from mlops_api.services.once import once
from mlops_api.services.policy import Policy
from mlops_api.services.repair import each

if TYPE_CHECKING:
    from mlops_api.services.activity import ActivityLog
    from mlops_api.services.alarms import AlarmService
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
    from mlops_api.services.metric_series import MetricSeries
    from mlops_api.services.pipeline_records import PipelineLaunch
    from mlops_api.services.pipelines import PipelineService
    from mlops_api.services.recipes import RecipeService
    from mlops_api.services.recount import Recount
    from mlops_api.services.registry import RegistryService
    from mlops_api.services.serving_figures import ServingFigures
    from mlops_api.services.training import TrainingService
    from mlops_api.services.watching import FolderIntake


@dataclass(frozen=True)
class Adapters:
    """One of each port."""

    records: RecordStore
    objects: ObjectStore
    processing: ProcessingRunner
    training: TrainingRunner
    transform: TransformRunner
    hosting: EndpointHost
    metrics: MetricSink
    notifier: Notifier
    pipelines: PipelineRunner
    most_instances: int
    requests: JobRequests | None = None
    mirror: ModelMirror | None = None


def _nothing() -> None:
    return None


class Platform:
    """`allowed_hosts`: names this server answers to, "*" for any; `allowed_origins`: pages that may change things
    beside its own. `mounts` are ASGI apps with their own authentication, by path (the local store's signed URLs).
    `start` and `close` frame the process's life."""

    def __init__(
        self,
        adapters: Adapters,
        policy: Policy,
        *,
        identity: "Identity",
        allowed_hosts: frozenset[str],
        allowed_origins: frozenset[str] = frozenset(),
        mounts: Mapping[str, Any] | None = None,
        start: Callable[[], None] = _nothing,
        close: Callable[[], None] = _nothing,
        clock: Clock = utc_now,
    ) -> None:
        self._adapters = adapters
        self._policy = policy
        self._clock = clock
        self._making = threading.RLock()
        self.identity = identity
        self.allowed_hosts = allowed_hosts
        self.allowed_origins = allowed_origins
        self.mounts = mounts or {}
        self.start = start
        self.close = close

    def load(self) -> None:
        """Make every service now: a process that stays may outlive the files it was started from."""
        for name, member in vars(type(self)).items():
            if isinstance(member, once):
                getattr(self, name)

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
                self.recount.reconcile,
            ],
            lambda reconcile: reconcile(),
        )

    def tidy(self) -> None:
        """What the schedule runs: reconcile, and drop uploads that were not completed in time."""
        each([self.reconcile, self.datasets.sweep], lambda chore: chore())

    # ---- services

    @once
    def records(self) -> RecordStore:
        from mlops_api.services.ledger import Ledger

        return Ledger(self._adapters.records)

    @once
    def recount(self) -> "Recount":
        from mlops_api.services.recount import Recount

        return Recount(self.records, self._clock)

    @once
    def datasets(self) -> "DatasetService":
        from mlops_api.services.dataset_measurements import DatasetMeasurements
        from mlops_api.services.datasets import DatasetService

        measurements = DatasetMeasurements(
            metrics=self._adapters.metrics, objects=self._adapters.objects, policy=self._policy, clock=self._clock
        )
        return DatasetService(
            objects=self._adapters.objects,
            processing=self._adapters.processing,
            policy=self._policy,
            contracts=self.contracts,
            recipes=lambda: self.recipes,
            pipelines=self._launch,
            measurements=measurements,
            **self._writing,
        )

    @once
    def contracts(self) -> "ContractService":
        from mlops_api.services.contracts import ContractService

        return ContractService(records=self.records, activity=self.activity, clock=self._clock)

    @once
    def recipes(self) -> "RecipeService":
        from mlops_api.services.recipes import RecipeService

        return RecipeService(records=self.records, activity=self.activity, clock=self._clock)

    @once
    def training(self) -> "TrainingService":
        from mlops_api.services.measurements import Measurements
        from mlops_api.services.training import TrainingService
        from mlops_api.services.training_reports import TrainingReports

        measurements = Measurements(self._adapters.metrics)
        return TrainingService(
            runner=self._adapters.training,
            datasets=self.datasets,
            registry=self.registry,
            reports=TrainingReports(activity=self.activity, alerts=self.alerts, measurements=measurements),
            most_instances=self._adapters.most_instances,
            **self._writing,
        )

    @once
    def registry(self) -> "RegistryService":
        from mlops_api.services.mirroring import ModelMirroring
        from mlops_api.services.registry import RegistryService

        return RegistryService(
            objects=self._adapters.objects,
            endpoints=self.endpoints,
            mirroring=ModelMirroring(self.records, self._adapters.mirror),
            policy=self._policy,
            **self._writing,
        )

    @once
    def lineage(self) -> "LineageService":
        from mlops_api.services.lineage import LineageService

        return LineageService(self.records)

    @once
    def endpoints(self) -> "EndpointService":
        from mlops_api.services.endpoints import EndpointService

        return EndpointService(host=self._adapters.hosting, **self._writing)

    @once
    def inference(self) -> "InferenceService":
        from mlops_api.services.inference import InferenceService

        return InferenceService(host=self._adapters.hosting, registry=self.registry, figures=self._figures)

    @once
    def batch(self) -> "BatchService":
        from mlops_api.services.batch import BatchService

        return BatchService(
            objects=self._adapters.objects,
            runner=self._adapters.transform,
            datasets=self.datasets,
            registry=self.registry,
            policy=self._policy,
            **self._writing,
        )

    @once
    def inbox(self) -> "Inbox":
        from mlops_api.services.inbox import Inbox

        return Inbox(
            objects=self._adapters.objects,
            datasets=self.datasets,
            policy=self._policy,
            records=self.records,
            activity=self.activity,
            clock=self._clock,
        )

    @once
    def intake(self) -> "FolderIntake":
        from mlops_api.services.watching import FolderIntake

        return FolderIntake(
            objects=self._adapters.objects,
            datasets=self.datasets,
            policy=self._policy,
            records=self.records,
            activity=self.activity,
            clock=self._clock,
        )

    @once
    def pipelines(self) -> "PipelineService":
        from mlops_api.services.pipeline_gate import PipelineGate
        from mlops_api.services.pipeline_news import PipelineNews
        from mlops_api.services.pipeline_plan import PipelinePlan
        from mlops_api.services.pipeline_steps import PipelineSteps
        from mlops_api.services.pipelines import PipelineService

        shared: dict[str, Any] = {"records": self.records, "datasets": self.datasets, "recipes": self.recipes}
        steps = PipelineSteps(
            training=self.training,
            plan=PipelinePlan(self.training, self.registry),
            gate=PipelineGate(self.registry, self._policy),
            news=PipelineNews(self.alerts, self._clock),
            requests=self._adapters.requests,
            **shared,
        )
        return PipelineService(
            runner=self._adapters.pipelines,
            launch=self._launch,
            steps=steps,
            activity=self.activity,
            idempotency=self._writing["idempotency"],
            **shared,
        )

    @once
    def feedback(self) -> "FeedbackService":
        from mlops_api.services.feedback import FeedbackService

        return FeedbackService(records=self.records, clock=self._clock)

    @once
    def dashboard(self) -> "DashboardService":
        from mlops_api.services.dashboard import DashboardService

        return DashboardService(records=self.records, training=self.training, figures=self._figures, clock=self._clock)

    @once
    def activity(self) -> "ActivityLog":
        from mlops_api.services.activity import ActivityLog

        return ActivityLog(self.records, self._clock)

    @once
    def alerts(self) -> "AlertService":
        from mlops_api.services.alerts import AlertService

        return AlertService(records=self.records, notifier=self._adapters.notifier, clock=self._clock)

    @once
    def alarms(self) -> "AlarmService":
        from mlops_api.services.alarms import AlarmService

        return AlarmService(metrics=self._adapters.metrics, alerts=self.alerts)

    @once
    def series(self) -> "MetricSeries":
        from mlops_api.services.metric_series import MetricSeries

        return MetricSeries(metrics=self._adapters.metrics, clock=self._clock)

    @once
    def events(self) -> "EventHandler":
        from mlops_api.services.events import EventHandler

        return EventHandler(
            datasets=self.datasets,
            training=self.training,
            endpoints=self.endpoints,
            batch=self.batch,
            registry=self.registry,
            inbox=self.inbox,
            pipelines=self.pipelines,
            alarms=self.alarms,
        )

    # ---- what services share

    @once
    def _launch(self) -> "PipelineLaunch":
        from mlops_api.services.pipeline_records import PipelineLaunch

        return PipelineLaunch(self.records, self._adapters.pipelines, self._clock)

    @once
    def _figures(self) -> "ServingFigures":
        from mlops_api.services.serving_figures import ServingFigures

        return ServingFigures()

    @once
    def _writing(self) -> dict[str, Any]:
        """What every service takes that writes."""
        from mlops_api.services.idempotency import Idempotency

        idempotency = Idempotency(self.records, self._clock)
        return {"records": self.records, "activity": self.activity, "clock": self._clock, "idempotency": idempotency}
