"""Approval, aliases, the champion: who may become what, who said so, and what serves meanwhile."""

from pathlib import Path

import pytest

from mlops_api.domain.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound, StorageFull
from mlops_api.domain.models import TRANSITIONS, Approve, ModelVersion, Reject, Rollback, SetAlias
from mlops_contracts.bundle import Feature
from tests.support.platform import ANN, BOB, World, at_once, world


def approve(here: World, version: str, *, deploy: bool = False, comment: str = "", key: str | None = None):
    return here.platform.registry.approve(ANN, version, Approve(comment=comment, deploy=deploy), key)


def reject(here: World, version: str, comment: str = "") -> ModelVersion:
    return here.platform.registry.reject(ANN, version, Reject(comment=comment))


def rollback(here: World, model: str = "flights") -> ModelVersion:
    return here.platform.registry.rollback(ANN, model, Rollback())


def crown(here: World, version: str) -> ModelVersion:
    return here.platform.registry.set_alias(ANN, "flights", "champion", SetAlias(version=version))


def champion(here: World) -> str:
    return here.platform.registry.get("flights:champion").version


def deployed(here: World) -> None:
    here.host.loaded("flights")
    here.tell("endpoint", "flights")


# ---- transitions


def in_status(here: World, status: str) -> str:
    version = here.trained().version
    if status == "Approved":
        approve(here, version)
    if status == "Rejected":
        reject(here, version)
    return version


@pytest.mark.parametrize("wanted", ["Approved", "Rejected"])
@pytest.mark.parametrize("current", sorted(TRANSITIONS))
def test_every_transition_is_as_the_table_says(here: World, current: str, wanted: str) -> None:
    version = in_status(here, current)
    act = approve if wanted == "Approved" else reject
    allowed = TRANSITIONS[current]  # type: ignore[index] # parametrised
    if wanted in allowed:
        assert act(here, version).approval_status == wanted
        return
    with pytest.raises(Conflict) as refused:
        act(here, version)
    assert current in refused.value.detail
    assert refused.value.extra == {"status_now": current, "allowed": list(allowed)}
    assert here.platform.registry.get(version).approval_status == current


def test_decisions_are_kept_with_who_when_and_why(here: World) -> None:
    version = here.trained().version
    approve(here, version, comment="good")
    here.platform.registry.reject(BOB, version, Reject(comment="not so good"))
    approve(here, version, comment="after all")
    decisions = here.platform.registry.get(version).decisions
    assert [(item.by, item.action, item.comment) for item in decisions] == [
        ("ann", "Approved", "good"),
        ("bob", "Rejected", "not so good"),
        ("ann", "Approved", "after all"),
    ]
    assert sorted(item.at for item in decisions) == [item.at for item in decisions]


def test_long_comments_do_not_end_deciding(here: World) -> None:
    version = here.trained().version
    for _ in range(60):
        approve(here, version, comment="é" * 2000)
        reject(here, version, comment="é" * 2000)
    assert here.platform.registry.get(version).approval_status == "Rejected"


def test_a_second_approver_can_be_demanded(tmp_path: Path) -> None:
    with world(tmp_path, second_approver=True) as here:
        version = here.trained().version
        with pytest.raises(Forbidden, match="someone else"):
            approve(here, version)
        assert here.platform.registry.approve(BOB, version, Approve(), None).approval_status == "Approved"


def test_approving_again_with_the_same_key_answers_the_same(here: World) -> None:
    version = here.trained().version
    approve(here, version, key="k")
    assert approve(here, version, key="k").approval_status == "Approved"
    assert len(here.platform.registry.get(version).decisions) == 1
    with pytest.raises(Conflict, match="another request"):
        approve(here, version, key="k", comment="other")


def test_approving_at_once_with_the_same_key_decides_once(here: World) -> None:
    version = here.trained().version
    approved = at_once(*[lambda: approve(here, version, key="k").approval_status] * 6)
    assert approved == ["Approved"] * 6
    assert len(here.platform.registry.get(version).decisions) == 1


def test_approving_at_once_without_a_key_decides_once_and_names_the_status(here: World) -> None:
    version = here.trained().version
    approved = at_once(*[lambda: approve(here, version).approval_status] * 6)
    refused = [item for item in approved if isinstance(item, Conflict)]
    assert len(refused) == 5
    assert all(item.extra["status_now"] == "Approved" for item in refused), refused
    assert not any(isinstance(item, AlreadyExists) for item in refused)


@pytest.mark.parametrize("version", ["flights:9", "nobody:1", "flights:challenger"])
def test_an_unknown_version_is_not_found(here: World, version: str) -> None:
    here.trained()
    with pytest.raises(NotFound):
        approve(here, version)


# ---- approve and deploy


def test_a_version_is_champion_once_it_answers(here: World) -> None:
    version = here.trained().version
    assert approve(here, version, deploy=True).deployment == "Creating"
    with pytest.raises(NotFound, match="no champion yet"):
        champion(here)
    deployed(here)
    assert champion(here) == version
    found = here.platform.endpoints.get("flights")
    assert (found.status, [item.model_version for item in found.variants], found.pending) == (
        "InService",
        [version],
        [],
    )


def test_a_failed_deployment_leaves_the_old_one_serving(here: World) -> None:
    first = here.approved(deploy=True).version
    second = here.trained().version
    assert approve(here, second, deploy=True).approval_status == "Approved"
    here.host.failed("flights", "manifest.json does not match")
    here.tell("endpoint", "flights")
    found = here.platform.endpoints.get("flights")
    assert (found.status, found.failure_reason) == ("InService", "manifest.json does not match")
    assert [item.model_version for item in found.variants] == [first]
    assert champion(here) == first
    assert here.platform.registry.get(second).approval_status == "Approved"


def test_a_first_deployment_that_fails_is_failed(here: World) -> None:
    version = here.trained().version
    approve(here, version, deploy=True)
    here.host.failed("flights", "no such file")
    here.tell("endpoint", "flights")
    assert here.platform.endpoints.get("flights").status == "Failed"
    with pytest.raises(NotFound, match="no champion"):
        champion(here)


def test_a_repeat_of_an_approval_whose_deployment_was_lost_deploys(here: World) -> None:
    version = here.trained().version
    here.host.lost = StorageFull("no space")
    approve(here, version, deploy=True, key="k")
    here.host.lost = None
    approve(here, version, deploy=True, key="k")
    assert here.host.deploys == {"flights": 1}


# ---- rollback


def test_rollback_goes_back_one_and_then_one_more(here: World) -> None:
    first, second, third = (here.approved(deploy=True).version for _ in range(3))
    assert champion(here) == third
    rollback(here)
    assert champion(here) == third  # until the earlier one answers
    deployed(here)
    assert champion(here) == second
    rollback(here)
    deployed(here)
    assert champion(here) == first
    with pytest.raises(Conflict, match="no earlier approved champion"):
        rollback(here)


def test_rollback_passes_over_a_version_that_was_rejected(here: World) -> None:
    first, second, _ = (here.approved(deploy=True).version for _ in range(3))
    reject(here, second)
    rollback(here)
    deployed(here)
    assert champion(here) == first


def test_a_rollback_that_fails_changes_nothing(here: World) -> None:
    _, second = (here.approved(deploy=True).version for _ in range(2))
    rollback(here)
    here.host.failed("flights", "gone")
    here.tell("endpoint", "flights")
    assert champion(here) == second
    rollback(here)
    deployed(here)
    assert champion(here) == "flights:1"


def test_the_champion_can_go_forward_again_after_a_rollback(here: World) -> None:
    first, second = (here.approved(deploy=True).version for _ in range(2))
    rollback(here)
    deployed(here)
    crown(here, second)
    deployed(here)
    assert champion(here) == second
    rollback(here)
    deployed(here)
    assert champion(here) == first


def test_rollback_without_an_endpoint_moves_the_alias_at_once(here: World) -> None:
    first, second = (here.approved().version for _ in range(2))
    crown(here, first)
    crown(here, second)
    assert rollback(here).version == first
    assert champion(here) == first


def test_rollback_of_nothing_is_refused(here: World) -> None:
    with pytest.raises(NotFound, match="nobody"):
        rollback(here, "nobody")
    here.approved(deploy=True)
    with pytest.raises(Conflict, match="no earlier"):
        rollback(here)


# ---- rejecting what is in use


def test_a_champion_cannot_be_rejected(here: World) -> None:
    version = here.approved(deploy=True).version
    with pytest.raises(Conflict, match=r"champion.*rollback flights"):
        reject(here, version)


def test_a_version_that_is_being_deployed_cannot_be_rejected(here: World) -> None:
    version = here.trained().version
    approve(here, version, deploy=True)
    with pytest.raises(Conflict, match="serves behind"):
        reject(here, version)


def test_a_former_champion_can_be_rejected(here: World) -> None:
    first, _ = (here.approved(deploy=True).version for _ in range(2))
    assert reject(here, first).approval_status == "Rejected"


def test_rejection_and_deployment_at_once_never_both_succeed(here: World) -> None:
    for _ in range(5):
        version = here.approved().version
        rejected, crowned = at_once(lambda v=version: reject(here, v), lambda v=version: crown(here, v))
        assert isinstance(rejected, ModelVersion) != isinstance(crowned, ModelVersion), (rejected, crowned)
        assert isinstance(rejected if isinstance(crowned, ModelVersion) else crowned, Conflict)


# ---- aliases


def test_an_alias_stands_for_its_version_and_moves(here: World) -> None:
    first, second = (here.trained().version for _ in range(2))
    registry = here.platform.registry
    assert registry.set_alias(ANN, "flights", "challenger", SetAlias(version=first)).aliases == ["challenger"]
    assert registry.get("flights:challenger").version == first
    registry.set_alias(ANN, "flights", "challenger", SetAlias(version=second))
    assert registry.get("flights:challenger").version == second
    assert registry.get(first).aliases == []
    registry.delete_alias(ANN, "flights", "challenger")
    with pytest.raises(NotFound, match="Aliases: none"):
        registry.get("flights:challenger")
    with pytest.raises(NotFound, match="challenger"):
        registry.delete_alias(ANN, "flights", "challenger")


def test_aliases_set_at_once_are_all_kept(here: World) -> None:
    version = here.trained().version
    registry = here.platform.registry
    names = [f"alias-{letter}" for letter in "abcdef"]
    made = at_once(
        *[lambda name=name: registry.set_alias(ANN, "flights", name, SetAlias(version=version)) for name in names]
    )
    assert all(isinstance(item, ModelVersion) for item in made), made
    assert registry.get(version).aliases == names


@pytest.mark.parametrize("status", ["PendingManualApproval", "Rejected"])
def test_only_an_approved_version_becomes_champion(here: World, status: str) -> None:
    version = in_status(here, status)
    with pytest.raises(Conflict, match=f"{status}; the champion must be Approved"):
        crown(here, version)


def test_the_champion_alias_cannot_be_removed(here: World) -> None:
    here.approved(deploy=True)
    with pytest.raises(Conflict, match="moved"):
        here.platform.registry.delete_alias(ANN, "flights", "champion")


def test_an_alias_stays_inside_its_model(here: World) -> None:
    here.trained("flights")
    other = here.trained("penguins").version
    with pytest.raises(Conflict, match="not a version of flights"):
        here.platform.registry.set_alias(ANN, "flights", "challenger", SetAlias(version=other))


# ---- reading


def test_versions_are_listed_filtered_and_ranked(here: World) -> None:
    for auc in (0.6, 0.9, 0.7):
        here.trained(metrics={"auc": auc})
    here.trained("penguins")
    approve(here, "flights:2")

    def listed(**filters: object) -> list[str]:
        found = {"model": None, "status": None, "by_metric": False, "descending": True, "limit": 50, "token": None}
        page = here.platform.registry.page(**(found | filters))  # type: ignore[arg-type] # a test's filters
        return [item.version for item in page.models]

    assert listed() == ["penguins:1", "flights:3", "flights:2", "flights:1"]
    assert listed(model="flights", descending=False) == ["flights:1", "flights:2", "flights:3"]
    assert listed(status="Approved") == ["flights:2"]
    assert listed(model="flights", status="PendingManualApproval") == ["flights:3", "flights:1"]
    assert listed(model="flights", by_metric=True) == ["flights:2", "flights:3", "flights:1"]
    with pytest.raises(Invalid, match="give model"):
        listed(by_metric=True)


def test_a_version_says_what_it_was_made_from(here: World) -> None:
    found = here.trained()
    assert (found.dataset, found.target, found.created_by) == ("flights:1", "late", "ann")
    assert [feature.name for feature in found.signature] == ["carrier", "distance"]
    assert found.training_job.startswith("flights-xgboost-")
    registry = here.platform.registry
    assert registry.card("flights:1").markdown == "# Card"
    assert registry.evaluation("flights:1").metrics["auc"] == 0.7
    assert registry.bundle("flights:1").size_bytes == found.size_bytes > 0


def test_a_comparison_tells_every_difference(here: World) -> None:
    here.trained(metrics={"auc": 0.7, "logloss": 0.5})
    features = (
        Feature(name="carrier", type="categorical", required=False, categories=("AA",)),
        Feature(name="hour", type="numeric", required=True),
    )
    here.trained(
        metrics={"auc": 0.75, "logloss": 0.625, "brier": 0.2},
        hyperparameters={"max_depth": 3},
        features=features,
        seed=1,
    )
    found = here.platform.registry.compare("flights:1", "flights:2")
    metrics = {item.name: (item.left, item.right, item.change, item.better) for item in found.metrics}
    assert metrics["auc"] == (0.7, 0.75, pytest.approx(0.05), "right")
    assert metrics["logloss"] == (0.5, 0.625, 0.125, "left")
    assert metrics["brier"] == (None, 0.2, None, None)
    assert [(item.name, item.left, item.right) for item in found.parameters] == [("max_depth", 6, 3), ("seed", 0, 1)]
    assert [(item.feature, item.change, item.breaking) for item in found.schema_changes] == [
        ("distance", "removed", True),
        ("hour", "added", True),
        ("carrier", "required", False),
        ("carrier", "categories", False),
    ]
    assert not found.same_dataset


def test_lineage_leads_from_the_dataset_to_what_uses_the_version(here: World) -> None:
    version = here.approved(deploy=True)
    job = here.batch(version.version).transform_job
    found = here.platform.lineage.of("flights:champion")
    assert {(node.id, node.kind, node.status) for node in found.nodes} == {
        ("flights:1", "dataset", "Ready"),
        (version.training_job, "training_job", "Completed"),
        ("flights:1", "model_version", "Approved"),
        ("flights", "endpoint", "InService"),
        (job, "transform_job", "InProgress"),
    }
    paths = {node.kind: node.path for node in found.nodes}
    assert [(edge.source, edge.target) for edge in found.edges] == [
        (paths["dataset"], paths["training_job"]),
        (paths["training_job"], paths["model_version"]),
        (paths["model_version"], paths["endpoint"]),
        (paths["model_version"], paths["transform_job"]),
    ]
    assert len(set(paths.values())) == 5
