"""Files dropped into a versioned bucket: each content that a key has had becomes one version, in the order stored."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlops_api.adapters.aws.clients import AwsClients
from mlops_api.adapters.aws.cloudwatch_metrics import CloudWatchMetrics
from mlops_api.adapters.aws.dynamodb_records import DynamoRecords
from mlops_api.adapters.aws.s3_objects import S3Objects
from mlops_api.adapters.local.pipeline import AtOnce, LocalPipelineRunner
from mlops_api.bootstrap import Adapters, build
from mlops_api.domain.times import utc_now
from mlops_api.services.identity import GatewayIdentity
from mlops_api.services.inbox import _LOOKED_AT
from mlops_api.services.platform import Platform
from mlops_api.settings import Settings
from tests.support.emulators import Cloud
from tests.support.lambda_events import object_created
from tests.support.manual_notifier import ManualNotifier
from tests.support.manual_runners import ManualHost, ManualProcessing, ManualTraining, ManualTransform

KEY = "inbox/flights/flights.csv"


@pytest.fixture
def store(moto: Cloud) -> Iterator[S3Objects]:
    with moto.objects() as objects:
        yield objects


@pytest.fixture
def platform(moto: Cloud, store: S3Objects) -> Iterator[Platform]:
    with moto.records() as records:
        yield a_platform(records, store)


def a_platform(records: DynamoRecords, store: S3Objects) -> Platform:
    runners = ManualProcessing(store), ManualTraining(store), ManualTransform(store), ManualHost()
    pipelines = LocalPipelineRunner(records, AtOnce(), utc_now, seconds=3600)
    metrics = CloudWatchMetrics(AwsClients(), "MLOps", out=lambda _: None)
    return build(
        Adapters(records, store, *runners, metrics, ManualNotifier(), pipelines, most_instances=1),
        Settings(),
        identity=GatewayIdentity("sub"),
        allowed_hosts=frozenset(),
    )


def contents(platform: Platform, store: S3Objects) -> list[bytes]:
    page = platform.datasets.page(name="flights", status=None, limit=1000, token=None)
    assert page.next_token is None
    return [store.read(f"datasets/flights/{each.number}/raw") for each in reversed(page.datasets)]


@pytest.mark.parametrize("count", [5, 2 * _LOOKED_AT + 1])
def test_one_version_for_each_content_in_the_order_stored(platform: Platform, store: S3Objects, count: int) -> None:
    stored = [b"a\n%d\n" % number for number in range(count)]
    for content in stored:
        store.put(KEY, content)
    platform.events.handle(object_created(KEY))
    assert contents(platform, store) == stored


def test_a_hundred_events_repeated_and_in_any_order(platform: Platform, store: S3Objects) -> None:
    """The events of four contents and of two keys, several at once."""
    stored = [b"a\n1\n", b"a\n2\n", b"a\n1\n", b"a\n3\n"]
    for content in stored:
        store.put(KEY, content)
    store.put("inbox/other/o.csv", b"b\n1\n")
    events = [object_created(KEY) for _ in stored for _ in range(20)] + [object_created("inbox/other/o.csv")] * 20
    random.Random(20261125).shuffle(events)  # noqa: S311 - an order, no secret
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(platform.events.handle, events))
    assert contents(platform, store) == stored
    other = platform.datasets.page(name="other", status=None, limit=10, token=None)
    assert [dataset.version for dataset in other.datasets] == ["other:1"]


def test_what_came_later_is_taken_behind_what_was_taken(platform: Platform, store: S3Objects) -> None:
    stored = [b"a\n%d\n" % number for number in range(_LOOKED_AT + 5)]
    for content in stored:
        store.put(KEY, content)
        platform.events.handle(object_created(KEY))
    assert contents(platform, store) == stored
