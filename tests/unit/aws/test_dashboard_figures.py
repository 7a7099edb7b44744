"""The dashboard on DynamoDB: right after whatever happened, and two calls whatever the platform holds."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mlops_api.adapters.aws.dynamodb_items import to_item
from mlops_api.adapters.aws.dynamodb_records import DynamoRecords
from mlops_api.adapters.aws.table import create_table
from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.adapters.record_rules import encode_data
from mlops_api.ports import Record
from mlops_api.services.ledger import card_record
from mlops_api.services.tally import LONGEST_MESSAGE, Card, attention
from tests.support.aws import counting, fresh_name
from tests.support.emulators import Cloud
from tests.support.platform import TestClock, World, at_once, world_of
from tests.support.random_days import RandomDays


@pytest.fixture
def here(moto: Cloud, tmp_path: Path) -> Iterator[World]:
    clock = TestClock()
    table = fresh_name("figures")
    create_table(moto.clients.dynamodb, table)
    records = DynamoRecords(moto.clients.dynamodb, table, now=lambda: clock().timestamp())
    with closing(SqliteRecords(tmp_path / "runs.sqlite3", now=lambda: clock().timestamp())) as runs:
        yield world_of(tmp_path, records, clock, moto.metrics(clock), runs=runs)


def test_figures_equal_a_recount(here: World) -> None:
    RandomDays(here, 3).pass_by(40)
    workers = [RandomDays(here, seed, without=["do_sweep"]) for seed in range(2)]
    assert at_once(*[lambda worker=worker: worker.pass_by(8) for worker in workers]) == [None] * 2
    assert here.platform.recount.missing() == {}
    assert here.platform.recount.wrong_cards() == []


def test_two_calls_whatever_there_is(here: World, moto: Cloud) -> None:
    """More cards than are read, each as large as it may be."""
    here.approved(deploy=True)
    long = "\u20ac" * LONGEST_MESSAGE
    at = "2026-11-22T12:00:00.{:06d}Z".format
    cards = [attention("failed_job", f"job-{each}", long, at(each), f"/training/jobs/{each}") for each in range(500)]
    cards += [
        Card("now", f"3-champion/m{each:04d}", {"model": f"m{each}", "version": "m:1", "objective": "auc", "value": 1})
        for each in range(900)
    ]
    for start in range(0, len(cards), 25):
        some = enumerate(cards[start : start + 25], start)
        puts = [{"PutRequest": {"Item": _item(card_record(f"test/{number}", card))}} for number, card in some]
        moto.clients.dynamodb.batch_write_item(RequestItems={here.records._table: puts})  # type: ignore[attr-defined]
    with counting(moto.clients.dynamodb) as calls:
        stats = here.platform.dashboard.stats()
    assert calls == Counter(Query=2)
    assert (stats.counts["model_versions"].value, len(stats.champions)) == (1, 200)
    assert [item.id for item in stats.needs_attention] == [f"job-{number}" for number in range(499, 479, -1)]


def _item(record: Record) -> dict[str, Any]:
    """As the adapter writes it; in batches, because the emulator copies the table for each transaction."""
    return to_item(record, encode_data(record), "test")
