"""One suite per port, run on every adapter. A new adapter adds one factory to the dictionary of its port."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from mlops_api.adapters.local.sqlite_records import SqliteRecords
from mlops_api.ports import ObjectStore, RecordStore
from tests.support.emulators import Emulators
from tests.support.local_storage import served_objects


@contextmanager
def sqlite_records(folder: Path) -> Iterator[RecordStore]:
    with closing(SqliteRecords(folder / "records.sqlite3")) as records:
        yield records


RECORD_STORES: dict[str, Callable[[Path, Emulators], AbstractContextManager[RecordStore]]] = {
    "sqlite": lambda folder, _: sqlite_records(folder),
    "moto": lambda _, emulators: emulators.moto.records(),
    "ministack": lambda _, emulators: emulators.ministack.records(),
}
OBJECT_STORES: dict[str, Callable[[Path, Emulators], AbstractContextManager[ObjectStore]]] = {
    "files": lambda folder, _: served_objects(folder),
    "moto": lambda _, emulators: emulators.moto.objects(),
    "ministack": lambda _, emulators: emulators.ministack.objects(part_size=5 << 20),
}
"""An object store comes with whatever answers its signed URLs, so that the suite can send to them."""

UPLOAD_SIZES = {"files": 150_000, "ministack": 11 << 20}
"""Bytes that make three parts."""

UNSERVED = {"moto"}
"""Nothing answers their signed URLs; moto's own server would take a wrong signature for a good one."""


EMULATOR_GAPS = {
    ("ministack", "test_a_url_that_no_longer_says_it_is_signed_is_refused"): (
        "ministack checks no signature where it is not marked as one, and takes the credentials; S3 takes nothing"
    ),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "records" in metafunc.fixturenames:
        metafunc.parametrize("records", sorted(RECORD_STORES), indirect=True)
    if "objects" in metafunc.fixturenames:
        served = metafunc.definition.get_closest_marker("signed_urls") is not None
        names = set(OBJECT_STORES) - (UNSERVED if served else set())
        metafunc.parametrize("objects", [_param(name, metafunc) for name in sorted(names)], indirect=True)


def _param(adapter: str, metafunc: pytest.Metafunc) -> Any:
    gap = EMULATOR_GAPS.get((adapter, metafunc.function.__name__))
    return pytest.param(adapter, marks=[pytest.mark.xfail(reason=gap, strict=True)] if gap else [])


@pytest.fixture(scope="session")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulators]:
    with closing(Emulators(tmp_path_factory.mktemp("emulators"))) as emulators:
        yield emulators


@pytest.fixture
def records(request: pytest.FixtureRequest, tmp_path: Path, emulators: Emulators) -> Iterator[RecordStore]:
    with RECORD_STORES[request.param](tmp_path, emulators) as store:
        yield store


@pytest.fixture
def objects(request: pytest.FixtureRequest, tmp_path: Path, emulators: Emulators) -> Iterator[ObjectStore]:
    with OBJECT_STORES[request.param](tmp_path, emulators) as store:
        yield store


@pytest.fixture
def upload_size(request: pytest.FixtureRequest) -> int:
    return UPLOAD_SIZES[request.node.callspec.params["objects"]]
