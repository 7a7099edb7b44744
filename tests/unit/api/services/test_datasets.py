"""Uploads, numbering, verdicts, deletion: what must hold whatever comes between two steps."""

import contextlib

import pytest

from mlops_api.domain.datasets import CompletedPart, CompleteUpload
from mlops_api.domain.errors import Conflict, Invalid, NotFound, StorageFull, TooLarge
from mlops_contracts.dataset import Finding
from tests.support.platform import (
    ANN,
    BOB,
    World,
    a_dataset,
    a_preview,
    a_profile,
    a_report,
    at_once,
    processing_job,
    world,
)


def versions(here: World, **filters: object) -> list[str]:
    found = {"name": None, "status": None, "limit": 200, "token": None} | filters
    return [item.version for item in here.platform.datasets.page(**found).datasets]  # type: ignore[arg-type] # test


# ---- numbering and idempotency


def test_numbers_have_no_gap_when_many_upload_at_once(here: World) -> None:
    def three() -> list[str]:
        return [here.create().version for _ in range(3)]

    made = at_once(*[three] * 8)
    found = [version for some in made if isinstance(some, list) for version in some]
    assert sorted(int(version.partition(":")[2]) for version in found) == list(range(1, 25)), made


def test_names_are_numbered_apart(here: World) -> None:
    assert [here.create(name).version for name in ("a", "b", "a")] == ["a:1", "b:1", "a:2"]


def test_the_same_key_gives_the_same_version(here: World) -> None:
    first, second = here.create(key="k"), here.create(key="k")
    assert first.version == second.version == "flights:1"
    assert second.upload is not None
    assert len(second.upload.parts) == len(first.upload.parts if first.upload else [])
    assert versions(here) == ["flights:1"]


def test_a_key_used_for_something_else_is_refused(here: World) -> None:
    here.create(key="k")
    with pytest.raises(Conflict, match="another request"):
        here.create(content=b"a,b\n9,9\n", key="k")


def test_a_key_belongs_to_the_one_who_sent_it(here: World) -> None:
    here.create(key="k")
    other = here.platform.datasets.create(BOB, a_dataset(), "k")
    assert (other.version, other.created_by) == ("flights:2", "bob")


def test_the_same_key_at_the_same_time_makes_one_version(here: World) -> None:
    made = at_once(*[lambda: here.create(key="k").version] * 8)
    assert made == ["flights:1"] * 8
    assert versions(here) == ["flights:1"]


def test_a_key_is_forgotten_after_a_day(here: World) -> None:
    here.create(key="k")
    here.clock.pass_time(hours=25)
    assert here.create(key="k").version == "flights:2"


def test_a_file_over_the_limit_is_refused_before_a_number_is_taken(tmp_path, here: World) -> None:
    with world(tmp_path / "small", max_upload_bytes=100) as small:
        with pytest.raises(TooLarge, match="MLOPS_MAX_UPLOAD_BYTES"):
            small.create(content=b"x" * 101)
        assert small.create(content=b"x" * 100).version == "flights:1"


# ---- completing


def test_completing_starts_validation(here: World) -> None:
    created = here.create()
    summary = here.platform.datasets.complete(ANN, created.version, here.send(created))
    assert summary.status == "Validating"
    spec = here.processing.specs["flights-v1"]
    assert here.objects.read(spec.input_key) == b"a,b\n1,2\n"
    assert (spec.filename, spec.output_prefix) == ("f.csv", "datasets/flights/1/table")


def test_an_upload_of_several_parts_is_put_together_in_order(here: World) -> None:
    content = bytes(range(256)) * 10
    created = here.create(content=content)
    assert created.upload is not None
    assert len(created.upload.parts) == 3
    parts = here.send(created, content)
    turned = CompleteUpload(parts=list(reversed(parts.parts)))
    here.platform.datasets.complete(ANN, created.version, turned)
    assert here.objects.read("datasets/flights/1/raw") == content


def test_completing_twice_answers_the_same_and_starts_once(here: World) -> None:
    created = here.create()
    parts = here.send(created)
    first = here.platform.datasets.complete(ANN, created.version, parts)
    assert here.platform.datasets.complete(ANN, created.version, parts) == first
    assert here.processing.starts == {"flights-v1": 1}


def test_completing_at_the_same_time_starts_once(here: World) -> None:
    created = here.create()
    parts = here.send(created)
    done = at_once(*[lambda: here.platform.datasets.complete(ANN, created.version, parts).status] * 6)
    assert done == ["Validating"] * 6
    assert here.processing.starts == {"flights-v1": 1}


def test_completing_with_a_part_missing_names_it(here: World) -> None:
    created = here.create(content=b"x" * 3000)
    parts = here.send(created, b"x" * 3000)
    with pytest.raises(Conflict, match="2"):
        here.platform.datasets.complete(ANN, created.version, CompleteUpload(parts=[parts.parts[0], parts.parts[2]]))
    assert here.platform.datasets.get(created.version).status == "AwaitingUpload"


def test_completing_with_another_etag_is_refused(here: World) -> None:
    created = here.create()
    here.send(created)
    wrong = CompleteUpload(parts=[CompletedPart(part_number=1, etag="0" * 64)])
    with pytest.raises(Conflict, match="1"):
        here.platform.datasets.complete(ANN, created.version, wrong)


def test_a_crash_between_the_file_and_the_record_is_made_good_by_a_repeat(here: World) -> None:
    created = here.create()
    parts = here.send(created)
    assemble(here, created.version, parts)
    assert here.platform.datasets.get(created.version).status == "AwaitingUpload"
    assert here.platform.datasets.complete(ANN, created.version, parts).status == "Validating"
    assert here.processing.starts == {"flights-v1": 1}


def assemble(here: World, version: str, parts: CompleteUpload) -> None:
    """What `complete` does first; the process then dies."""
    upload_id = here.records.get("dataset", version).data["upload_id"]
    here.objects.complete_upload(str(upload_id), [(part.part_number, part.etag) for part in parts.parts])


def test_asking_for_urls_after_such_a_crash_says_to_complete(here: World) -> None:
    created = here.create(key="k")
    assemble(here, created.version, here.send(created))
    with pytest.raises(Conflict, match=r"flights:1/complete"):
        here.platform.datasets.upload(created.version)
    assert here.create(key="k").upload is None


def test_completing_an_upload_that_was_swept_says_what_to_do(here: World) -> None:
    created = here.create()
    parts = here.send(created)
    here.objects.sweep_uploads(-1)
    with pytest.raises(Conflict, match="Create a new version"):
        here.platform.datasets.complete(ANN, created.version, parts)


def test_fresh_urls_know_the_parts_that_arrived(here: World) -> None:
    content = b"x" * 3000
    created = here.create(content=content)
    assert created.upload is not None
    sent = here._send_part(created.upload.parts[1].url, content, created.upload.part_size)
    again = here.platform.datasets.upload(created.version)
    assert [part.etag for part in again.parts] == [None, sent.etag, None]


def test_no_urls_for_a_version_that_has_its_file(here: World) -> None:
    version = here.uploaded()
    with pytest.raises(Conflict, match="Validating"):
        here.platform.datasets.upload(version)


# ---- verdicts


def test_an_accepted_table_is_ready(here: World) -> None:
    found = here.ready()
    assert (found.status, found.rows, found.column_count, found.violation_count) == ("Ready", 100, 7, 0)
    assert found.columns[0].name == "late"
    assert here.platform.datasets.profile(found.version).rows == 100
    assert here.platform.datasets.preview(found.version).columns[0] == "late"


def test_a_rejected_table_names_row_and_column_and_keeps_its_file(here: World) -> None:
    version = here.uploaded()
    finding = Finding(code="ragged_row", message="row 7 has 3 cells", column="b", row=7, line=8)
    here.processing.complete("flights-v1", a_report((), finding))
    here.tell("processing", "flights-v1")
    found = here.platform.datasets.get(version)
    assert (found.status, found.violation_count) == ("Rejected", 1)
    assert found.quality.violations == (finding,)
    assert here.platform.datasets.quality(version).violations[0].row == 7
    assert here.platform.datasets.download(version).size_bytes == 8
    with pytest.raises(Conflict, match=r"Rejected, not Ready.*quality"):
        here.platform.datasets.profile(version)


def test_a_validation_that_broke_rejects_with_its_reason(here: World) -> None:
    version = here.uploaded()
    here.processing.end("flights-v1", "Failed", "out of memory")
    here.tell("processing", "flights-v1")
    found = here.platform.datasets.get(version)
    assert (found.status, found.failure_reason) == ("Rejected", "out of memory")
    assert found.quality.violations[0].message == "out of memory"


def test_a_stopped_validation_rejects(here: World) -> None:
    version = here.uploaded()
    here.processing.end("flights-v1", "Stopped")
    here.tell("processing", "flights-v1")
    assert here.platform.datasets.get(version).failure_reason == "validation was stopped"


@pytest.mark.parametrize("content", [None, b"{", b"[]"])
def test_a_verdict_that_cannot_be_read_rejects_instead_of_waiting_for_ever(here: World, content: bytes | None) -> None:
    version = here.uploaded()
    if content is not None:
        here.objects.put("datasets/flights/1/table/dataset.json", content)
    here.processing.end("flights-v1", "Completed")
    here.tell("processing", "flights-v1")
    found = here.platform.datasets.get(version)
    assert found.status == "Rejected"
    assert found.failure_reason is not None
    assert "verdict" in found.failure_reason


def test_an_event_delivered_many_times_writes_one_verdict(here: World) -> None:
    version = here.uploaded()
    here.processing.complete("flights-v1", a_report())
    assert at_once(*[lambda: here.tell("processing", "flights-v1")] * 10) == [None] * 10
    actions = [entry.action for entry in here.platform.activity.page(after=None, limit=50, token=None).activity]
    assert actions.count("dataset.ready") == 1
    assert here.platform.datasets.get(version).status == "Ready"


def test_an_event_before_the_end_changes_nothing(here: World) -> None:
    version = here.uploaded()
    here.tell("processing", "flights-v1")
    assert here.platform.datasets.get(version).status == "Validating"


def test_a_late_event_does_not_change_a_verdict(here: World) -> None:
    version = here.ready().version
    here.processing.end("flights-v1", "Failed", "a late and wrong word")
    here.tell("processing", "flights-v1")
    assert here.platform.datasets.get(version).status == "Ready"


@pytest.mark.parametrize("job", ["flights", "flights-vx", "-v1", "nobody-v4", ""])
def test_events_of_other_jobs_are_passed_over(here: World, job: str) -> None:
    here.uploaded()
    here.tell("processing", job)
    assert versions(here) == ["flights:1"]


def test_reconcile_starts_a_validation_that_was_lost(here: World) -> None:
    created = here.create()
    parts = here.send(created)
    here.processing.lost = StorageFull("no space")
    here.platform.datasets.complete(ANN, created.version, parts)
    here.processing.lost = None
    assert here.processing.starts == {}
    here.platform.reconcile()
    here.platform.reconcile()
    assert here.processing.starts == {"flights-v1": 1}


def test_reconcile_writes_a_verdict_whose_event_was_lost(here: World) -> None:
    version = here.uploaded()
    here.processing.complete("flights-v1", a_report(), a_profile(), a_preview())
    here.platform.reconcile()
    assert here.platform.datasets.get(version).status == "Ready"


def test_one_broken_job_does_not_hold_up_the_others(here: World) -> None:
    first, second = here.uploaded(), here.uploaded()
    here.processing.complete(processing_job(second), a_report())
    del here.processing.states[processing_job(first)]  # the runner has lost it: describe raises
    with contextlib.suppress(ExceptionGroup):
        here.platform.reconcile()
    assert here.platform.datasets.get(second).status == "Ready"


# ---- latest, lists


def test_latest_is_the_newest_ready_one(here: World) -> None:
    first = here.ready().version
    second = here.ready().version
    here.uploaded()
    assert here.platform.datasets.get("flights:latest").version == second != first


def test_latest_of_nothing_says_how_to_upload(here: World) -> None:
    here.uploaded()
    with pytest.raises(NotFound, match="mlops data upload"):
        here.platform.datasets.get("flights:latest")


def test_latest_is_found_behind_many_that_are_not_ready(here: World) -> None:
    ready = here.ready().version
    for _ in range(25):
        here.create()
    assert here.platform.datasets.get("flights:latest").version == ready


def test_an_unknown_alias_is_not_found(here: World) -> None:
    here.ready()
    with pytest.raises(NotFound, match="flights:newest"):
        here.platform.datasets.get("flights:newest")


@pytest.mark.parametrize("version", ["flights", "flights:0", "flights:01", "../x:1", "a:1:2", "flights:1\n", ""])
def test_what_is_no_version_is_refused(here: World, version: str) -> None:
    with pytest.raises(Invalid, match="name:number"):
        here.platform.datasets.get(version)


def test_lists_are_newest_first_and_filtered(here: World) -> None:
    here.ready("a")
    here.uploaded("b")
    here.ready("a")
    assert versions(here) == ["a:2", "b:1", "a:1"]
    assert versions(here, name="a") == ["a:2", "a:1"]
    assert versions(here, status="Ready") == ["a:2", "a:1"]
    assert versions(here, status="Validating") == ["b:1"]
    assert versions(here, name="a", status="Validating") == []
    assert versions(here, name="nobody") == []


def test_pages_give_everything_once(here: World) -> None:
    made = [here.create().version for _ in range(7)]
    found, token = [], None
    while True:
        page = here.platform.datasets.page(name=None, status=None, limit=3, token=token)
        assert len(page.datasets) <= 3
        found += [item.version for item in page.datasets]
        token = page.next_token
        if token is None:
            break
    assert found == made[::-1]


# ---- deleting and sweeping


def test_a_deleted_version_is_gone_with_its_files_and_its_number_is_not_given_again(here: World) -> None:
    version = here.ready().version
    here.platform.datasets.delete(ANN, version)
    with pytest.raises(NotFound):
        here.platform.datasets.get(version)
    assert here.objects.list("datasets/").objects == []
    assert here.create().version == "flights:2"


def test_deleting_one_version_leaves_its_neighbours(here: World) -> None:
    made = [here.ready().version for _ in range(11)]
    here.platform.datasets.delete(ANN, made[0])
    assert here.platform.datasets.get("flights:10").columns
    assert here.platform.datasets.get("flights:11").columns


def test_a_version_that_a_job_used_cannot_be_deleted(here: World) -> None:
    version = here.ready().version
    job = here.start(version).job
    with pytest.raises(Conflict, match=job) as refused:
        here.platform.datasets.delete(ANN, version)
    assert refused.value.extra["used_by"] == [job]


def test_a_version_that_a_batch_job_used_cannot_be_deleted(here: World) -> None:
    model = here.approved().version
    version = here.ready().version
    job = here.batch(model, version).transform_job
    with pytest.raises(Conflict, match=job):
        here.platform.datasets.delete(ANN, version)


def test_deletion_and_use_at_once_never_both_succeed(here: World) -> None:
    for _ in range(6):
        version = here.ready().version
        started, deleted = at_once(
            lambda v=version: here.start(v).job, lambda v=version: here.platform.datasets.delete(ANN, v)
        )
        assert isinstance(started, str) != (deleted is None), (started, deleted)
        if isinstance(started, str):
            assert here.platform.datasets.get(version).last_used_by == started
            assert isinstance(deleted, Conflict)
        else:
            assert isinstance(started, NotFound | Conflict)


def test_deleting_under_validation_stops_the_job(here: World) -> None:
    version = here.uploaded()
    here.platform.datasets.delete(ANN, version)
    assert here.processing.stops == {"flights-v1": 1}


def test_deleting_a_version_whose_validation_never_started(here: World) -> None:
    created = here.create()
    parts = here.send(created)
    here.processing.lost = StorageFull("no space")
    here.platform.datasets.complete(ANN, created.version, parts)
    here.platform.datasets.delete(ANN, created.version)
    assert versions(here) == []


def test_deleting_an_upload_under_way_ends_it(here: World) -> None:
    created = here.create()
    here.platform.datasets.delete(ANN, created.version)
    with pytest.raises(NotFound):
        here.send(created)


def test_the_sweep_drops_what_was_not_completed_in_time_and_nothing_else(here: World) -> None:
    abandoned = here.create("abandoned")
    ready = here.ready().version
    here.clock.pass_time(seconds=here.settings.upload_seconds + 60)
    fresh = here.create("fresh").version
    assert here.platform.datasets.sweep() == 1
    assert versions(here) == [fresh, ready]
    with pytest.raises(NotFound):
        here.send(abandoned)


@pytest.mark.parametrize("read", ["every", "get_many"])
def test_the_sweep_spares_an_upload_that_is_completed_at_the_last_moment(
    here: World, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    created = here.create()
    parts = here.send(created)
    here.clock.pass_time(seconds=here.settings.upload_seconds + 60)
    datasets = here.platform.datasets
    reader = datasets._datasets if read == "every" else here.records
    reads = getattr(reader, read)

    def read_and_be_overtaken(*where: object) -> object:
        found = reads(*where)
        found = list(found) if read == "every" else found
        monkeypatch.setattr(reader, read, reads)
        datasets.complete(ANN, created.version, parts)
        return found

    monkeypatch.setattr(here.objects, "sweep_uploads", lambda _: 0)
    monkeypatch.setattr(reader, read, read_and_be_overtaken)
    assert datasets.sweep() == 0
    assert datasets.get(created.version).status == "Validating"


def test_the_sweep_removes_the_file_of_an_upload_that_nobody_completed(here: World) -> None:
    created = here.create()
    assemble(here, created.version, here.send(created))
    here.clock.pass_time(seconds=here.settings.upload_seconds + 60)
    assert here.platform.datasets.sweep() == 1
    assert here.objects.list("datasets/").objects == []


def test_every_step_is_in_the_activity(here: World) -> None:
    version = here.ready().version
    here.platform.datasets.delete(ANN, version)
    entries = here.platform.activity.page(after=None, limit=50, token=None).activity
    assert [(entry.action, entry.by, entry.subject) for entry in reversed(entries)] == [
        ("dataset.create", "ann", version),
        ("dataset.complete", "ann", version),
        ("dataset.ready", "platform", version),
        ("dataset.delete", "ann", version),
    ]
