"""Every kind of event delivered 100 times, in any order and several at once, on DynamoDB: one effect each."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_api.adapters.aws.dynamodb_records import DynamoRecords
from mlops_api.adapters.aws.table import create_table
from mlops_api.adapters.local.sqlite_metrics import SqliteMetrics
from mlops_api.domain.models import Approve
from mlops_api.domain.pipelines import automatic_execution
from mlops_api.lambda_entry import LambdaEntry
from mlops_api.ports import Alarm, Metric, Point
from mlops_api.services.tasks import Tasks
from tests.support.aws import fresh_name
from tests.support.emulators import Cloud
from tests.support.lambda_events import object_created, scheduled
from tests.support.manual_mirror import ManualMirror
from tests.support.manual_runners import event
from tests.support.platform import (
    ANN,
    TestClock,
    World,
    a_manifest,
    a_preview,
    a_profile,
    a_report,
    an_evaluation,
    processing_job,
    world_of,
)

REPEATS = 100
AT_ONCE = 4
Events = Sequence[dict[str, Any]]


@pytest.fixture
def a_world(moto: Cloud, tmp_path: Path) -> Iterator[Callable[[], World]]:
    """Makes platforms, each on a table of its own."""
    client = moto.clients.dynamodb
    tables: list[str] = []
    with ExitStack() as opened:

        def make() -> World:
            clock = TestClock()
            tables.append(fresh_name("records"))
            create_table(client, tables[-1])
            records = DynamoRecords(client, tables[-1], now=lambda: clock().timestamp())
            file = tmp_path / f"{tables[-1]}.sqlite3"
            metrics = opened.enter_context(closing(SqliteMetrics(file, keep=timedelta(days=90), clock=clock)))
            return world_of(tmp_path / tables[-1], records, clock, metrics, mirror=ManualMirror())

        yield make
    for table in tables:
        client.delete_table(TableName=table)


def everything_has_ended(here: World) -> dict[str, dict[str, Any]]:
    """One thing of each kind has come to its end outside, and no record says so yet: the events that will tell."""
    return _of_datasets(here) | _of_jobs(here) | _of_models(here) | _of_others(here)


def _of_datasets(here: World) -> dict[str, dict[str, Any]]:
    validated = processing_job(here.uploaded("validated"))
    here.processing.complete(validated, a_report(), a_profile(), a_preview())
    here.processing.end(broken := processing_job(here.uploaded("broken")), "Failed", "out of memory")
    cut_off = here.create("cut-off")
    parts = [(part.part_number, part.etag) for part in here.send(cut_off).parts]
    here.objects.complete_upload(here.records.get("dataset", cut_off.version).data["upload_id"], parts)
    here.objects.put("inbox/dropped/f.csv", b"a,b\n1,2\n")
    return {
        "validated": event("processing", validated),
        "broken": event("processing", broken),
        "uploaded": object_created(f"datasets/cut-off/{cut_off.number}/raw"),
        "dropped": object_created("inbox/dropped/f.csv"),
    }


def _of_jobs(here: World) -> dict[str, dict[str, Any]]:
    table = here.ready().version
    trained = here.start(table, model="trained").job
    here.training.complete(trained, manifest := a_manifest(), an_evaluation(manifest))
    here.training.end(failed := here.start(table, model="failed").job, "Failed", "diverged")
    here.approved("served")
    scored, processed = (here.batch("served:1", table, key).transform_job for key in ("one", "another"))
    for job in (scored, processed):
        here.transform.complete(job, b"row\n1\n", rows=1)
    return {
        "trained": event("training", trained),
        "failed": event("training", failed),
        "scored": event("transform", scored),
        "scored by a processing job": event("processing", processed),
    }


def _of_models(here: World) -> dict[str, dict[str, Any]]:
    here.platform.registry.approve(ANN, here.trained("better").version, Approve(deploy=True), None)
    here.host.loaded("better")
    outside = here.trained("outside").version
    mirror = here.platform.registry.mirroring._mirror
    assert isinstance(mirror, ManualMirror)
    mirror.decide(outside, "Approved", by="bob")
    return {"in service": event("endpoint", "better"), "decided outside": _told("model package", outside)}


def _of_others(here: World) -> dict[str, dict[str, Any]]:
    here.recipe("aborted")
    execution = automatic_execution("aborted", here.ready("aborted").number)
    here.pipelines.attach(Tasks(here.platform).run, lambda _: None)  # it ends without a word, as elsewhere
    here.pipelines.stop(execution, "somebody stopped it in the console")
    metric = Metric("Rows", {"dataset": "flights"})
    here.metrics.put_alarm(Alarm("rows-of-flights", metric, "Minimum", "LessThanThreshold", 10, 300))
    here.metrics.write([Point(metric, 3, "Count", here.clock())])
    assert isinstance(here.metrics, SqliteMetrics)
    here.metrics.evaluate(lambda _: None)
    return {
        "aborted": _told("execution", execution),
        "went off": _told("alarm", "rows-of-flights"),
        "schedule": scheduled(),
    }


TOLD = {
    "model package": ("aws.sagemaker", "SageMaker Model Package State Change", "ModelPackageArn"),
    "execution": ("aws.states", "Step Functions Execution Status Change", "name"),
    "alarm": ("aws.cloudwatch", "CloudWatch Alarm State Change", "alarmName"),
}


def _told(kind: str, name: str) -> dict[str, Any]:
    source, detail_type, key = TOLD[kind]
    return {"source": source, "detail-type": detail_type, "detail": {key: name}}


EFFECTS: dict[str, Counter[str]] = {
    "validated": Counter(["dataset.ready"]),
    "broken": Counter(["dataset.rejected"]),
    "uploaded": Counter(["dataset.complete"]),
    "dropped": Counter(["dataset.create", "dataset.complete"]),
    "trained": Counter(["training.completed"]),
    "failed": Counter(["training.failed", "told: training.failed"]),
    "scored": Counter(["batch.completed"]),
    "scored by a processing job": Counter(["batch.completed"]),
    "in service": Counter(["endpoint.in_service"]),
    "decided outside": Counter(["model.approved"]),
    "aborted": Counter({"pipeline.aborted": 1, "training.stop": 3}),
    "went off": Counter(["told: alarm"]),
    "schedule": Counter(["pipeline.failed", "told: pipeline.failed"]),
}
"""Of each event: what the activity log says of it, and what people are told. What the schedule makes good is the
execution of the table that could not be validated."""


def effects(here: World) -> Counter[str]:
    page = here.platform.activity.page(after=None, limit=200, token=None)
    assert page.next_token is None
    told = (f"told: {notice.kind}" for notice in here.notifier.taken)
    return Counter([*(entry.action for entry in page.activity), *told])


def revisions(here: World) -> Counter[tuple[str, int]]:
    """How many records of a kind were written how often."""
    kinds = ("dataset", "training-job", "model", "model-version", "endpoint", "transform-job")
    pages = {kind: here.records.query("all", kind, limit=1000).records for kind in kinds}
    return Counter((kind, record.revision) for kind, records in pages.items() for record in records)


def deliver(here: World, events: Events, at_once: int) -> None:
    with closing(LambdaEntry(here.platform, here.settings)) as entry, ThreadPoolExecutor(at_once) as pool:
        for answer in pool.map(lambda told: entry(told, None), events):
            assert answer is None


def test_every_event_that_anything_reacts_to_is_among_them(a_world: Callable[[], World]) -> None:
    here = a_world()
    events = everything_has_ended(here)
    assert events.keys() == EFFECTS.keys()
    delivered = {(told["source"], told["detail-type"]) for told in events.values()}
    assert delivered == here.platform.events.kinds | {("aws.events", "Scheduled Event")}


@pytest.mark.slow
def test_each_delivered_a_hundred_times_has_its_effect_once(a_world: Callable[[], World]) -> None:
    here = a_world()
    for name, told in everything_has_ended(here).items():
        before = effects(here)
        deliver(here, [told] * REPEATS, AT_ONCE)
        assert effects(here) - before == EFFECTS[name], name


@pytest.mark.slow
def test_a_hundred_deliveries_of_all_in_any_order_have_one_effect_each(
    a_world: Callable[[], World], figure: Callable[[str], None]
) -> None:
    once, often = a_world(), a_world()
    deliver(once, list(everything_has_ended(once).values()), at_once=1)
    events = [told for told in everything_has_ended(often).values() for _ in range(REPEATS)]
    before = effects(often)
    random.Random(20261122).shuffle(events)  # noqa: S311 - an order, no secret
    deliver(often, events, AT_ONCE)
    caused = effects(often) - before
    assert caused == sum(EFFECTS.values(), Counter())
    assert revisions(often) == revisions(once)
    assert often.processing.starts["cut-off-v1"] == often.processing.starts["dropped-v1"] == 1
    assert often.platform.registry.get("better:champion").version == "better:1"
    figure(f"events: {len(events)} deliveries of {len(events) // REPEATS} events -> {caused.total()} effects")


def test_events_that_come_too_early_change_nothing(a_world: Callable[[], World]) -> None:
    here = a_world()
    version = here.uploaded()
    job = here.start(here.ready("other").version).job
    before, written = effects(here), revisions(here)
    early = [event("processing", processing_job(version)), event("training", job), event("endpoint", "flights")]
    deliver(here, early * 10, AT_ONCE)
    assert (effects(here), revisions(here)) == (before, written)


@pytest.mark.parametrize("kind", ["processing", "training", "transform", "endpoint"])
def test_events_of_things_that_are_not_ours_are_let_go(a_world: Callable[[], World], kind: str) -> None:
    here = a_world()
    deliver(here, [event(kind, name) for name in ("someone-elses-job", "x-v1", "a/b")], 1)
    assert effects(here) == {}
