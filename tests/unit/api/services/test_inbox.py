"""Files dropped into the store: one version each, whatever comes between; what cannot be taken is said."""

import pytest

from mlops_api.domain.errors import Unavailable
from mlops_api.services.inbox import PREFIX
from tests.support.lambda_events import object_created
from tests.support.platform import World, a_preview, a_profile, a_report, at_once, processing_job

CONTENT = b"a,b\n1,2\n"


def drop(here: World, key: str, content: bytes = CONTENT) -> None:
    here.objects.put(key, content)
    assert here.platform.events.handle(object_created(key))


def versions(here: World) -> list[str]:
    page = here.platform.datasets.page(name=None, status=None, limit=200, token=None)
    return [dataset.version for dataset in reversed(page.datasets)]


def refusals(here: World) -> list[tuple[str, str]]:
    page = here.platform.activity.page(after=None, limit=200, token=None)
    return [(entry.subject, entry.detail) for entry in page.activity if entry.action == "inbox.refused"]


def test_a_dropped_file_becomes_a_version_and_is_validated(here: World) -> None:
    drop(here, "inbox/flights/July 2013.csv")
    dataset = here.platform.datasets.get("flights:1")
    assert (dataset.filename, dataset.size_bytes, dataset.created_by) == ("July 2013.csv", 8, "platform")
    assert (dataset.status, dataset.sha256) == ("Validating", "")
    assert here.objects.read("datasets/flights/1/raw") == here.objects.read("inbox/flights/July 2013.csv") == CONTENT
    spec = here.processing.specs[processing_job("flights:1")]
    assert (spec.input_key, spec.filename, spec.sha256) == ("datasets/flights/1/raw", "July 2013.csv", "")


def test_its_hash_is_what_validation_found(here: World) -> None:
    drop(here, "inbox/flights/f.csv")
    here.processing.complete(processing_job("flights:1"), a_report(), a_profile(), a_preview())
    here.tell("processing", processing_job("flights:1"))
    dataset = here.platform.datasets.get("flights:1")
    assert (dataset.status, dataset.sha256) == ("Ready", a_report().sha256)


def test_repeats_change_nothing_and_new_content_is_a_new_version(here: World) -> None:
    for content in (b"a\n1\n", b"a\n1\n2\n", b"a\n1\n"):
        drop(here, "inbox/flights/f.csv", content)
        at_once(*[lambda: here.platform.events.handle(object_created("inbox/flights/f.csv"))] * 5)
    assert versions(here) == ["flights:1", "flights:2", "flights:3"]
    assert [here.objects.read(f"datasets/flights/{number}/raw") for number in (1, 2, 3)] == [
        b"a\n1\n",
        b"a\n1\n2\n",
        b"a\n1\n",
    ]


def test_uploads_and_drops_share_the_numbers(here: World) -> None:
    drop(here, "inbox/flights/f.csv")
    assert here.create("flights").version == "flights:2"
    drop(here, "inbox/flights/g.csv")
    assert versions(here) == ["flights:1", "flights:2", "flights:3"]


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("inbox/flights.csv", "inbox/DATASET/FILE"),
        ("inbox/2013/flights/f.csv", "inbox/DATASET/FILE"),
        ("inbox/my flights/f.csv", "name"),
        ("inbox/" + "x" * 49 + "/f.csv", "name"),
        ("inbox/flights/" + "x" * 256, "filename"),
    ],
)
def test_what_has_no_place_is_refused_and_said_once(here: World, key: str, reason: str) -> None:
    for _ in range(3):
        drop(here, key) if not refusals(here) else here.platform.events.handle(object_created(key))
    assert versions(here) == []
    [(subject, detail)] = refusals(here)
    assert subject == key[:200]
    assert reason in detail


def test_an_empty_file_is_refused(here: World) -> None:
    drop(here, "inbox/flights/f.csv", b"")
    assert "size_bytes" in refusals(here)[0][1]
    assert versions(here) == []


def test_a_key_that_the_platform_cannot_name_is_refused(here: World) -> None:
    for _ in range(2):
        assert here.platform.events.handle(object_created("inbox//f.csv"))
    assert [subject for subject, _ in refusals(here)] == ["inbox//f.csv"]


def test_markers_of_folders_and_files_that_are_gone_are_let_go(here: World) -> None:
    for key in ("inbox/", "inbox/flights/", "inbox/flights/gone.csv"):
        assert here.platform.events.handle(object_created(key))
    assert (versions(here), refusals(here)) == ([], [])


def test_what_the_platform_writes_never_comes_back(here: World) -> None:
    """Every key that was written for a dropped file, told as an event of its own."""
    drop(here, "inbox/flights/f.csv")
    here.processing.complete(processing_job("flights:1"), a_report(), a_profile(), a_preview())
    here.tell("processing", processing_job("flights:1"))
    keys = [found.key for found in here.objects.list("").objects]
    assert [key for key in keys if key.startswith(PREFIX)] == ["inbox/flights/f.csv"]
    for key in keys:
        here.platform.events.handle(object_created(key))
    assert versions(here) == ["flights:1"]


def test_a_crash_before_the_copy_is_made_good_by_the_next_delivery(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(here.objects, "copy", unavailable)
        with pytest.raises(Unavailable):
            drop(here, "inbox/flights/f.csv")
    assert here.platform.datasets.get("flights:1").status == "AwaitingUpload"
    assert here.platform.events.handle(object_created("inbox/flights/f.csv"))
    assert here.platform.datasets.get("flights:1").status == "Validating"
    assert versions(here) == ["flights:1"]


def test_or_by_the_schedule(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here.create("flights")  # an upload under way is not the inbox's
    with monkeypatch.context() as broken:
        broken.setattr(here.objects, "copy", unavailable)
        with pytest.raises(Unavailable):
            drop(here, "inbox/flights/f.csv")
    here.platform.tidy()
    statuses = [here.platform.datasets.get(version).status for version in versions(here)]
    assert statuses == ["AwaitingUpload", "Validating"]


def test_a_file_deleted_before_the_copy_leaves_no_version_behind(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(here.objects, "copy", unavailable)
        with pytest.raises(Unavailable):
            drop(here, "inbox/flights/f.csv")
    here.objects.delete("inbox/flights/f.csv")
    here.platform.tidy()
    assert versions(here) == []


def unavailable(*_: object, **__: object) -> None:
    raise Unavailable("the store is away")
