"""A repeat with the same Idempotency-Key has no second effect, and rivals between read and write are seen."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from mlops_api.domain.errors import Conflict, NotFound
from mlops_api.domain.inference import PutEndpoint
from mlops_api.domain.models import Approve, Reject, Rollback, SetAlias
from mlops_api.ports import Record, RecordName
from tests.support.platform import ANN, World


def crowned(here: World) -> str:
    version = here.approved().version
    here.platform.registry.set_alias(ANN, "flights", "champion", SetAlias(version=version))
    return version


def champion(here: World) -> str:
    return here.platform.registry.get("flights:champion").version


def test_a_repeated_rollback_goes_back_once(here: World) -> None:
    for _ in range(3):
        crowned(here)
    for _ in range(3):
        here.platform.registry.rollback(ANN, "flights", Rollback(), "one-key")
    assert champion(here) == "flights:2"
    here.platform.registry.rollback(ANN, "flights", Rollback(), "another-key")
    assert champion(here) == "flights:1"


def test_a_repeated_rejection_is_no_conflict(here: World) -> None:
    version = here.trained().version
    answers = [here.platform.registry.reject(ANN, version, Reject(), "k").approval_status for _ in range(2)]
    assert answers == ["Rejected", "Rejected"]
    with pytest.raises(Conflict):
        here.platform.registry.reject(ANN, version, Reject(), "another")


def test_approving_again_with_deploy_deploys(here: World) -> None:
    version = here.approved().version
    here.platform.registry.approve(ANN, version, Approve(deploy=True), None)
    here.host.loaded("flights")
    here.tell("endpoint", "flights")
    assert champion(here) == version
    decisions = here.platform.registry.get(version).decisions
    assert [decision.action for decision in decisions] == ["Approved"]


# ---- rivals


def before(here: World, monkeypatch: pytest.MonkeyPatch, rival: Callable[[], object]) -> None:
    """Let `rival` act once between the next change's reads and its write."""
    write = here.records.write
    rivals = [rival]

    def beaten(writes: object) -> None:
        if rivals:
            rivals.pop()()
        write(writes)  # type: ignore[arg-type] # handed on as it came

    monkeypatch.setattr(here.records, "write", beaten)


def test_a_version_rejected_meanwhile_is_not_deployed(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    version = here.approved().version
    before(here, monkeypatch, lambda: here.platform.registry.reject(ANN, version, Reject()))
    request = PutEndpoint.model_validate({"variants": [{"variant": "a", "model_version": version}]})
    with pytest.raises(Conflict, match="Rejected"):
        here.platform.endpoints.put(ANN, "flights", request)
    with pytest.raises(NotFound):
        here.platform.endpoints.get("flights")


def test_a_version_rejected_meanwhile_is_not_crowned(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here.approved(deploy=True)
    version = here.approved().version
    before(here, monkeypatch, lambda: here.platform.registry.reject(ANN, version, Reject()))
    with pytest.raises(Conflict, match="Rejected"):
        here.platform.registry.set_alias(ANN, "flights", "champion", SetAlias(version=version))
    assert champion(here) == "flights:1"


def test_a_dataset_used_meanwhile_is_not_deleted(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    version = here.approved().version
    dataset = here.ready().version
    before(here, monkeypatch, lambda: here.batch(version, dataset))
    with pytest.raises(Conflict):
        here.platform.datasets.delete(ANN, dataset)
    assert here.platform.datasets.get(dataset).status == "Ready"


# ---- deletion


def test_files_of_a_deleted_version_go_whatever_happens(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    version = here.ready().version

    def dies(key: str) -> None:
        raise NotFound("the process died here")

    with monkeypatch.context() as patched:
        patched.setattr(here.objects, "delete", dies)
        here.platform.datasets.delete(ANN, version)
    assert here.objects.list("datasets/").objects != []
    here.platform.reconcile()
    assert list(here.objects.list("datasets/").objects) == []


def test_a_deleted_version_that_validates_leaves_nothing(here: World) -> None:
    version = here.uploaded()
    here.platform.datasets.delete(ANN, version)
    assert here.processing.stops == {"flights-v1": 1}
    here.processing.complete("flights-v1", *_outputs())
    here.platform.reconcile()
    assert list(here.objects.list("datasets/").objects) == []


def _outputs() -> tuple[object, ...]:
    from tests.support.platform import a_preview, a_profile, a_report

    return a_report(), a_profile(), a_preview()


def test_a_version_deployed_meanwhile_is_not_rejected(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    here.approved(deploy=True)
    version = here.approved().version
    request = PutEndpoint.model_validate({"variants": [{"variant": "a", "model_version": version}]})
    before(here, monkeypatch, lambda: here.platform.endpoints.put(ANN, "flights", request))
    with pytest.raises(Conflict, match="serves behind the endpoint"):
        here.platform.registry.reject(ANN, version, Reject())
    assert here.platform.registry.get(version).approval_status == "Approved"


def test_a_repeat_whose_reads_are_of_two_moments_gets_the_first_result(
    here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB reads several records one after the other: the key before the first call, the version after it."""
    version = here.trained().version
    read = here.records.get_many
    rivals = [lambda: here.platform.registry.approve(ANN, version, Approve(), "k")]

    def torn(names: Sequence[RecordName]) -> Mapping[RecordName, Record]:
        early = read(names)
        if not rivals:
            return early
        rivals.pop()()
        late = {name: record for name, record in read(names).items() if name[0] != "idempotency"}
        return late | {name: record for name, record in early.items() if name[0] == "idempotency"}

    monkeypatch.setattr(here.records, "get_many", torn)
    assert here.platform.registry.approve(ANN, version, Approve(), "k").approval_status == "Approved"
    assert len(here.platform.registry.get(version).decisions) == 1
