"""One suite per port, run on every adapter. A new adapter adds one factory to the dictionary of its port."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.ports import ObjectStore, RecordStore
from tests.support.local_storage import served_objects


@contextmanager
def sqlite_records(folder: Path) -> Iterator[RecordStore]:
    with closing(SqliteRecords(folder / "records.sqlite3")) as records:
        yield records


RECORD_STORES: dict[str, Callable[[Path], AbstractContextManager[RecordStore]]] = {"sqlite": sqlite_records}
OBJECT_STORES: dict[str, Callable[[Path], AbstractContextManager[ObjectStore]]] = {"files": served_objects}
"""An object store comes with whatever answers its signed URLs, so that the suite can send to them."""


@pytest.fixture(params=sorted(RECORD_STORES))
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordStore]:
    with RECORD_STORES[request.param](tmp_path) as store:
        yield store


@pytest.fixture(params=sorted(OBJECT_STORES))
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    with OBJECT_STORES[request.param](tmp_path) as store:
        yield store
