"""What one record costs the store when it holds 1,000 and when it holds 100,000."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from bench.figure import Row, Samples, state_of
from bench.world import World
from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.domain.ordering import sortable
from mlops_api.ports import Index, Place, Put, Record

NAME = "records"
ABOUT = "SqliteRecords: a create and pages of 100, at 1,000 and at 100,000 records"
SMALL, LARGE = 1_000, 100_000
MOST_RATIO = 1.5
ROUNDS = 150
PAGE = 100
KIND = "training-job"
MODELS = 4
_BATCH = 25


@dataclass
class Filled:
    """A store with `size` records, which look like training jobs of MODELS models."""

    store: SqliteRecords
    size: int
    draw: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - sample data
    added: int = 0

    def fill(self) -> None:
        for first in range(0, self.size, _BATCH):
            self.store.write([Put(self.record(n)) for n in range(first, min(first + _BATCH, self.size))])
        self.added = self.size

    def record(self, number: int) -> Record:
        model = f"model-{number % MODELS}"
        created = _moment(number)
        places: dict[Index, Place] = {
            "all": Place(KIND, created),
            "group": Place(f"{KIND}/{model}", created),
            "status": Place(f"{KIND}/Completed", created),
            "group_status": Place(f"{KIND}/{model}/Completed", created),
            "related": Place("dataset/flights:1", created),
            "rank": Place(f"{KIND}/{model}", sortable(self.draw.random())),
        }
        return Record(KIND, f"{model}-xgboost-{number:07d}", _data(number, created), places)

    def create(self) -> None:
        self.store.put(self.record(self.added))
        self.added += 1

    def newest(self) -> None:
        assert len(self.store.query("all", KIND, descending=True, limit=PAGE).records) == PAGE

    def anywhere(self) -> None:
        before = _moment(self.draw.randrange(PAGE, self.size))
        assert len(self.store.query("all", KIND, descending=True, limit=PAGE, before=before).records) == PAGE

    def best(self) -> None:
        page = self.store.query("rank", f"{KIND}/model-0", descending=True, limit=PAGE)
        assert len(page.records) == PAGE


def _moment(number: int) -> str:
    seconds = number * 60
    day, rest = divmod(seconds, 86_400)
    return f"2026-{1 + day // 28 % 12:02d}-{1 + day % 28:02d}T{rest // 3600:02d}:{rest // 60 % 60:02d}:00Z-{number:07d}"


def _data(number: int, created: str) -> dict[str, object]:
    """About the size of a job's record."""
    return {
        "job": f"model-xgboost-{number:07d}",
        "status": "Completed",
        "created_at": created,
        "metrics": {f"validation:{name}": number / 7 for name in ("auc", "logloss", "brier", "accuracy", "f1")},
        "hyperparameters": {"n_estimators": 300, "max_depth": 6, "learning_rate": 0.1, "subsample": 1.0},
        "exclude": ["date", "month"],
        "text": "x" * 200,
    }


OPERATIONS: dict[str, Callable[[Filled], None]] = {
    "create": Filled.create,
    "page of 100 by time, newest": Filled.newest,
    "page of 100 by time, anywhere": Filled.anywhere,
    "page of 100 by metric, best": Filled.best,
}


def measure(world: World, small: int = SMALL, large: int = LARGE, rounds: int = ROUNDS) -> list[Row]:
    with ExitStack() as stack:
        stores = [_filled(world, size, stack) for size in (small, large)]
        return [_row(name, stores, rounds) for name in OPERATIONS]


def _filled(world: World, size: int, stack: ExitStack) -> Filled:
    store = stack.enter_context(closing(SqliteRecords(world.scratch / f"records-{size}.sqlite")))
    filled = Filled(store, size)
    began = time.perf_counter()
    filled.fill()
    world.say(f"  {size:,} records written in {time.perf_counter() - began:.1f} s")
    return filled


def _row(name: str, stores: list[Filled], rounds: int) -> Row:
    """Both sizes in turn, so that what else the machine does meets both."""
    pairs = list(_pairs(OPERATIONS[name], stores, rounds))
    small, large = (Samples(side).scaled(1000) for side in zip(*pairs, strict=True))
    ratio = large.median / small.median
    return Row(
        f"{name}, {stores[1].size:,} records",
        "ms",
        large.median,
        state_of(ratio <= MOST_RATIO),
        best=large.best,
        limit=MOST_RATIO * small.median,
        peer=small.median,
        peer_is=f"at {stores[0].size:,}",
        ratio=ratio,
    )


def _pairs(operation: Callable[[Filled], None], stores: list[Filled], rounds: int) -> Iterator[list[float]]:
    for store in stores:
        operation(store)
    for number in range(rounds):
        order = stores if number % 2 else stores[::-1]
        taken = {store.size: _seconds(operation, store) for store in order}
        yield [taken[store.size] for store in stores]


def _seconds(operation: Callable[[Filled], None], store: Filled) -> float:
    began = time.perf_counter()
    operation(store)
    return time.perf_counter() - began
