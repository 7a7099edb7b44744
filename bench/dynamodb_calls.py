"""DynamoDB calls of one request, for every route, as a hook in botocore counts them."""

import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.figure import Row, state_of
from bench.program import Failed
from bench.world import World
from mlops_api.adapters.aws.dynamodb_records import DynamoRecords
from mlops_api.adapters.aws.table import create_table
from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.domain.models import SetAlias
from mlops_api.lambda_entry import LambdaEntry
from mlops_api.services.identity import GatewayIdentity
from mlops_contracts.data_contract import DataContract
from tests.support import platform
from tests.support.aws import counting
from tests.support.emulators import Emulators
from tests.support.lambda_events import http_event
from tests.support.platform import ANN, TestClock

NAME = "dynamodb"
ABOUT = "DynamoDB calls of one request, every route: at most 2 to read, 3 to write"
MOST = {"GET": 2, "other": 3}
KNOWN_SHORT: set[str] = set()
"""Routes that ask more often. A test fails when another joins them, or one is mended and still listed."""

_TABLE = "records"


@dataclass
class Here:
    """A platform with one of everything, and the names that routes are asked about."""

    world: platform.World
    client: Any
    entry: LambdaEntry
    names: dict[str, str] = field(default_factory=dict)

    def calls(self, method: str, path: str, body: Any = None, query: str = "") -> Counter[str]:
        self.world.workers.deferred = True  # on AWS a pipeline's steps are no part of the request that started it
        with counting(self.client) as calls:
            answer = self.entry(http_event(method, path, body, query=query), None)
        self.world.workers.work()
        if answer["statusCode"] >= 400:
            raise Failed(f"{method} {path} answered {answer['statusCode']}: {answer['body'][:300]}")
        return calls


Request = tuple[Any, ...]
"""Method, path, body, query: as Here.calls takes them."""


def measure(world: World) -> list[Row]:
    with _here(world) as here:
        asked = _requests(here)
        missing = _routes(here.world) - asked.keys()
        if missing:
            raise Failed(f"no request is made for {', '.join(sorted(missing))}")
        counted = {route: here.calls(*request()) for route, request in asked.items()}
    return [_row(route, calls) for route, calls in counted.items()]


def _row(route: str, calls: Counter[str]) -> Row:
    most = MOST.get(route.partition(" ")[0], MOST["other"])
    total = sum(calls.values())
    note = ", ".join(f"{count} {name}" for name, count in sorted(calls.items()))
    return Row(route, "calls", total, state_of(total <= most), limit=most, ratio=total / most, note=note)


def _routes(world: platform.World) -> set[str]:
    paths = world.app().openapi()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


@contextmanager
def _here(world: World) -> Iterator[Here]:
    clock = TestClock()
    own = SqliteRecords(world.scratch / "runs.sqlite3")  # Step Functions keeps its own on AWS, too
    with closing(Emulators(world.scratch)) as emulators, closing(own) as runs:
        moto = emulators.moto
        client = moto.clients.dynamodb
        table = f"{_TABLE}-{secrets.token_hex(4)}"  # moto's tables outlive a measurement in the same process
        create_table(client, table)
        records = DynamoRecords(client, table, now=lambda: clock().timestamp())
        metrics = moto.metrics(clock)
        identity = GatewayIdentity("sub")
        made = platform.world_of(world.scratch / "store", records, clock, metrics, identity=identity, runs=runs)
        with closing(LambdaEntry(made.platform, made.settings)) as entry:
            yield Here(made, client, entry)


def _requests(here: Here) -> dict[str, Callable[[], Request]]:
    """One request for each route; what it needs is made when its turn comes, and not counted."""
    parts = (
        _dataset_requests,
        _pipeline_requests,
        _training_requests,
        _model_requests,
        _inference_requests,
        _other_requests,
    )
    return {route: request for part in parts for route, request in part(here.world).items()}


def _dataset_requests(world: platform.World) -> dict[str, Callable[[], Request]]:
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
    }


def _pipeline_requests(world: platform.World) -> dict[str, Callable[[], Request]]:
    world.recipe("grown")
    version = world.ready("grown").version
    world.candidates_end("grown-v1", {"random_forest": 0.7, "xgboost": 0.8, "logistic_regression": 0.6})

    def delete_recipe() -> Request:
        world.recipe("spare")
        return "DELETE", "/datasets/spare/recipe"

    def stop() -> Request:
        world.uploaded("stopped")
        return "POST", "/pipelines/stopped-v1/stop"

    def retry() -> Request:
        world.recipe("again", target="absent")
        world.ready("again")
        world.recipe("again")
        return "POST", "/pipelines/again-v1/retry"

    return {
        "GET /datasets/{name}/recipe": _always("GET", "/datasets/grown/recipe"),
        "PUT /datasets/{name}/recipe": _always("PUT", "/datasets/grown/recipe", {"target": "late"}),
        "DELETE /datasets/{name}/recipe": delete_recipe,
        "GET /pipelines": _always("GET", "/pipelines"),
        "GET /pipelines/{execution}": _always("GET", "/pipelines/grown-v1"),
        "POST /pipelines/start": _always("POST", "/pipelines/start", {"dataset": version}),
        "POST /pipelines/{execution}/stop": stop,
        "POST /pipelines/{execution}/retry": retry,
    }


def _training_requests(world: platform.World) -> dict[str, Callable[[], Request]]:
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
    }


def _model_requests(world: platform.World) -> dict[str, Callable[[], Request]]:
    version = world.approved("known", deploy=True).version
    other = world.trained("known").version
    reads = {
        f"GET /models/{{version}}{part}": _always("GET", f"/models/{version}{part}")
        for part in ("", "/evaluation", "/lineage", "/card", "/bundle")
    }

    def rollback() -> Request:
        world.approved("twice", deploy=True)
        world.approved("twice", deploy=True)
        return "POST", "/models/twice/rollback", {}

    def delete_alias() -> Request:
        world.platform.registry.set_alias(ANN, "known", "best", SetAlias(version=version))
        return "DELETE", "/models/known/aliases/best"

    return reads | {
        "GET /models": _always("GET", "/models"),
        "GET /models/{version}/compare": _always("GET", f"/models/{version}/compare", None, f"with={other}"),
        "PUT /models/{version}/approve": lambda: (
            "PUT",
            f"/models/{world.trained('one').version}/approve",
            {},
        ),
        "PUT /models/{version}/reject": lambda: ("PUT", f"/models/{world.trained('two').version}/reject", {}),
        "POST /models/{model}/rollback": rollback,
        "PUT /models/{model}/aliases/{alias}": _always("PUT", "/models/known/aliases/next", {"version": other}),
        "DELETE /models/{model}/aliases/{alias}": delete_alias,
    }


def _inference_requests(world: platform.World) -> dict[str, Callable[[], Request]]:
    version = world.approved("served", deploy=True).version
    table = world.ready("scored").version
    job = world.batch("served", table).transform_job
    world.transform.complete(job, b"row\n1\n", rows=1)
    world.tell("transform", job)
    variants = {"variants": [{"variant": "a", "model_version": version, "weight": 1}]}

    def delete_endpoint() -> Request:
        world.approved("retired", deploy=True)
        return "DELETE", "/inference/endpoints/retired"

    return {
        "POST /inference/predict": _always("POST", "/inference/predict", {"model": "served", "instances": [{}]}),
        "GET /inference/endpoints": _always("GET", "/inference/endpoints"),
        "GET /inference/endpoints/{endpoint}": _always("GET", "/inference/endpoints/served"),
        "PUT /inference/endpoints/{endpoint}": _always("PUT", "/inference/endpoints/served", variants),
        "DELETE /inference/endpoints/{endpoint}": delete_endpoint,
        "POST /inference/batch": _always("POST", "/inference/batch", {"model": "served", "input": table}),
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


def _other_requests(_: platform.World) -> dict[str, Callable[[], Request]]:
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
