"""Model versions in SageMaker's registry: shown as they are here, and decisions taken there let in by our own gates."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlops_api.adapters.aws.model_packages import ModelPackages
from mlops_api.adapters.aws.sagemaker_common import AwsSageMaker
from mlops_api.domain.errors import Conflict
from mlops_api.domain.models import Approve, Reject
from mlops_api.ports import MirroredVersion
from tests.sagemaker_server import Options, SageMakerServer
from tests.support.aws import REGION
from tests.support.aws_runners import IMAGE, ROLE, sagemaker_clients
from tests.support.emulators import Cloud
from tests.support.platform import ANN, World, world

CHANGE = "SageMaker Model Package State Change"


@dataclass
class Studio:
    """The platform, and what somebody does in SageMaker Studio."""

    here: World
    server: SageMakerServer
    api: Any
    events: list[Any]

    def packages(self, model: str = "flights") -> list[Any]:
        listed = self.api.list_model_packages(ModelPackageGroupName=model, SortOrder="Ascending")
        return [
            self.api.describe_model_package(ModelPackageName=each["ModelPackageArn"])
            for each in listed["ModelPackageSummaryList"]
        ]

    def statuses(self) -> list[str]:
        return [each["ModelApprovalStatus"] for each in self.packages()]

    def decide(self, status: str, number: int = 1) -> None:
        """By a person; the events reach the platform, several for each change."""
        arn = self.packages()[number - 1]["ModelPackageArn"]
        self.api.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription="in Studio")
        self.deliver()

    def deliver(self) -> None:
        """Events until there are none: a reaction may cause others."""
        self.server.settle()
        for _ in range(20):
            if not self.events:
                return
            waiting, self.events[:] = list(self.events), []
            for event in waiting:
                self.here.platform.events.handle(event)
            self.server.settle()
        raise AssertionError("the platform and SageMaker answer each other for ever")

    def status(self, version: str = "flights:1") -> str:
        return self.here.platform.registry.get(version).approval_status


def open_studio(moto: Cloud, folder: Path, **settings: Any) -> Iterator[Studio]:
    events: list[Any] = []
    with SageMakerServer(moto.clients.s3, Options(region=REGION, events=events.append)) as server:
        clients = sagemaker_clients(server.url)
        mirror = ModelPackages(clients, AwsSageMaker(role_arn=ROLE, image_uri=IMAGE, bucket="objects"))
        with world(folder, mirror=mirror, **settings) as here:
            yield Studio(here, server, clients.sagemaker, events)


@pytest.fixture
def studio(moto: Cloud, tmp_path: Path) -> Iterator[Studio]:
    yield from open_studio(moto, tmp_path)


@pytest.fixture
def careful(moto: Cloud, tmp_path: Path) -> Iterator[Studio]:
    yield from open_studio(moto, tmp_path, second_approver=True)


def test_a_version_is_shown_when_it_is_registered(studio: Studio) -> None:
    studio.here.trained()
    (package,) = studio.packages()
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["CustomerMetadataProperties"]["mlops-version"] == "flights:1"
    (container,) = package["InferenceSpecification"]["Containers"]
    assert container["ModelDataUrl"].startswith("s3://objects/training/")
    assert container["ModelDataUrl"].endswith("/output/model.tar.gz")


def test_decisions_are_shown_and_their_echo_changes_nothing(studio: Studio) -> None:
    studio.here.approved()
    studio.deliver()
    assert studio.statuses() == ["Approved"]
    studio.here.platform.registry.reject(ANN, "flights:1", Reject(comment="no"), None)
    studio.deliver()
    assert studio.statuses() == ["Rejected"]
    assert [each.action for each in studio.here.platform.registry.get("flights:1").decisions] == [
        "Approved",
        "Rejected",
    ]
    assert len(studio.server.requests_of("UpdateModelPackage")) == 2
    assert len(studio.server.requests_of("CreateModelPackage")) == 1


def test_an_approval_in_studio_holds_here(studio: Studio) -> None:
    studio.here.trained()
    studio.decide("Approved")
    version = studio.here.platform.registry.get("flights:1")
    assert version.approval_status == "Approved"
    (decision,) = version.decisions
    assert decision.by.startswith("outside:")
    assert decision.comment == "in Studio"


def test_a_refused_decision_is_undone_there(studio: Studio) -> None:
    studio.here.approved(deploy=True)
    studio.decide("Rejected")  # it serves
    assert (studio.status(), studio.statuses()) == ("Approved", ["Approved"])


def test_where_a_second_person_must_approve_studio_does_not_count(careful: Studio) -> None:
    careful.here.trained()
    careful.decide("Approved")
    assert careful.status() == "PendingManualApproval"
    careful.decide("Rejected")
    assert careful.status() == "Rejected"


def test_an_old_event_does_not_undo_a_newer_decision(studio: Studio) -> None:
    studio.here.trained()
    studio.decide("Approved")
    late = list(studio.server.events)
    studio.here.platform.registry.reject(ANN, "flights:1", Reject(), None)
    for event in late:
        studio.here.platform.events.handle(event)
    assert (studio.status(), studio.statuses()) == ("Rejected", ["Rejected"])


def test_what_was_decided_while_sagemaker_was_away_is_shown_later_and_wins(studio: Studio) -> None:
    studio.here.trained()
    studio.server.faults.throttle(3, "DescribeModelPackageGroup")
    studio.here.platform.registry.approve(ANN, "flights:1", Approve(), None)
    assert studio.statuses() == ["PendingManualApproval"]
    studio.deliver()
    assert studio.statuses() == ["Approved"]
    studio.server.faults.throttle(3, "DescribeModelPackageGroup")
    studio.here.platform.registry.reject(ANN, "flights:1", Reject(), None)
    studio.here.platform.reconcile()
    assert studio.statuses() == ["Rejected"]


def test_registration_does_not_wait_for_sagemaker(studio: Studio) -> None:
    studio.server.faults.throttle(3, "DescribeModelPackageGroup")
    assert studio.here.trained().version == "flights:1"
    studio.here.platform.reconcile()
    assert len(studio.packages()) == 1


def test_somebody_elses_packages_are_left_alone(studio: Studio) -> None:
    studio.here.trained()
    studio.api.create_model_package(ModelPackageGroupName="flights", ModelPackageDescription="by hand")
    studio.decide("Approved", number=2)
    assert studio.status() == "PendingManualApproval"
    studio.here.approved()
    assert [each.get("CustomerMetadataProperties", {}).get("mlops-version") for each in studio.packages()] == [
        "flights:1",
        None,
        "flights:2",
    ]
    studio.here.platform.registry.reject(ANN, "flights:2", Reject(), None)
    assert studio.statuses() == ["PendingManualApproval", "Approved", "Rejected"]


def test_showing_is_idempotent(studio: Studio) -> None:
    mirror = ModelPackages(
        sagemaker_clients(studio.server.url), AwsSageMaker(role_arn=ROLE, image_uri=IMAGE, bucket="objects")
    )
    version = MirroredVersion("m:7", "m", 7, "a.tar.gz", "e.json", "Approved", "fine")
    for _ in range(3):
        mirror.show(version)
    assert len(studio.packages("m")) == 1
    assert mirror.read("arn:aws:sagemaker:eu-central-1:123456789012:model-package/m/9") is None


def test_without_a_registry_outside_nothing_is_kept_for_it(tmp_path: Path) -> None:
    with world(tmp_path) as here:
        here.approved()
        assert here.records.count("all", "mirror-due").value == 0
        here.platform.events.handle(
            {"source": "aws.sagemaker", "detail-type": CHANGE, "detail": {"ModelPackageArn": "x"}}
        )
        with pytest.raises(Conflict):
            here.platform.registry.approve(ANN, "flights:1", Approve(), None)
