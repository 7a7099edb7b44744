"""Batch scoring: what may start, what it shows, and when its results exist."""

import contextlib

import pytest

from mlops_api.domain.errors import Conflict, NotFound, StorageFull
from mlops_api.domain.inference import StartBatch
from tests.support.platform import ANN, World, at_once


def jobs(here: World, status: str | None = None) -> list[str]:
    page = here.platform.batch.page(status=status, limit=50, token=None)  # type: ignore[arg-type] # test
    return [job.transform_job for job in page.transform_jobs]


def started(here: World, **options: str) -> str:
    return here.batch(here.approved().version, **options).transform_job


def test_a_job_scores_a_dataset_version_with_the_bundle(here: World) -> None:
    version = here.approved(deploy=True)
    dataset = here.ready().version
    job = here.batch("flights", dataset)
    assert (job.status, job.model_version, job.input, job.rows) == ("InProgress", version.version, dataset, 100)
    spec = here.transform.specs[job.transform_job]
    assert spec.input_prefix == "datasets/flights/2/table"
    assert here.objects.info(spec.model_key).size > 0


def test_a_version_that_is_not_approved_is_refused(here: World) -> None:
    version = here.trained().version
    with pytest.raises(Conflict, match=f"PendingManualApproval.*mlops models approve {version}") as refused:
        here.batch(version)
    assert refused.value.extra["status_now"] == "PendingManualApproval"
    assert here.transform.starts == {}


def test_a_dataset_that_is_not_ready_is_refused(here: World) -> None:
    version = here.approved().version
    with pytest.raises(Conflict, match="not Ready"):
        here.batch(version, here.uploaded())


def test_a_model_without_a_champion_and_an_unknown_one_are_not_found(here: World) -> None:
    here.approved()
    for model in ("flights", "nobody", "flights:7"):
        with pytest.raises(NotFound):
            here.batch(model)


def test_the_same_key_starts_one_job(here: World) -> None:
    version, dataset = here.approved().version, here.ready().version
    made = at_once(*[lambda: here.batch(version, dataset, key="k").transform_job] * 6)
    assert len(set(made)) == 1, made
    assert sum(here.transform.starts.values()) == 1
    with pytest.raises(Conflict, match="another request"):
        here.platform.batch.start(ANN, StartBatch(model=version, input=dataset, format="parquet"), "k")


def test_progress_is_live(here: World) -> None:
    job = started(here)
    here.transform.rows[job] = (100, 40, 3)
    found = here.platform.batch.get(job)
    assert (found.status, found.progress, found.rows, found.done_rows, found.failed_rows) == (
        "InProgress",
        0.4,
        100,
        40,
        3,
    )


def test_results_exist_once_the_job_is_completed(here: World) -> None:
    job = started(here)
    with pytest.raises(Conflict, match="InProgress: results exist once it is Completed"):
        here.platform.batch.results(job)
    here.transform.complete(job, b"value\n1\n", rows=100, failed=2)
    here.tell("transform", job)
    found = here.platform.batch.get(job)
    assert (found.status, found.progress, found.done_rows, found.failed_rows) == ("Completed", 1.0, 100, 2)
    assert here.platform.batch.results(job).size_bytes == 8


def test_a_failed_job_has_no_results_and_says_why(here: World) -> None:
    job = started(here)
    here.transform.end(job, "Failed", "no memory")
    here.tell("transform", job)
    assert here.platform.batch.get(job).failure_reason == "no memory"
    with pytest.raises(Conflict, match="Failed"):
        here.platform.batch.results(job)


def test_an_event_delivered_many_times_ends_a_job_once(here: World) -> None:
    job = started(here)
    here.transform.complete(job, b"", rows=100)
    assert at_once(*[lambda: here.tell("transform", job)] * 10) == [None] * 10
    entries = here.platform.activity.page(after=None, limit=100, token=None).activity
    assert [entry.action for entry in entries].count("batch.completed") == 1
    here.tell("transform", "not-ours")


def test_a_job_is_stopped_once_its_runner_has_ended_it(here: World) -> None:
    job = started(here)
    assert here.platform.batch.stop(ANN, job).status == "Stopping"
    assert here.platform.batch.stop(ANN, job).status == "Stopping"
    here.transform.end(job, "Stopped")
    here.tell("transform", job)
    assert here.platform.batch.get(job).status == "Stopped"
    with pytest.raises(Conflict, match="it has ended"):
        here.platform.batch.stop(ANN, job)


def test_reconcile_starts_what_was_lost_and_settles_what_ended(here: World) -> None:
    version = here.approved().version
    here.transform.lost = StorageFull("the process died here")
    here.batch(version)
    here.transform.lost = None
    [job] = jobs(here)
    here.platform.reconcile()
    assert here.transform.starts == {job: 1}
    here.transform.complete(job, b"", rows=100)
    here.platform.reconcile()
    assert here.platform.batch.get(job).status == "Completed"


def test_one_broken_job_does_not_hold_up_the_others(here: World) -> None:
    version = here.approved().version
    first, second = here.batch(version).transform_job, here.batch(version).transform_job
    del here.transform.states[first]
    here.transform.end(second, "Failed", "no")
    with contextlib.suppress(ExceptionGroup):
        here.platform.reconcile()
    assert here.platform.batch.get(second).status == "Failed"


def test_jobs_are_listed_newest_first_and_by_status(here: World) -> None:
    version = here.approved().version
    made = [here.batch(version).transform_job for _ in range(3)]
    here.transform.end(made[1], "Failed", "no")
    here.tell("transform", made[1])
    assert jobs(here) == made[::-1]
    assert jobs(here, "Failed") == [made[1]]
    assert jobs(here, "InProgress") == [made[2], made[0]]


def test_an_unknown_job_is_not_found(here: World) -> None:
    for call in (here.platform.batch.get, here.platform.batch.results, lambda job: here.platform.batch.stop(ANN, job)):
        with pytest.raises(NotFound, match="no-job"):
            call("no-job")
