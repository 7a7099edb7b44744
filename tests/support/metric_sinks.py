"""Every MetricSink, and whatever stands between it and what it shows."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from moto.cloudwatch.models import cloudwatch_backends

from mlops_api.adapters.aws.cloudwatch_metrics import CloudWatchMetrics
from mlops_api.adapters.local.sqlite_metrics import SqliteMetrics
from mlops_api.ports import MetricSink
from tests.support.aws import fresh_name
from tests.support.emulators import Cloud
from tests.support.log_agent import LogAgent


@dataclass(frozen=True)
class Measuring:
    """`event_name`: how an event names an alarm."""

    sink: MetricSink
    event_name: Callable[[str], str]


@contextmanager
def sqlite_measuring(folder: Path) -> Iterator[Measuring]:
    with closing(SqliteMetrics(folder / "metrics.sqlite3", keep=timedelta(days=90))) as sink:
        yield Measuring(sink, lambda alarm: alarm)


@contextmanager
def cloudwatch_measuring(cloud: Cloud) -> Iterator[Measuring]:
    """In a namespace of its own; a log agent puts what it prints."""
    namespace = fresh_name("MLOps")
    agent = LogAgent(cloud.clients.client("cloudwatch"))
    sink = CloudWatchMetrics(cloud.clients, namespace, out=agent.take)
    yield Measuring(sink, lambda alarm: f"{namespace}/{alarm}")


@contextmanager
def moto_measuring(cloud: Cloud) -> Iterator[Measuring]:
    """moto does not look at the namespace: nothing of an earlier test may be left."""
    for account in cloudwatch_backends.values():
        for backend in account.values():
            backend.reset()
    with cloudwatch_measuring(cloud) as measuring:
        yield measuring
