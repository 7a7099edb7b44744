"""Every kind of event delivered 100 times, in any order and several at once, on DynamoDB: one effect each."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlops_api.adapters.aws.dynamodb_records import DynamoRecords
from mlops_api.adapters.aws.table import create_table
from mlops_api.domain.models import Approve
from mlops_api.lambda_entry import LambdaEntry
from tests.support.aws import fresh_name
from tests.support.emulators import Cloud
from tests.support.lambda_events import object_created, scheduled
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

    def make() -> World:
        clock = TestClock()
        tables.append(fresh_name("records"))
        create_table(client, tables[-1])
        records = DynamoRecords(client, tables[-1], now=lambda: clock().timestamp())
        return world_of(tmp_path / tables[-1], records, clock, moto.metrics(clock))

    yield make
    for table in tables:
        client.delete_table(TableName=table)


def everything_has_ended(here: World) -> dict[str, dict[str, Any]]:
    """One thing of each kind has come to its end outside, and no record says so yet: the events that will tell."""
    validated = processing_job(here.uploaded("validated"))
    here.processing.complete(validated, a_report(), a_profile(), a_preview())
    here.processing.end(broken := processing_job(here.uploaded("broken")), "Failed", "out of memory")
    cut_off = here.create("cut-off")
    parts = [(part.part_number, part.etag) for part in here.send(cut_off).parts]
    here.objects.complete_upload(here.records.get("dataset", cut_off.version).data["upload_id"], parts)
    table = here.ready().version
    trained = here.start(table, model="trained").job
    here.training.complete(trained, manifest := a_manifest(), an_evaluation(manifest))
    here.training.end(failed := here.start(table, model="failed").job, "Failed", "diverged")
    here.approved("served")
    here.platform.registry.approve(ANN, here.trained("better").version, Approve(deploy=True), None)
    here.host.loaded("better")
    scored = here.batch("served:1", table).transform_job
    here.transform.complete(scored, b"row\n1\n", rows=1)
    return {
        "validated": event("processing", validated),
        "broken": event("processing", broken),
        "uploaded": object_created(f"datasets/cut-off/{cut_off.number}/raw"),
        "trained": event("training", trained),
        "failed": event("training", failed),
        "scored": event("transform", scored),
        "scored by a processing job": event("processing", scored),
        "in service": event("endpoint", "better"),
        "schedule": scheduled(),
    }


EFFECTS = {
    "dataset.ready": 1, "dataset.rejected": 1, "dataset.complete": 1, "training.completed": 1, "training.failed": 1,
    "batch.completed": 1, "endpoint.in_service": 1, "pipeline.failed": 1,
}  # fmt: skip


def actions(here: World) -> Counter[str]:
    page = here.platform.activity.page(after=None, limit=200, token=None)
    assert page.next_token is None
    return Counter(entry.action for entry in page.activity)


def revisions(here: World) -> Counter[tuple[str, int]]:
    """How many records of a kind were written how often."""
    kinds = ("dataset", "training-job", "model", "model-version", "endpoint", "transform-job")
    pages = {kind: here.records.query("all", kind, limit=1000).records for kind in kinds}
    return Counter((kind, record.revision) for kind, records in pages.items() for record in records)


def deliver(here: World, events: Events, at_once: int) -> None:
    with closing(LambdaEntry(here.platform, here.settings)) as entry, ThreadPoolExecutor(at_once) as pool:
        for answer in pool.map(lambda told: entry(told, None), events):
            assert answer is None


@pytest.mark.slow
def test_a_hundred_deliveries_in_any_order_have_one_effect(
    a_world: Callable[[], World], figure: Callable[[str], None]
) -> None:
    once, often = a_world(), a_world()
    deliver(once, list(everything_has_ended(once).values()), at_once=1)
    events = [told for told in everything_has_ended(often).values() for _ in range(REPEATS)]
    before = actions(often)
    random.Random(20261122).shuffle(events)  # noqa: S311 - an order, no secret
    deliver(often, events, AT_ONCE)
    assert actions(often) - before == EFFECTS
    assert revisions(often) == revisions(once)
    assert often.processing.starts["cut-off-v1"] == 1
    assert often.platform.registry.get("better:champion").version == "better:1"
    figure(f"events: {len(events)} deliveries of {len(events) // REPEATS} events -> {sum(EFFECTS.values())} effects")


def test_events_that_come_too_early_change_nothing(a_world: Callable[[], World]) -> None:
    here = a_world()
    version = here.uploaded()
    job = here.start(here.ready("other").version).job
    before, written = actions(here), revisions(here)
    early = [event("processing", processing_job(version)), event("training", job), event("endpoint", "flights")]
    deliver(here, early * 10, AT_ONCE)
    assert (actions(here), revisions(here)) == (before, written)


@pytest.mark.parametrize("kind", ["processing", "training", "transform", "endpoint"])
def test_events_of_things_that_are_not_ours_are_let_go(a_world: Callable[[], World], kind: str) -> None:
    here = a_world()
    deliver(here, [event(kind, name) for name in ("someone-elses-job", "x-v1", "a/b")], 1)
    assert actions(here) == {}
