"""One-row predictions on a deployed flights model, every check on: through the platform, at the model server, and the
echo of a bare FastAPI app."""

import csv
import gzip
import json
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

from bench.figure import Row, Samples, at_most, informational
from bench.load import Load, Plan, run
from bench.program import Failed
from bench.startup import bare_app
from bench.world import ALGORITHMS, FLIGHTS, World

NAME = "predict"
ABOUT = "POST /inference/predict of one row: latency and requests/s, beside /invocations and a bare FastAPI echo"
LIMIT_MS = 2.0
BODIES = 200
COUNT = 1500
ROUNDS = 3
MANY = 32
_RETIRED_SECONDS = 60.0


def measure(world: World, count: int = COUNT) -> list[Row]:
    rows = flight_rows()
    for_api = [json.dumps({"model": "flights", "instances": [row]}) for row in rows]
    for_server = [json.dumps({"instances": [row]}) for row in rows]
    with bare_app(world) as bare:
        echo = Plan(["127.0.0.1", bare.port], "/echo", {}, for_api, count)
        return [row for name in ALGORITHMS for row in _of_algorithm(world, name, echo, for_api, for_server)]


def _of_algorithm(world: World, name: str, echo: Plan, for_api: list[str], for_server: list[str]) -> list[Row]:
    world.deploy(name)
    token = str(world.server.info()["token"])
    address = ["127.0.0.1", world.server.port]
    platform = Plan(address, "/inference/predict", {"Authorization": f"Bearer {token}"}, for_api, echo.count)
    direct = replace(platform, address=model_socket(world), path="/invocations", bodies=for_server)
    plans = {"platform": platform, "direct": direct, "echo": echo}
    loads: dict[str, list[Load]] = {each: [] for each in plans}
    for _ in range(ROUNDS):
        for each, plan in plans.items():
            loads[each].append(run(plan, world.scratch))
    many = run(replace(platform, connections=MANY, count=2 * echo.count), world.scratch)
    return _rows(name, loads, many)


def _rows(name: str, loads: dict[str, list[Load]], many: Load) -> list[Row]:
    p50 = {each: _milliseconds(found, 0.5) for each, found in loads.items()}
    p95 = _milliseconds(loads["platform"], 0.95)
    own, direct, echo = p50["platform"], p50["direct"], p50["echo"]
    note = f"1 row at the model server itself: p50 {direct.median:.2f} ms (min {direct.best:.2f})"
    return [
        at_most(
            f"predict p50, {name}",
            "ms",
            own,
            LIMIT_MS,
            peer=echo.median,
            peer_is="bare FastAPI echo",
            ratio=own.median / echo.median,
            note=note,
        ),
        informational(f"predict p95, {name}", "ms", p95.median, best=p95.best),
        informational(
            f"predict, 1 connection, {name}", "requests/s", Samples([one.rate for one in loads["platform"]]).median
        ),
        informational(f"predict, {MANY} connections, {name}", "requests/s", many.rate, note=_at_many(many)),
    ]


def _at_many(load: Load) -> str:
    times = load.seconds.scaled(1000)
    return f"p50 {times.median:.1f} ms, p95 {times.quantile(0.95):.1f} ms"


def _milliseconds(loads: list[Load], share: float) -> Samples:
    """That quantile of each round."""
    return Samples([load.seconds.quantile(share) * 1000 for load in loads])


def model_socket(world: World) -> str:
    """Where the endpoint's one model server listens, once the one before it is gone. Raises Failed."""
    folder = world.server.data_dir / "endpoints" / "names" / "flights" / "servers"
    give_up = time.monotonic() + _RETIRED_SECONDS
    while len(found := list(folder.glob("*/socket"))) != 1:
        if time.monotonic() > give_up:
            raise Failed(f"the endpoint has {len(found)} model servers, where one was deployed")
        time.sleep(0.05)
    return str(found[0])


def flight_rows(path: Path = FLIGHTS, count: int = BODIES) -> list[dict[str, object]]:
    """Rows of the table as requests hold them: numbers as numbers, no target, no left-out columns."""
    with gzip.open(path, "rt", newline="") as file:
        found = list(islice(csv.DictReader(file), 0, count * 300, 300))
    return [
        {name: _cell(name, text) for name, text in row.items() if name not in ("late", "date", "month")}
        for row in found
    ]


_TEXT = frozenset({"weekday", "carrier", "origin", "dest"})


def _cell(name: str, text: str) -> object:
    if text == "":
        return None
    return text if name in _TEXT else float(text)
