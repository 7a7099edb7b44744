"""The dashboard's figures and cards equal a recount of the records, whatever happened; and what is wrong is mended."""

from pathlib import Path

import pytest

from mlops_api.domain.errors import StorageFull
from mlops_api.ports import Add, Delete, Overwrite, Place, Put, Record
from mlops_api.services.ledger import CARDS, FIGURES, FIRST, NOW
from tests.support.platform import World, at_once, world
from tests.support.random_days import RandomDays

SEEDS = range(8)


def assert_right(here: World) -> None:
    assert here.platform.recount.missing() == {}
    assert here.platform.recount.wrong_cards() == []


def forget(here: World) -> None:
    """As the records were before there were figures."""
    for partition in ("dashboard/now", "dashboard/attention"):
        for record in here.records.query("all", partition, limit=1000).records:
            here.records.delete(record.kind, record.key)


@pytest.fixture
def lived_in(here: World) -> World:
    RandomDays(here, 99).pass_by(150)
    return here


@pytest.mark.parametrize("seed", SEEDS)
def test_figures_equal_a_recount_after_whatever_happened(here: World, seed: int) -> None:
    days = RandomDays(here, seed)
    for _ in range(3):
        days.pass_by(50)
        assert_right(here)


def test_the_random_days_do_everything(tmp_path: Path) -> None:
    left = {name for name in dir(RandomDays) if name.startswith("do_")}
    seeds = iter(SEEDS)
    while left:
        seed = next(seeds)
        with world(tmp_path / str(seed)) as here:
            days = RandomDays(here, seed)
            days.pass_by(160)
            left -= days.done.keys()


def test_figures_equal_a_recount_when_all_happens_at_once(here: World) -> None:
    RandomDays(here, 1).pass_by(60)
    # A sweep takes uploads from under those who send to them, which is not what is asked about here.
    workers = [RandomDays(here, seed, without=["do_sweep"]) for seed in range(6)]
    assert at_once(*[lambda worker=worker: worker.pass_by(25) for worker in workers]) == [None] * 6
    assert_right(here)


def test_a_change_that_is_refused_counts_nothing(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    version = here.ready().version
    with monkeypatch.context() as patched:
        patched.setattr(here.records, "write", _full)
        with pytest.raises(StorageFull):
            here.start(version)
    assert_right(here)


def _full(_: object) -> None:
    raise StorageFull("no space")


# ---- mending


def test_figures_are_made_for_data_that_has_none(lived_in: World) -> None:
    before = lived_in.platform.dashboard.stats()
    forget(lived_in)
    lived_in.platform.reconcile()
    assert_right(lived_in)
    after = lived_in.platform.dashboard.stats()
    assert {name: figure.value for name, figure in after.counts.items()} == {
        name: figure.value for name, figure in before.counts.items()
    }
    assert [item.id for item in after.needs_attention] == [item.id for item in before.needs_attention]
    assert after.champions == before.champions
    assert after.counts["datasets"].exact


def test_data_without_figures_is_changed_before_they_are_made(lived_in: World) -> None:
    forget(lived_in)
    lived_in.ready("late")
    RandomDays(lived_in, 5).pass_by(40)
    lived_in.platform.recount.reconcile()
    lived_in.platform.recount.reconcile()
    assert_right(lived_in)


def test_what_is_wrong_is_mended_when_it_is_found_twice(lived_in: World) -> None:
    recount = lived_in.platform.recount
    for _ in range(3):
        recount.reconcile()
    wrong = {"datasets": 5, "models/Lost": -1}
    lived_in.records.write([Add(FIGURES, "sums/0", wrong, {"all": Place(NOW, FIRST)})])
    lived_in.clock.pass_time(days=1, minutes=1)
    recount.reconcile()
    assert recount.missing() == {"datasets": -5, "models/Lost": 1}
    recount.reconcile()
    assert recount.missing() == {}


def test_what_an_index_does_not_show_yet_is_not_taken_for_missing(
    lived_in: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    recount = lived_in.platform.recount
    for _ in range(3):
        recount.reconcile()
    lived_in.clock.pass_time(days=1, minutes=1)
    query = lived_in.records.query

    def behind(index: str, partition: str, **options: object) -> object:
        page = query(index, partition, **options)  # type: ignore[arg-type] # passed through
        return type(page)(page.records[1:], page.next_token) if partition == "dataset" else page

    with monkeypatch.context() as patched:
        patched.setattr(lived_in.records, "query", behind)
        recount.reconcile()
    recount.reconcile()
    assert recount.missing() == {}


def test_a_recount_is_made_once_a_day(lived_in: World, monkeypatch: pytest.MonkeyPatch) -> None:
    recount = lived_in.platform.recount
    for _ in range(3):
        recount.reconcile()
    looked = []
    query = lived_in.records.query
    monkeypatch.setattr(lived_in.records, "query", lambda *where, **how: looked.append(where) or query(*where, **how))
    recount.reconcile()
    assert looked == []
    lived_in.clock.pass_time(days=1, minutes=1)
    recount.reconcile()
    assert looked


def test_cards_are_mended(lived_in: World) -> None:
    version = lived_in.trained().version
    card = f"model-version/{version}"
    places = lived_in.records.get(CARDS, card).indexes
    lived_in.records.write([Overwrite(Record(CARDS, "model-version/none:1", {}, places)), Delete(CARDS, card)])
    assert sorted(lived_in.platform.recount.wrong_cards()) == [card, "model-version/none:1"]
    lived_in.platform.recount.reconcile()
    lived_in.clock.pass_time(days=2)
    lived_in.platform.recount.reconcile()
    assert_right(lived_in)


# ---- the ledger


def test_a_write_that_does_not_say_what_it_counts_is_a_mistake(here: World) -> None:
    version = here.ready().version
    stored = here.records.get("dataset", version)
    for write in (Put(stored), Delete("dataset", version), Overwrite(stored), Add("dataset", version, {})):
        with pytest.raises(TypeError, match="does not say what it counts"):
            here.platform.records.write([write])
    with pytest.raises(TypeError, match="does not say"):
        here.platform.records.put(stored)
    assert_right(here)
