"""DynamoDB calls of one request, for every route, as a hook in botocore counts them."""

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from bench.dynamodb_requests import CASE, requests
from bench.figure import Row, state_of
from bench.program import Failed
from bench.world import World
from mlops_api.adapters.aws.dynamodb_records import DynamoRecords
from mlops_api.adapters.aws.table import create_table
from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.lambda_entry import LambdaEntry
from mlops_api.ports import MirroredVersion, OutsideVersion
from mlops_api.services.identity import GatewayIdentity
from mlops_api.services.tasks import Tasks
from tests.support import platform
from tests.support.aws import counting
from tests.support.emulators import Emulators
from tests.support.lambda_events import http_event
from tests.support.platform import TestClock

NAME = "dynamodb"
ABOUT = "DynamoDB calls of one request, every route: at most 2 to read, 3 to write"
MOST = {"GET": 2, "other": 3}

_TABLE = "records"


@dataclass
class Here:
    """A platform with one of everything."""

    world: platform.World
    client: Any
    entry: LambdaEntry

    def calls(self, method: str, path: str, body: Any = None, query: str = "", key: str | None = None) -> Counter[str]:
        headers = {"idempotency-key": key} if key else None
        self.world.workers.deferred = True  # on AWS a pipeline's steps are no part of the request that started it
        with counting(self.client) as calls:
            answer = self.entry(http_event(method, path, body, query=query, headers=headers), None)
        self.world.workers.work()
        if answer["statusCode"] >= 400:
            raise Failed(f"{method} {path} answered {answer['statusCode']}: {answer['body'][:300]}")
        return calls


class Shown:
    """ports.ModelMirror, as the aws mode always has one."""

    def __init__(self) -> None:
        self._versions: dict[str, OutsideVersion] = {}

    def show(self, version: MirroredVersion) -> None:
        self._versions[version.version] = OutsideVersion(version.version, version.approval_status, "", "")

    def read(self, reference: str) -> OutsideVersion | None:
        return self._versions.get(reference)


def measure(world: World) -> list[Row]:
    with _here(world) as here:
        asked = requests(here.world)
        missing = _routes(here.world) - {route.partition(CASE)[0] for route in asked}
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
        made = platform.world_of(
            world.scratch / "store",
            records,
            clock,
            moto.metrics(clock),
            identity=GatewayIdentity("sub"),
            mirror=Shown(),
            runs=runs,
        )
        _tell_later(made)
        with closing(LambdaEntry(made.platform, made.settings)) as entry:
            yield Here(made, client, entry)


def _tell_later(made: platform.World) -> None:
    """On AWS an event is another call of the function than the request that it comes of."""

    def tell(event: Mapping[str, Any]) -> None:
        made.workers.submit(lambda: made.platform.events.handle(event) and None)

    made.pipelines.attach(Tasks(made.platform).run, tell)
