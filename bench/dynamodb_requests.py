"""A request for every route, as plain as can be, and the ordinary ones that ask most: see dynamodb_calls."""

from collections.abc import Callable
from typing import Any

from mlops_api.domain.models import Approve, SetAlias
from mlops_contracts.data_contract import DataContract
from tests.support.platform import ANN, World

Request = tuple[Any, ...]
"""Method, path, body, query, Idempotency-Key: as dynamodb_calls.Here.calls takes them."""

Asked = dict[str, Callable[[], Request]]
"""By route, or by route and case."""

CASE = ", "
"""Between a route and its case."""


def requests(world: World) -> Asked:
    """The plainest request of each route, and those that ask most. What one needs is made when its turn comes, and not
    counted."""
    parts = (
        _dataset_requests,
        _pipeline_requests,
        _training_requests,
        _model_requests,
        _decision_requests,
        _inference_requests,
        _other_requests,
    )
    return {route: request for part in parts for route, request in part(world).items()}


def _dataset_requests(world: World) -> Asked:
    version = world.ready("table").version
    reads = {
        f"GET /datasets/{{version}}{part}": _always("GET", f"/datasets/{version}{part}")
        for part in ("", "/profile", "/preview", "/quality", "/download", "/contract-suggestion")
    }

    def complete() -> Request:
        created = world.create("sent")
        return "POST", f"/datasets/{created.version}/complete", world.send(created).model_dump()

    def delete_contract() -> Request:
        world.platform.contracts.put(ANN, "spare", DataContract(min_rows=1))
        return "DELETE", "/datasets/spare/contract"

    world.platform.contracts.put(ANN, "table", DataContract(min_rows=1))
    created = {"name": "new", "filename": "f.csv", "size_bytes": 9, "sha256": "0" * 64}
    before = world.ready("table").version
    return reads | {
        "GET /datasets/{version}/compare": _always("GET", f"/datasets/{version}/compare", None, f"with={before}"),
        "GET /datasets": _always("GET", "/datasets"),
        "POST /datasets": _always("POST", "/datasets", created),
        "GET /datasets/{version}/upload": lambda: ("GET", f"/datasets/{world.create('waiting').version}/upload"),
        "POST /datasets/{version}/complete": complete,
        "GET /datasets/{name}/contract": _always("GET", "/datasets/table/contract"),
        "GET /datasets/{name}/contract/versions": _always("GET", "/datasets/table/contract/versions"),
        "PUT /datasets/{name}/contract": _always("PUT", "/datasets/table/contract", {"min_rows": 2}),
        "DELETE /datasets/{name}/contract": delete_contract,
        "DELETE /datasets/{version}": lambda: ("DELETE", f"/datasets/{world.ready('spare').version}"),
        "DELETE /datasets/{version}, latest": lambda: ("DELETE", f"/datasets/{world.ready('spare').name}:latest"),
        "POST /datasets, with a key": _always("POST", "/datasets", created, "", "k"),
        "POST /datasets, repeated": _always("POST", "/datasets", created, "", "k"),
        "GET /datasets/{version}, latest": _always("GET", "/datasets/table:latest"),
        "GET /datasets/{version}/profile, latest": _always("GET", "/datasets/table:latest/profile"),
    }


def _pipeline_requests(world: World) -> Asked:
    """Executions that are under way: their steps wait for a job."""
    recipe = {"target": "late", "algorithms": ["xgboost"]}

    def under_way() -> str:
        return world.ready("trained").version.replace(":", "-v")

    def stopped() -> str:
        execution = under_way()
        world.platform.pipelines.stop(ANN, execution)
        return execution

    def delete_recipe() -> Request:
        world.recipe("spare")
        return "DELETE", "/datasets/spare/recipe"

    def start(name: str, reference: str) -> Request:
        """Of a version that was ready before there was a recipe."""
        world.ready(name)
        world.recipe(name)
        return "POST", "/pipelines/start", {"dataset": f"{name}:{reference}"}, "", f"k-{name}"

    world.recipe("again")
    world.recipe("trained")
    return {
        "PUT /datasets/{name}/recipe": _always("PUT", "/datasets/again/recipe", recipe),
        "GET /datasets/{name}/recipe": _always("GET", "/datasets/again/recipe"),
        "DELETE /datasets/{name}/recipe": delete_recipe,
        "GET /pipelines": _always("GET", "/pipelines"),
        "GET /pipelines/{execution}": lambda: ("GET", f"/pipelines/{under_way()}"),
        "POST /pipelines/start": lambda: start("numbered", "1"),
        "POST /pipelines/start, latest": lambda: start("named", "latest"),
        "POST /pipelines/{execution}/stop": lambda: ("POST", f"/pipelines/{under_way()}/stop"),
        "POST /pipelines/{execution}/retry": lambda: ("POST", f"/pipelines/{stopped()}/retry"),
    }


def _training_requests(world: World) -> Asked:
    version = world.ready("rows").version
    job = world.start(version, model="seen").job
    start = {"dataset": version, "target": "late", "algorithm": "xgboost", "model": "fresh"}
    return {
        "GET /training/algorithms": _always("GET", "/training/algorithms"),
        "POST /training/start": _always("POST", "/training/start", start),
        "GET /training/jobs": _always("GET", "/training/jobs"),
        "GET /training/jobs/{job}": _always("GET", f"/training/jobs/{job}"),
        "GET /training/jobs/{job}/logs": _always("GET", f"/training/jobs/{job}/logs"),
        "GET /training/jobs/{job}/metrics": _always("GET", f"/training/jobs/{job}/metrics"),
        "POST /training/jobs/{job}/stop": lambda: ("POST", f"/training/jobs/{world.start(version).job}/stop"),
        "POST /training/start, latest, with a key": _always(
            "POST", "/training/start", start | {"dataset": "rows:latest"}, "", "k"
        ),
        "POST /training/start, repeated": _always(
            "POST", "/training/start", start | {"dataset": "rows:latest"}, "", "k"
        ),
    }


def _model_requests(world: World) -> Asked:
    version = world.approved("known", deploy=True).version
    other = world.trained("known").version
    reads = {
        f"GET /models/{{version}}{part}": _always("GET", f"/models/{version}{part}")
        for part in ("", "/evaluation", "/lineage", "/card", "/bundle")
    }

    batch = world.batch("known").transform_job
    world.transform.complete(batch, b"row\n1\n", rows=1)
    world.tell("transform", batch)
    by_alias = {
        f"GET /models/{{version}}{part}, champion": _always("GET", f"/models/known:champion{part}")
        for part in ("", "/evaluation", "/lineage", "/card", "/bundle")
    }
    return (
        reads
        | by_alias
        | {
            "GET /models": _always("GET", "/models"),
            "GET /models/{version}/compare": _always("GET", f"/models/{version}/compare", None, f"with={other}"),
            "GET /models/{version}/compare, of aliases": _always(
                "GET", "/models/known:champion/compare", None, "with=known:champion"
            ),
        }
    )


def _decision_requests(world: World) -> Asked:
    """Decisions about versions. The ones that ask most: by an alias, with a key, of a model whose endpoint serves and
    whose last deployment failed."""
    version = world.approved("decided", deploy=True).version

    def named(model: str) -> str:
        """A new version by an alias, as an approval that waits for a person may name it."""
        made = world.trained(model).version
        world.platform.registry.set_alias(ANN, model, "next", SetAlias(version=made))
        return f"{model}:next"

    def failed(model: str) -> None:
        """A deployment that fails behind an endpoint that serves."""
        world.approved(model, deploy=True)
        world.approved(model, deploy=True)
        world.platform.registry.approve(ANN, world.trained(model).version, Approve(deploy=True), None)
        world.host.failed(model, "no memory")
        world.tell("endpoint", model)

    def approve(**body: Any) -> Request:
        failed("risen")
        return "PUT", f"/models/{named('risen')}/approve", body, "", "k-approve"

    def rollback() -> Request:
        failed("fallen")
        return "POST", "/models/fallen/rollback", {}, "", "k-rollback"

    def crown(reference: Callable[[str], str]) -> Request:
        failed("crowned")
        later = world.approved("crowned").version
        world.platform.registry.set_alias(ANN, "crowned", "next", SetAlias(version=later))
        return "PUT", "/models/crowned/aliases/champion", {"version": reference(later)}, "", f"k-{reference(later)}"

    def delete_alias() -> Request:
        world.platform.registry.set_alias(ANN, "decided", "best", SetAlias(version=version))
        return "DELETE", "/models/decided/aliases/best"

    aliases = "PUT /models/{model}/aliases/{alias}"
    return {
        "PUT /models/{version}/approve": lambda: ("PUT", f"/models/{world.trained('one').version}/approve", {}),
        "PUT /models/{version}/approve, deploy, by alias, with a key": lambda: approve(deploy=True),
        "PUT /models/{version}/reject": lambda: ("PUT", f"/models/{world.trained('two').version}/reject", {}),
        "PUT /models/{version}/reject, by alias, with a key": lambda: (
            "PUT",
            f"/models/{named('decided')}/reject",
            {},
            "",
            "k-reject",
        ),
        "POST /models/{model}/rollback": rollback,
        aliases: _always("PUT", "/models/decided/aliases/other", {"version": version}),
        f"{aliases}, the champion, with a key": lambda: crown(lambda later: later),
        f"{aliases}, the champion, from an alias": lambda: crown(lambda _: "crowned:next"),
        "DELETE /models/{model}/aliases/{alias}": delete_alias,
    }


def _inference_requests(world: World) -> Asked:
    version = world.approved("served", deploy=True).version
    table = world.ready("scored").version
    job = world.batch("served", table).transform_job
    world.transform.complete(job, b"row\n1\n", rows=1)
    world.tell("transform", job)
    variants = {"variants": [{"variant": "a", "model_version": version, "weight": 1}]}

    def again() -> Request:
        """Other weights, behind an endpoint whose last deployment failed, by an alias and with a key."""
        world.approved("split", deploy=True)
        world.platform.registry.approve(ANN, world.trained("split").version, Approve(deploy=True), None)
        world.host.failed("split", "no memory")
        world.tell("endpoint", "split")
        asked = [{"variant": name, "model_version": "split:champion", "weight": 1} for name in "ab"]
        return "PUT", "/inference/endpoints/split", {"variants": asked}, "", "k-put"

    def delete_endpoint() -> Request:
        world.approved("retired", deploy=True)
        return "DELETE", "/inference/endpoints/retired"

    return {
        "POST /inference/predict": _always("POST", "/inference/predict", {"model": "served", "instances": [{}]}),
        "GET /inference/endpoints": _always("GET", "/inference/endpoints"),
        "GET /inference/endpoints/{endpoint}": _always("GET", "/inference/endpoints/served"),
        "PUT /inference/endpoints/{endpoint}": _always("PUT", "/inference/endpoints/served", variants),
        "PUT /inference/endpoints/{endpoint}, by alias, with a key": again,
        "DELETE /inference/endpoints/{endpoint}": delete_endpoint,
        "POST /inference/batch": _always("POST", "/inference/batch", {"model": "served", "input": table}),
        "POST /inference/batch, champion, latest, with a key": _always(
            "POST", "/inference/batch", {"model": "served", "input": "scored:latest"}, "", "k-batch"
        ),
        "POST /inference/predict, by alias": _always(
            "POST", "/inference/predict", {"model": "served:champion", "instances": [{}]}
        ),
        "GET /inference/batch": _always("GET", "/inference/batch"),
        "GET /inference/batch/{job}": _always("GET", f"/inference/batch/{job}"),
        "GET /inference/batch/{job}/results": _always("GET", f"/inference/batch/{job}/results"),
        "POST /inference/batch/{job}/stop": lambda: (
            "POST",
            f"/inference/batch/{world.batch('served', table).transform_job}/stop",
        ),
        "POST /inference/feedback": _always(
            "POST", "/inference/feedback", {"labels": [{"prediction_id": "0" * 24, "label": "1"}]}
        ),
    }


def _other_requests(_: World) -> Asked:
    return {
        "GET /dashboard/stats": _always("GET", "/dashboard/stats"),
        "GET /dashboard/activity": _always("GET", "/dashboard/activity"),
        "GET /monitoring/alarms": _always("GET", "/monitoring/alarms"),
        "GET /monitoring/alerts": _always("GET", "/monitoring/alerts"),
        "GET /monitoring/series": _always("GET", "/monitoring/series", None, "metric=DatasetRows"),
        "GET /health/live": _always("GET", "/health/live"),
        "GET /health/ready": _always("GET", "/health/ready"),
    }


def _always(*request: Any) -> Callable[[], Request]:
    return lambda: request
