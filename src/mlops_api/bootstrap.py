"""The only place that chooses adapters. Nothing above knows which mode it runs in."""

from typing import TYPE_CHECKING, Any

from mlops_api.domain.times import Clock, utc_now
from mlops_api.domain.webhooks import parse_webhook_secret, parse_webhook_url
from mlops_api.ports import Notifier
from mlops_api.services.identity import GatewayIdentity, Identity, TokenIdentity
from mlops_api.services.platform import Adapters, Platform
from mlops_api.services.policy import Policy
from mlops_api.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlops_api.adapters.aws.stack import AwsStack
    from mlops_api.adapters.local.data_folder import DataFolder

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})


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
    policy = Policy(**settings.model_dump(include=set(Policy.__dataclass_fields__)))
    return Platform(adapters, policy, identity=identity, allowed_hosts=allowed_hosts, clock=clock, **lifecycle)


def local_platform(settings: Settings, folder: "DataFolder", url: str) -> Platform:
    """Everything on this machine, below one data folder. `url`: where this server answers."""
    from mlops_api.adapters.local.stack import LocalStack

    chore = Platform.tidy if settings.adopt_jobs else _sweep
    stack = LocalStack(
        folder,
        url,
        training_slots=settings.training_slots,
        stop_grace_seconds=settings.stop_grace_seconds,
        pipeline_seconds=settings.pipeline_seconds,
        metric_days=settings.metric_days,
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
            metrics=stack.metrics,
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
            look=_watched(settings, lambda: platform),
        ),
        close=stack.close,
    )
    return platform


def _watched(settings: Settings, platform: "Callable[[], Platform]") -> "Callable[[], None] | None":
    """Raises Conflict when the folder cannot be watched."""
    if settings.watch_dir is None:
        return None
    from mlops_api.adapters.local.watched_folder import WatchedFolder

    return WatchedFolder(WatchedFolder.check(settings.watch_dir), lambda: platform().intake).look


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
    stack = aws_stack(settings)
    return build(
        Adapters(
            records=stack.records,
            objects=stack.objects,
            processing=stack.processing,
            training=stack.training,
            transform=stack.transform,
            hosting=stack.hosting,
            metrics=stack.metrics,
            notifier=stack.notifier,
            pipelines=stack.pipelines,
            most_instances=settings.max_instances,
            requests=stack.requests,
            mirror=stack.mirror,
        ),
        settings,
        identity=GatewayIdentity(settings.identity_claim),
        allowed_hosts=settings.allowed_hosts,
        allowed_origins=settings.allowed_origins,
    )


def aws_stack(settings: Settings) -> "AwsStack":
    """The adapters of aws_platform."""
    from mlops_api.adapters.aws.stack import AwsStack

    return AwsStack(
        settings.region,
        settings.table,
        _sagemaker(settings),
        state_machine_arn=settings.state_machine_arn,
        glue={"job": settings.glue_job or None, "from_bytes": settings.glue_from_bytes},
        topic_arn=settings.topic_arn,
        metric_namespace=settings.metric_namespace,
    )


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
    from mlops_api.services.tasks import Tasks

    return Tasks(platform).run(event)
