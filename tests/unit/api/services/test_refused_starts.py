"""What the outside refuses for good (its input is gone, no such instance type) has failed, and says why."""

from mlops_api.domain.errors import Invalid, Unavailable
from mlops_api.domain.models import Approve
from tests.support.platform import ANN, World

REFUSED = Invalid("SageMaker refused it: no such instance type")
BUSY = Unavailable("a quota is used up")


def test_a_training_job_has_failed(here: World) -> None:
    dataset = here.ready().version
    here.training.lost = REFUSED
    job = here.start(dataset)
    assert (job.status, job.failure_reason) == ("Failed", REFUSED.detail)
    here.training.lost = None
    here.platform.reconcile()
    assert here.platform.training.get(job.job).status == "Failed"
    assert here.training.starts == {}


def test_a_training_job_waits_for_room(here: World) -> None:
    dataset = here.ready().version
    here.training.lost = BUSY
    here.start(dataset)
    (job,) = here.platform.training.page(
        model=None, status=None, by_metric=False, descending=True, limit=5, token=None
    ).jobs
    assert job.status == "InProgress"
    here.training.lost = None
    here.platform.reconcile()
    assert here.training.starts == {job.job: 1}


def test_batch_scoring_has_failed(here: World) -> None:
    version, dataset = here.approved().version, here.ready().version
    here.transform.lost = REFUSED
    job = here.batch(version, dataset)
    assert (job.status, job.failure_reason) == ("Failed", REFUSED.detail)


def test_a_dataset_is_rejected(here: World) -> None:
    here.processing.lost = REFUSED
    version = here.uploaded()
    dataset = here.platform.datasets.get(version)
    assert (dataset.status, dataset.failure_reason) == ("Rejected", REFUSED.detail)


def test_a_deployment_has_failed(here: World) -> None:
    version = here.trained().version
    here.host.lost = REFUSED
    approved = here.platform.registry.approve(ANN, version, Approve(deploy=True), None)
    endpoint = here.platform.endpoints.get("flights")
    assert (endpoint.status, endpoint.failure_reason, endpoint.pending) == ("Failed", REFUSED.detail, [])
    assert (approved.approval_status, approved.aliases) == ("Approved", [])


def test_a_refused_deployment_leaves_the_old_one_serving(here: World) -> None:
    first = here.approved(deploy=True).version
    here.host.lost = REFUSED
    here.platform.registry.approve(ANN, here.trained().version, Approve(deploy=True), None)
    endpoint = here.platform.endpoints.get("flights")
    assert [each.model_version for each in endpoint.variants] == [first]
    assert (endpoint.status, endpoint.failure_reason) == ("InService", REFUSED.detail)
