"""The only place that chooses adapters. Nothing above knows which mode it runs in."""

from dataclasses import dataclass
from typing import Any

from mlops_api.adapters.local.data_folder import DataFolder
from mlops_api.domain.times import Clock, utc_now
from mlops_api.domain.webhooks import parse_webhook_secret, parse_webhook_url
from mlops_api.ports import (
    EndpointHost,
    ModelMirror,
    Notifier,
    ObjectStore,
    PipelineRunner,
    ProcessingRunner,
    RecordStore,
    TrainingRunner,
    TransformRunner,
)
from mlops_api.services.activity import ActivityLog
from mlops_api.services.alerts import AlertService
from mlops_api.services.batch import BatchService
from mlops_api.services.contracts import ContractService
from mlops_api.services.dashboard import DashboardService
from mlops_api.services.datasets import DatasetService
from mlops_api.services.endpoints import EndpointService
from mlops_api.services.events import EventHandler
from mlops_api.services.feedback import FeedbackService
from mlops_api.services.idempotency import Idempotency
from mlops_api.services.identity import GatewayIdentity, Identity, TokenIdentity
from mlops_api.services.inbox import Inbox
from mlops_api.services.inference import InferenceService
from mlops_api.services.lineage import LineageService
from mlops_api.services.mirroring import ModelMirroring
from mlops_api.services.pipeline_gate import PipelineGate
from mlops_api.services.pipeline_news import PipelineNews
from mlops_api.services.pipeline_plan import PipelinePlan
from mlops_api.services.pipeline_records import PipelineLaunch
from mlops_api.services.pipeline_steps import PipelineSteps
from mlops_api.services.pipelines import PipelineService
from mlops_api.services.platform import Platform
from mlops_api.services.policy import Policy
from mlops_api.services.recipes import RecipeService
from mlops_api.services.registry import RegistryService
from mlops_api.services.serving_figures import ServingFigures
from mlops_api.services.tasks import Tasks
from mlops_api.services.training import TrainingService
from mlops_api.services.training_reports import TrainingReports
from mlops_api.settings import Settings

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


@dataclass(frozen=True)
class Adapters:
    """One of each port."""

    records: RecordStore
    objects: ObjectStore
    processing: ProcessingRunner
    training: TrainingRunner
    transform: TransformRunner
    hosting: EndpointHost
    notifier: Notifier
    pipelines: PipelineRunner
    most_instances: int
    mirror: ModelMirror | None = None


def build(
    adapters: Adapters,
    settings: Settings,
    *,
    identity: Identity,
    allowed_hosts: frozenset[str],
    clock: Clock = utc_now,
    **lifecycle: Any,
) -> Platform:
    """The services over these adapters. `lifecycle`: origins, mounts, start and close of Platform."""
    records, objects = adapters.records, adapters.objects
    policy = Policy(**settings.model_dump(include=set(Policy.__dataclass_fields__)))
    figures = ServingFigures()
    activity = ActivityLog(records, clock)
    alerts = AlertService(records=records, notifier=adapters.notifier, clock=clock)
    shared: dict[str, Any] = {"records": records, "activity": activity, "clock": clock}
    retried = shared | {"idempotency": Idempotency(records, clock)}
    contracts = ContractService(**shared)
    launch = PipelineLaunch(records, adapters.pipelines, clock)
    datasets = DatasetService(
        objects=objects,
        processing=adapters.processing,
        policy=policy,
        contracts=contracts,
        pipelines=launch,
        **retried,
    )
    endpoints = EndpointService(host=adapters.hosting, **retried)
    mirroring = ModelMirroring(records, adapters.mirror)
    registry = RegistryService(objects=objects, endpoints=endpoints, mirroring=mirroring, policy=policy, **retried)
    training = TrainingService(
        runner=adapters.training,
        datasets=datasets,
        registry=registry,
        reports=TrainingReports(activity=activity, alerts=alerts),
        most_instances=adapters.most_instances,
        **retried,
    )
    batch = BatchService(
        objects=objects, runner=adapters.transform, datasets=datasets, registry=registry, policy=policy, **retried
    )
    inbox = Inbox(objects=objects, datasets=datasets, policy=policy, **shared)
    recipes = RecipeService(**shared)
    steps = PipelineSteps(
        records=records,
        datasets=datasets,
        training=training,
        recipes=recipes,
        plan=PipelinePlan(training, registry),
        gate=PipelineGate(registry, policy),
        news=PipelineNews(alerts, clock),
    )
    pipelines = PipelineService(
        records=records,
        runner=adapters.pipelines,
        launch=launch,
        steps=steps,
        datasets=datasets,
        recipes=recipes,
        activity=activity,
        idempotency=retried["idempotency"],
    )
    return Platform(
        records=records,
        datasets=datasets,
        contracts=contracts,
        training=training,
        registry=registry,
        lineage=LineageService(records),
        endpoints=endpoints,
        inference=InferenceService(host=adapters.hosting, registry=registry, figures=figures),
        batch=batch,
        inbox=inbox,
        pipelines=pipelines,
        feedback=FeedbackService(records=records, clock=clock),
        dashboard=DashboardService(records=records, training=training, figures=figures, clock=clock),
        activity=activity,
        alerts=alerts,
        events=EventHandler(
            datasets=datasets,
            training=training,
            endpoints=endpoints,
            batch=batch,
            registry=registry,
            inbox=inbox,
            pipelines=pipelines,
        ),
        identity=identity,
        allowed_hosts=allowed_hosts,
        **lifecycle,
    )


def local_platform(settings: Settings, folder: DataFolder, url: str) -> Platform:
    """Everything on this machine, below one data folder. `url`: where this server answers."""
    from mlops_api.adapters.local.stack import LocalStack

    chore = Platform.tidy if settings.adopt_jobs else _sweep
    stack = LocalStack(
        folder,
        url,
        training_slots=settings.training_slots,
        stop_grace_seconds=settings.stop_grace_seconds,
        pipeline_seconds=settings.pipeline_seconds,
        adopt=settings.adopt_jobs,
    )
    platform = build(
        Adapters(
            records=stack.records,
            objects=stack.objects,
            processing=stack.processing,
            training=stack.training,
            transform=stack.transform,
            hosting=stack.hosting,
            notifier=_local_notifier(settings),
            pipelines=stack.pipelines,
            most_instances=1,
        ),
        settings,
        identity=TokenIdentity(settings.user, folder.token),
        allowed_hosts=_LOOPBACK,
        mounts={"/storage": stack.storage_app},
        start=lambda: stack.start(
            tell=lambda event: _tell(platform, event),
            task=lambda event: _run_task(platform, event),
            chore=lambda: chore(platform),
        ),
        close=stack.close,
    )
    return platform


def _sweep(platform: Platform) -> None:
    platform.datasets.sweep()


def _local_notifier(settings: Settings) -> Notifier:
    from mlops_api.adapters.local.pinned_https import PinnedPost
    from mlops_api.adapters.local.webhook import Webhook
    from mlops_api.adapters.log_notifier import LogNotifier

    if not settings.webhook_url:
        return LogNotifier()
    url = parse_webhook_url(settings.webhook_url, loopback=settings.webhook_loopback)
    key = parse_webhook_secret(settings.webhook_secret.get_secret_value())
    return Webhook(url, key, PinnedPost(loopback=settings.webhook_loopback))


def aws_platform(settings: Settings) -> Platform:
    """DynamoDB, S3 and SageMaker. AWS is called when something is asked of the platform, not before."""
    from mlops_api.adapters.aws.stack import AwsStack
    from mlops_api.adapters.local.pipeline import AtOnce, LocalPipelineRunner

    stack = AwsStack(settings.region, settings.table, _sagemaker(settings), topic_arn=settings.topic_arn)
    pipelines = LocalPipelineRunner(stack.records, AtOnce(), utc_now, seconds=settings.pipeline_seconds)
    platform = build(
        Adapters(
            records=stack.records,
            objects=stack.objects,
            processing=stack.processing,
            training=stack.training,
            transform=stack.transform,
            hosting=stack.hosting,
            notifier=stack.notifier,
            pipelines=pipelines,
            most_instances=settings.max_instances,
            mirror=stack.mirror,
        ),
        settings,
        identity=GatewayIdentity(settings.identity_claim),
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.allowed_origins,
    )
    pipelines.attach(Tasks(platform).run, lambda event: _tell(platform, event))
    return platform


def _sagemaker(settings: Settings) -> dict[str, Any]:
    """What AwsSageMaker takes."""
    names = (
        "role_arn", "image_uri", "bucket", "training_instance_type", "processing_instance_type",
        "transform_instance_type", "endpoint_instance_count", "volume_gb", "kms_key_id", "network_isolation",
    )  # fmt: skip
    return settings.model_dump(include=set(names)) | {"endpoint_instance_type": settings.endpoint_instance_type or None}


def _tell(platform: Platform, event: Any) -> None:
    platform.events.handle(event)


def _run_task(platform: Platform, event: Any) -> Any:
    return Tasks(platform).run(event)
