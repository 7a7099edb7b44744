"""Part by part, resumable, verified; from whatever holds a table."""

import hashlib
import json
from pathlib import Path

import httpx
import pandas as pd
import pytest

from mlops_api.client import AuthError, Conflict, ServerError, Timeout, Unreachable, Validation
from mlops_api.client.sources import open_source
from mlops_contracts.dataset import Finding, Quality
from tests.support import samples

PART = 1000
CONTENT = b"a,b\n" + b"1,2\n" * 900


class Store:
    """The server's side of an upload. `fail` maps a part number to answers to give before taking it."""

    def __init__(self, content: bytes = CONTENT, status: str = "Ready", quality: Quality | None = None) -> None:
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.size = len(content)
        self.arrived: dict[int, bytes] = {}
        self.puts: list[int] = []
        self.fail: dict[int, list] = {}
        self.generation = 1
        self.created: dict = {}
        self.completed: list[dict] | None = None
        self.final = samples.dataset(status=status, quality=quality)
        self.polls = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        route = (request.method, request.url.path)
        if request.url.path.startswith("/signed/"):
            return self._put(request)
        assert request.headers["Authorization"] == "Bearer secret"
        match route:
            case ("POST", "/datasets"):
                self.created = json.loads(request.content)
                return self._dataset(201, "AwaitingUpload", upload=self._upload())
            case ("GET", "/datasets/flights:1/upload"):
                self.generation += 1
                return httpx.Response(200, json=self._upload())
            case ("POST", "/datasets/flights:1/complete"):
                self.completed = json.loads(request.content)["parts"]
                return self._dataset(202, "Validating")
            case ("GET", "/datasets/flights:1"):
                if self.completed is None:
                    return self._dataset(200, "AwaitingUpload")
                self.polls += 1
                return self._dataset(200, self.final.status if self.polls > 2 else "Validating")
        raise AssertionError(route)

    def _put(self, request: httpx.Request) -> httpx.Response:
        assert "Authorization" not in request.headers
        _, _, generation, number = request.url.path.split("/")
        self.puts.append(int(number))
        if self.fail.get(int(number)):
            answer = self.fail[int(number)].pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if int(generation) != self.generation:
            return httpx.Response(403, json={"detail": "expired"})
        self.arrived[int(number)] = request.content
        return httpx.Response(200, headers={"ETag": f'"e{number}"'})

    def _upload(self) -> dict:
        count = -(-self.size // PART)
        sizes = [PART] * (count - 1) + [self.size - PART * (count - 1)]
        parts = [
            {
                "part_number": number,
                "url": f"http://127.0.0.1:9/signed/{self.generation}/{number}",
                "size_bytes": size,
                "etag": f'"e{number}"' if number in self.arrived else None,
            }
            for number, size in enumerate(sizes, start=1)
        ]
        return {"part_size": PART, "expires_at": samples.NOW, "parts": parts}

    def _dataset(self, code: int, status: str, **more: object) -> httpx.Response:
        known = self.final.model_dump(mode="json") | {"status": status, "sha256": self.sha256, "size_bytes": self.size}
        return httpx.Response(code, json=known | more)

    @property
    def content(self) -> bytes:
        return b"".join(self.arrived[number] for number in sorted(self.arrived))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "flights.csv"
    path.write_bytes(CONTENT)
    return path


def test_a_file_goes_in_parts_and_waits_for_its_validation(wire, file) -> None:
    store, told = Store(), []
    dataset = wire.run(
        store, lambda c: c.datasets.upload(file, progress=lambda done, total: told.append((done, total)))
    )
    assert dataset.status == "Ready"
    assert store.content == CONTENT
    assert store.created == {
        "name": "flights", "filename": "flights.csv", "size_bytes": len(CONTENT), "sha256": store.sha256,
    }  # fmt: skip
    assert store.completed == [{"part_number": n, "etag": f'"e{n}"'} for n in (1, 2, 3, 4)]
    assert told == [(1000, 3604), (2000, 3604), (3000, 3604), (3604, 3604)]
    assert len(wire.slept) == 2


def test_what_arrived_is_not_sent_again(wire, file) -> None:
    store = Store()
    store.fail[3] = [httpx.ReadError("cable cut")] * 4
    with pytest.raises(Unreachable) as caught:
        wire.run(store, lambda c: c.datasets.upload(file))
    assert caught.value.extra["version"] == "flights:1"
    assert "--resume flights:1" in caught.value.__notes__[0]
    store.puts.clear()
    dataset = wire.run(store, lambda c: c.datasets.upload(file, resume="flights:1"))
    assert store.puts == [3, 4]
    assert (dataset.status, store.content) == ("Ready", CONTENT)


def test_another_file_does_not_continue_an_upload(wire, file) -> None:
    store = Store(CONTENT + b"3,4\n")
    with pytest.raises(Conflict, match="another file"):
        wire.run(store, lambda c: c.datasets.upload(file, resume="flights:1"))
    assert store.puts == []


def test_urls_that_expired_are_renewed(wire, file) -> None:
    store = Store()
    store.fail[2] = [httpx.Response(403, json={"detail": "expired"})]
    assert wire.run(store, lambda c: c.datasets.upload(file)).status == "Ready"
    assert store.content == CONTENT
    assert store.puts == [1, 2, 2, 3, 4]


def test_a_store_that_refuses_for_good_is_believed(wire, file) -> None:
    store = Store()
    store.fail[2] = [httpx.Response(403, json={"detail": "no"})] * 2
    with pytest.raises(AuthError):
        wire.run(store, lambda c: c.datasets.upload(file))


def test_a_part_without_an_etag_is_an_error(wire, file) -> None:
    store = Store()
    store.fail[1] = [httpx.Response(200)]
    with pytest.raises(ServerError, match="ETag"):
        wire.run(store, lambda c: c.datasets.upload(file))


def test_a_refused_table_says_where(wire, file) -> None:
    violation = Finding(code="ragged_row", message="5 cells, 4 expected", row=17, column="b")
    store = Store(status="Rejected", quality=Quality(violations=(violation,), violation_count=1))
    with pytest.raises(Validation) as caught:
        wire.run(store, lambda c: c.datasets.upload(file))
    assert caught.value.errors == [{"code": "ragged_row", "message": "5 cells, 4 expected", "row": 17, "column": "b"}]
    assert "row 17, column b: 5 cells" in str(caught.value)


def test_waiting_has_an_end(wire, file) -> None:
    store = Store()
    with pytest.raises(Timeout):
        wire.run(store, lambda c: c.datasets.upload(file, timeout=0))


def text_of(table: object, **options: str) -> str:
    source = open_source(table, options.get("filename", "t.csv"))  # type: ignore[arg-type]  # wrong ones on purpose
    try:
        assert source.sha256() == hashlib.sha256(source.read(0, source.size)).hexdigest()
        return source.read(0, source.size).decode()
    finally:
        source.close()


def test_a_data_frame_is_written_without_its_index() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", None]})
    assert text_of(frame) == "a,b\n1,x\n2,\n"


def test_rows_as_dicts_have_the_union_of_their_columns() -> None:
    rows = [{"a": 1, "b": True}, {"a": float("nan"), "b": False, "c": 'say "hi", twice'}]
    assert text_of(rows) == 'a,b,c\r\n1,true,\r\n,false,"say ""hi"", twice"\r\n'


@pytest.mark.parametrize("table", [b"", [], 3, [1, 2], "no/such/file.csv"])
def test_what_is_no_table_is_refused(table) -> None:
    with pytest.raises(Validation):
        text_of(table)


def test_a_table_without_a_file_needs_a_name(wire) -> None:
    with pytest.raises(Validation, match="name="):
        wire.run(Store(), lambda c: c.datasets.upload(b"a,b\n1,2\n"))
