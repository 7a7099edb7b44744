"""The dashboard's figures against a platform whose content is known, and the activity log."""

import threading

import anyio
import pytest

from mlops_api.domain.dashboard import DashboardStats
from mlops_api.domain.models import Approve
from mlops_contracts.dataset import Finding
from tests.support.platform import ANN, World, a_report, processing_job


def stats(here: World) -> DashboardStats:
    return here.platform.dashboard.stats()


def counts(here: World) -> dict[str, float]:
    return {name: figure.value for name, figure in stats(here).counts.items()}


def failed_job(here: World, dataset: str) -> str:
    job = here.start(dataset).job
    here.training.end(job, "Failed", "one class only")
    here.tell("training", job)
    return job


def test_an_empty_platform_has_zeros_and_nothing_to_attend_to(here: World) -> None:
    found = stats(here)
    assert set(counts(here).values()) == {0}
    assert (found.needs_attention, found.running, found.champions) == ([], [], [])
    assert found.serving["requests"].value == 0
    assert found.storage["datasets"].value == 0


def test_everything_is_counted(here: World) -> None:
    first = here.approved(deploy=True)
    here.trained()
    dataset = here.ready().version
    here.create()
    here.start(dataset)
    failed_job(here, dataset)
    here.batch(first.version, dataset)
    assert counts(here) == {
        "datasets": 4,
        "datasets_ready": 3,
        "pipelines": 3,
        "pipelines_running": 0,
        "training_jobs": 4,
        "training_jobs_running": 1,
        "training_jobs_failed": 1,
        "model_versions": 2,
        "pending_approval": 1,
        "endpoints": 1,
        "batch_jobs": 1,
    }
    assert stats(here).storage["datasets"].value == 4 * 8
    assert stats(here).storage["models"].value == 2 * first.size_bytes


def test_what_needs_a_person_is_listed_newest_first(here: World) -> None:
    pending = here.trained().version
    job = failed_job(here, "flights:1")
    rejected = here.uploaded()
    here.processing.complete(processing_job(rejected), a_report((), Finding(code="x", message="y", row=1)))
    here.tell("processing", processing_job(rejected))
    good = here.approved("penguins").version
    batch = here.batch(good, "flights:1").transform_job
    here.transform.end(batch, "Failed", "no memory")
    here.tell("transform", batch)
    here.platform.registry.approve(ANN, here.trained("wines").version, Approve(deploy=True), None)
    here.host.failed("wines", "no such file")
    here.tell("endpoint", "wines")
    found = {(item.kind, item.id): item.message for item in stats(here).needs_attention}
    assert found == {
        ("pending_approval", pending): "auc 0.7",
        ("failed_job", job): "one class only",
        ("rejected_dataset", rejected): "1 violations",
        ("failed_batch", batch): "no memory",
        ("failed_endpoint", "wines"): "no such file",
    }
    moments = [item.at for item in stats(here).needs_attention]
    assert moments == sorted(moments, reverse=True)


def test_what_was_settled_needs_nobody(here: World) -> None:
    version = here.trained().version
    assert len(stats(here).needs_attention) == 1
    here.platform.registry.approve(ANN, version, Approve(), None)
    assert stats(here).needs_attention == []


def test_failures_are_forgotten_after_a_week_and_pending_approvals_are_not(here: World) -> None:
    pending = here.trained().version
    failed_job(here, "flights:1")
    here.clock.pass_time(days=8)
    assert [item.id for item in stats(here).needs_attention] == [pending]


def test_running_jobs_show_their_progress(here: World) -> None:
    job = here.start(here.ready().version).job
    here.training.set(job, progress=0.4)
    [running] = stats(here).running
    assert (running.job, running.status, running.progress) == (job, "InProgress", 0.4)


def test_champions_are_shown_with_the_one_before(here: World) -> None:
    here.approved(deploy=True, metrics={"auc": 0.6})
    here.approved(deploy=True, metrics={"auc": 0.8})
    here.trained("penguins")
    [found] = stats(here).champions
    assert (found.model, found.version, found.value) == ("flights", "flights:2", 0.8)
    assert (found.previous_version, found.previous_value, found.endpoint_status) == ("flights:1", 0.6, "InService")


def test_a_champion_without_a_predecessor_has_none(here: World) -> None:
    here.approved(deploy=True)
    [found] = stats(here).champions
    assert (found.previous_version, found.previous_value) == (None, None)


def test_training_time_is_summed(here: World) -> None:
    job = here.start(here.ready().version).job
    here.training.set(job, started_at="2026-11-22T12:00:00.000000Z")
    here.training.end(job, "Failed", "no")
    here.training.set(job, ended_at="2026-11-22T12:01:30.500000Z")
    here.tell("training", job)
    assert stats(here).cost["training_seconds"].value == 90.5
    here.clock.pass_time(days=31)
    assert stats(here).cost["training_seconds"].value == 0


def test_figures_are_exact_once_they_were_counted(here: World) -> None:
    here.create()
    assert not stats(here).counts["datasets"].exact
    here.platform.reconcile()
    assert all(figure.exact for figure in stats(here).counts.values())
    assert counts(here)["datasets"] == 1


def test_of_each_kind_the_newest_are_listed(here: World) -> None:
    dataset = here.ready().version
    jobs = [failed_job(here, dataset) for _ in range(22)]
    pending = here.completed(here.start(dataset).job).version
    found = [(item.kind, item.id) for item in stats(here).needs_attention]
    assert sorted(found) == sorted([("pending_approval", pending), *(("failed_job", job) for job in jobs[2:])])
    assert counts(here)["training_jobs_failed"] == 22


# ---- activity


def page(here: World, **where: object):
    return here.platform.activity.page(**({"after": None, "limit": 50, "token": None} | where))  # type: ignore[arg-type]


def test_activity_is_newest_first_in_pages(here: World) -> None:
    for name in ("a", "b", "c"):
        here.create(name)
    first = page(here, limit=2)
    assert [entry.subject for entry in first.activity] == ["c:1", "b:1"]
    second = page(here, limit=2, token=first.next_token)
    assert [entry.subject for entry in second.activity] == ["a:1"]
    assert second.next_token is None


def test_activity_after_an_entry_is_what_came_since(here: World) -> None:
    here.create("a")
    [last] = page(here).activity
    here.create("b")
    here.create("c")
    assert [entry.subject for entry in page(here, after=last.id).activity] == ["b:1", "c:1"]


def test_a_waiting_reader_gets_what_happens_meanwhile(here: World) -> None:
    here.create("a")
    [last] = page(here).activity

    async def wait_and_act() -> list[str]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.to_thread.run_sync, lambda: here.create("b"))
            found = await here.platform.activity.wait_for_page(after=last.id, wait=10, limit=50, token=None)
        return [entry.subject for entry in found.activity]

    assert anyio.run(wait_and_act) == ["b:1"]


def test_a_waiting_reader_never_reads_in_the_event_loop(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here.create("a")
    readers = set()
    reads = here.records.query

    def noted(*where: object, **options: object) -> object:
        readers.add(threading.get_ident())
        return reads(*where, **options)  # type: ignore[arg-type] # passed through

    monkeypatch.setattr(here.records, "query", noted)

    async def wait() -> int:
        await here.platform.activity.wait_for_page(after="9", wait=0.3, limit=50, token=None)
        return threading.get_ident()

    assert anyio.run(wait) not in readers
    assert readers


def test_a_waiting_reader_is_answered_when_nothing_happens(here: World) -> None:
    here.create("a")
    [last] = page(here).activity

    async def wait() -> int:
        with anyio.fail_after(5):
            found = await here.platform.activity.wait_for_page(after=last.id, wait=0.3, limit=50, token=None)
        return len(found.activity)

    assert anyio.run(wait) == 0


@pytest.mark.parametrize("after", ["\x00", "x" * 100, "'; DROP TABLE records", "9999"])
def test_any_text_may_stand_behind_after(here: World, after: str) -> None:
    here.create("a")
    assert page(here, after=after).next_token is None
