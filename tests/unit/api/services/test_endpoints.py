"""Endpoints: what serves is what the record says, whenever an event comes and whatever dies in between."""

import pytest

from mlops_api.domain.errors import Conflict, Invalid, NotFound, StorageFull
from mlops_api.domain.inference import Endpoint, PutEndpoint
from mlops_api.domain.models import Approve, Rollback
from tests.support.platform import ANN, World, at_once


def put(here: World, *variants: tuple[str, str, float], endpoint: str = "flights") -> Endpoint:
    asked = [{"variant": name, "model_version": version, "weight": weight} for name, version, weight in variants]
    request = PutEndpoint.model_validate({"variants": asked})
    return here.platform.endpoints.put(ANN, endpoint, request)


def serving(here: World) -> list[tuple[str, str, float]]:
    found = here.platform.endpoints.get("flights")
    return [(item.variant, item.model_version, item.weight) for item in found.variants]


def champion(here: World) -> str:
    return here.platform.registry.get("flights:champion").version


def deployed(here: World) -> None:
    here.host.loaded("flights")
    here.tell("endpoint", "flights")


def test_one_variant_becomes_the_champion_when_it_answers(here: World) -> None:
    version = here.approved().version
    assert put(here, ("a", version, 1)).status == "Creating"
    deployed(here)
    assert serving(here) == [("a", version, 1.0)]
    assert champion(here) == version


def test_several_variants_share_the_traffic_and_leave_the_champion(here: World) -> None:
    first = here.approved(deploy=True).version
    second = here.approved().version
    assert put(here, ("old", first, 9), ("new", second, 1)).status == "Updating"
    deployed(here)
    assert serving(here) == [("old", first, 9.0), ("new", second, 1.0)]
    assert champion(here) == first


def test_only_approved_versions_are_deployed(here: World) -> None:
    version = here.trained().version
    with pytest.raises(Conflict, match=r"PendingManualApproval.*--deploy"):
        put(here, ("a", version, 1))
    with pytest.raises(NotFound):
        here.platform.endpoints.get("flights")


def test_an_endpoint_serves_its_own_model(here: World) -> None:
    version = here.approved("penguins").version
    with pytest.raises(Invalid, match="has the name of its model"):
        put(here, ("a", version, 1))


def test_variants_have_their_own_names(here: World) -> None:
    version = here.approved().version
    with pytest.raises(Invalid, match="same name"):
        put(here, ("a", version, 1), ("a", version, 2))


def test_the_same_version_may_serve_as_two_variants(here: World) -> None:
    version = here.approved().version
    put(here, ("a", version, 1), ("b", version, 2))
    deployed(here)
    assert serving(here) == [("a", version, 1.0), ("b", version, 2.0)]


@pytest.mark.parametrize("weight", [0, -1, 1001, float("nan"), float("inf")])
def test_weights_have_bounds(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        PutEndpoint.model_validate({"variants": [{"variant": "a", "model_version": "m:1", "weight": weight}]})


def test_what_serves_already_is_in_service_at_once(here: World) -> None:
    """The host has nothing to do and sends no event."""
    first = here.approved(deploy=True).version
    here.platform.registry.approve(ANN, here.trained().version, Approve(deploy=True), None)
    here.host.failed("flights", "broken")
    here.tell("endpoint", "flights")
    found = put(here, ("v1", first, 1))
    assert (found.status, found.failure_reason, found.pending) == ("InService", None, [])


# ---- events


def test_an_event_delivered_many_times_settles_once(here: World) -> None:
    version = here.approved().version
    put(here, ("a", version, 1))
    here.host.loaded("flights")
    assert at_once(*[lambda: here.tell("endpoint", "flights")] * 10) == [None] * 10
    entries = here.platform.activity.page(after=None, limit=100, token=None).activity
    assert [entry.action for entry in entries].count("endpoint.in_service") == 1


def test_an_event_before_the_end_changes_nothing(here: World) -> None:
    put(here, ("a", here.approved().version, 1))
    here.tell("endpoint", "flights")
    assert here.platform.endpoints.get("flights").status == "Creating"
    here.tell("endpoint", "nobody")


def test_a_late_word_of_an_old_failure_does_not_fail_the_next_try(here: World) -> None:
    here.approved(deploy=True)
    second = here.approved().version
    put(here, ("v2", second, 1))
    here.host.failed("flights", "no memory")
    here.tell("endpoint", "flights")
    here.host.lost = StorageFull("the process died here")
    put(here, ("v2", second, 1))
    here.host.lost = None
    here.tell("endpoint", "flights")  # the old event, delivered again before the host was asked
    found = here.platform.endpoints.get("flights")
    assert (found.status, found.failure_reason) == ("Updating", None)
    deployed(here)
    assert serving(here) == [("v2", second, 1.0)]


def test_a_newer_deployment_replaces_a_pending_one(here: World) -> None:
    first, second = (here.approved().version for _ in range(2))
    put(here, ("v1", first, 1))
    put(here, ("v2", second, 1))
    deployed(here)
    assert serving(here) == [("v2", second, 1.0)]
    assert champion(here) == second


def test_deployments_at_once_end_with_what_the_record_says(here: World) -> None:
    versions = [here.approved().version for _ in range(4)]
    answers = at_once(*[lambda v=version: put(here, ("a", v, 1)) for version in versions])
    assert all(isinstance(item, Endpoint) for item in answers), answers
    here.platform.reconcile()
    deployed(here)
    here.platform.reconcile()
    if here.host.describe("flights").pending:
        deployed(here)
    [(_, version, _)] = serving(here)
    assert [spec.model_version for spec in here.host.describe("flights").serving] == [version]
    assert champion(here) == version


# ---- deletion


def test_a_deleted_endpoint_is_gone_and_the_champion_keeps_its_alias(here: World) -> None:
    version = here.approved(deploy=True).version
    here.platform.endpoints.delete(ANN, "flights")
    with pytest.raises(NotFound):
        here.platform.endpoints.get("flights")
    with pytest.raises(NotFound):
        here.host.describe("flights")
    assert champion(here) == version
    with pytest.raises(NotFound):
        here.platform.endpoints.delete(ANN, "flights")


def test_a_deletion_that_was_cut_off_is_finished_by_reconcile(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    version = here.approved(deploy=True).version

    def dies(endpoint: str) -> None:
        raise StorageFull("the process died here")

    with monkeypatch.context() as patched:
        patched.setattr(here.host, "delete", dies)
        with pytest.raises(StorageFull):
            here.platform.endpoints.delete(ANN, "flights")
    assert here.platform.endpoints.get("flights").status == "Deleting"
    with pytest.raises(Conflict, match="being deleted"):
        put(here, ("a", version, 1))
    here.platform.reconcile()
    with pytest.raises(NotFound):
        here.host.describe("flights")
    assert put(here, ("a", version, 1)).status == "Creating"


def test_nothing_is_deployed_or_written_while_an_endpoint_is_being_deleted(here: World) -> None:
    version = here.approved(deploy=True).version
    waiting = here.trained()
    here.host.slow_deletion = True
    here.platform.endpoints.delete(ANN, "flights")
    assert here.platform.endpoints.get("flights").status == "Deleting"
    before = here.platform.activity.page(after=None, limit=100, token=None)
    for attempt in (
        lambda: put(here, ("a", version, 1)),
        lambda: here.platform.registry.approve(ANN, waiting.version, Approve(comment="", deploy=True), None),
    ):
        with pytest.raises(Conflict, match="being deleted"):
            attempt()
    assert here.platform.registry.get(waiting.version).approval_status == "PendingManualApproval"
    assert here.platform.activity.page(after=None, limit=100, token=None) == before
    here.platform.reconcile()
    assert here.platform.endpoints.get("flights").status == "Deleting"


@pytest.mark.parametrize("notice", ["event", "reconcile", "none"])
def test_an_endpoint_is_free_again_once_the_host_has_deleted_it(here: World, notice: str) -> None:
    version = here.approved(deploy=True).version
    here.host.slow_deletion = True
    here.platform.endpoints.delete(ANN, "flights")
    here.host.removed("flights")
    if notice == "event":
        here.platform.endpoints.on_endpoint_change("flights")
    if notice == "reconcile":
        here.platform.reconcile()
    assert put(here, ("a", version, 1)).status == "Creating"
    assert here.host.deploys["flights"] == 2


# ---- crashes


def test_reconcile_asks_the_host_for_what_it_never_heard_of(here: World) -> None:
    version = here.approved().version
    here.host.lost = StorageFull("the process died here")
    put(here, ("a", version, 1))
    here.host.lost = None
    here.platform.reconcile()
    assert here.host.deploys == {"flights": 1}
    deployed(here)
    assert serving(here) == [("a", version, 1.0)]


def test_reconcile_records_a_failure_whose_event_was_lost_and_does_not_try_for_ever(here: World) -> None:
    put(here, ("a", here.approved().version, 1))
    here.host.failed("flights", "no memory")
    here.platform.reconcile()
    here.platform.reconcile()
    assert here.platform.endpoints.get("flights").failure_reason == "no memory"
    assert here.host.deploys == {"flights": 1}


def test_reconcile_brings_back_an_endpoint_that_the_host_lost(here: World) -> None:
    version = here.approved(deploy=True).version
    here.host.hosted.clear()
    here.platform.reconcile()
    here.host.loaded("flights")
    assert [spec.model_version for spec in here.host.describe("flights").serving] == [version]


def test_a_promotion_survives_a_restart(here: World) -> None:
    first, _ = (here.approved(deploy=True).version for _ in range(2))
    here.platform.registry.rollback(ANN, "flights", Rollback())
    here.host.loaded("flights")  # its event is never delivered
    here.platform.reconcile()
    assert champion(here) == first
