"""Waiting, logs, downloads and predictions."""

import hashlib
import json
import math
from itertools import chain, repeat
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from mlops_api.client import Conflict, JobFailed, ServerError, Timeout, Validation
from mlops_api.client.rows import predict_body
from tests.support import samples


def in_turn(*answers):
    """One answer after the other; the last one for ever."""
    following = chain(answers[:-1], repeat(answers[-1]))
    return lambda _: httpx.Response(200, content=next(following).model_dump_json())


def test_wait_tells_each_state_and_ends_with_the_job(wire) -> None:
    told = []
    states = [samples.job(status="InProgress", progress=p) for p in (0.1, 0.6)] + [samples.job()]
    job = wire.run(in_turn(*states), lambda c: c.training.wait("j", progress=lambda one: told.append(one.progress)))
    assert (job.status, told) == ("Completed", [0.1, 0.6, 1.0])
    assert wire.slept == sorted(wire.slept)
    assert len(wire.slept) == 2


@pytest.mark.parametrize("status", ["Failed", "Stopped"])
def test_a_job_that_ends_otherwise_is_an_error(wire, status) -> None:
    with pytest.raises(JobFailed, match="out of memory") as caught:
        wire.run(in_turn(samples.job(status=status, failure_reason="out of memory")), lambda c: c.training.wait("j"))
    assert caught.value.job.status == status
    with pytest.raises(JobFailed):
        wire.run(in_turn(samples.transform(status=status)), lambda c: c.batch.wait("t"))


def test_waiting_ends_after_its_time(wire) -> None:
    with pytest.raises(Timeout, match="goes on"):
        wire.run(in_turn(samples.job(status="InProgress")), lambda c: c.training.wait("j", timeout=0))


def test_an_endpoint_is_awaited_until_nothing_is_pending(wire) -> None:
    creating = samples.endpoint("Creating", variants=[], pending=samples.endpoint().variants)
    updating = samples.endpoint("InService", pending=samples.endpoint().variants)
    assert (
        wire.run(in_turn(creating, updating, samples.endpoint()), lambda c: c.inference.wait("flights")).pending == []
    )
    assert len(wire.seen) == 3


@pytest.mark.parametrize("status", ["Failed", "InService"])
def test_a_deployment_that_failed_is_an_error_even_if_the_old_one_serves(wire, status) -> None:
    with pytest.raises(JobFailed, match="bad bundle"):
        wire.run(in_turn(samples.endpoint(status, failure_reason="bad bundle")), lambda c: c.inference.wait("flights"))


class Log:
    """Grows by a line at each request that found nothing new; done after `total` lines."""

    def __init__(self, total: int, page: int) -> None:
        self.total, self.page, self.written = total, page, min(3, total)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        after = int(request.url.params["after"])
        end = min(after + self.page, self.written)
        complete = end == self.total
        if end == after:
            self.written = min(self.total, self.written + 1)
        lines = [f"line {number}" for number in range(after, end)]
        return httpx.Response(200, json={"lines": lines, "next_after": end, "complete": complete})


def test_following_a_log_gives_every_line_once(wire) -> None:
    lines = wire.run(Log(total=12, page=2), lambda c: c.training.logs("j", follow=True))
    assert lines == [f"line {number}" for number in range(12)]
    assert set(wire.slept) == {0.5}


def test_a_log_so_far_ends_where_it_is(wire) -> None:
    assert wire.run(Log(total=12, page=2), lambda c: c.training.logs("j")) == ["line 0", "line 1", "line 2"]
    assert wire.slept == []


BUNDLE = b"bundle" * 1000


def bundle_server(*bodies: object, sha256: str | None = None, size: int = len(BUNDLE)):
    """Answers the file's request with each body in turn: bytes, a status, or an exception."""
    following = iter(bodies)

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/signed":
            assert "Authorization" not in request.headers
            body = next(following)
            if isinstance(body, Exception):
                raise body
            return httpx.Response(body) if isinstance(body, int) else httpx.Response(200, content=body)
        if request.url.path.endswith("/bundle"):
            url = {"url": "http://127.0.0.1:9/signed", "expires_at": samples.NOW, "size_bytes": size}
            return httpx.Response(200, json=url | {"sha256": sha256 or hashlib.sha256(BUNDLE).hexdigest()})
        return httpx.Response(200, content=samples.model("flights:3").model_dump_json())

    return handler


def test_a_download_is_verified_and_named(wire, tmp_path: Path) -> None:
    told = []
    use = lambda c: c.models.download("flights:champion", tmp_path, progress=lambda *at: told.append(at))  # noqa: E731
    path = wire.run(bundle_server(BUNDLE), use)
    assert path == tmp_path / "flights-3.tar.gz"
    assert path.read_bytes() == BUNDLE
    assert told[-1] == (len(BUNDLE), len(BUNDLE))


def test_a_download_that_breaks_off_begins_again(wire, tmp_path: Path) -> None:
    handler = bundle_server(503, httpx.ReadError("cut"), BUNDLE)
    assert wire.run(handler, lambda c: c.models.download("flights:3", tmp_path)).read_bytes() == BUNDLE
    assert len(wire.slept) == 2


@pytest.mark.parametrize("body", [BUNDLE[:-1], BUNDLE[:-1] + b"x"])
def test_wrong_bytes_leave_no_file(wire, tmp_path: Path, body: bytes) -> None:
    with pytest.raises(ServerError):
        wire.run(bundle_server(body), lambda c: c.models.download("flights:3", tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_exists_is_kept_unless_told_otherwise(wire, tmp_path: Path) -> None:
    target = tmp_path / "mine.tar.gz"
    target.write_text("precious")
    with pytest.raises(Conflict, match="exists already"):
        wire.run(bundle_server(BUNDLE), lambda c: c.models.download("flights:3", target))
    assert target.read_text() == "precious"
    wire.run(bundle_server(BUNDLE), lambda c: c.models.download("flights:3", target, overwrite=True))
    assert target.read_bytes() == BUNDLE


def test_rows_of_every_kind_become_json() -> None:
    assert json.loads(predict_body("m", {"a": 1, "b": math.nan})) == {"model": "m", "instances": [{"a": 1, "b": None}]}
    numpy_row = {"a": np.int64(3), "b": np.float64(0.5), "c": np.bool_(True)}
    assert json.loads(predict_body("m", [numpy_row]))["instances"] == [{"a": 3, "b": 0.5, "c": True}]
    frame = pd.DataFrame({"a": [1.5, math.nan], "b": ["x", None]})
    assert json.loads(predict_body("m", frame)) == {
        "model": "m",
        "columns": ["a", "b"],
        "rows": [[1.5, "x"], [None, None]],
    }


@pytest.mark.parametrize("rows", ["a,b", [1], {"a": math.inf}, {"a": object()}, {"a": [math.inf]}])
def test_rows_that_cannot_be_sent_are_refused(rows) -> None:
    with pytest.raises(Validation):
        predict_body("m", rows)


def test_csv_goes_as_csv(wire) -> None:
    answer = {"model_version": "m:1", "prediction_id": "p", "predictions": [{"value": 12.3}]}
    found = wire.run(lambda _: httpx.Response(200, json=answer), lambda c: c.inference.predict_csv("m", b"a\n1\n"))
    assert found.predictions[0].value == 12.3
    request = wire.seen[0]
    assert (request.url.params["model"], request.headers["Content-Type"]) == ("m", "text/csv")
    assert request.content == b"a\n1\n"


def test_every_write_carries_a_key_and_every_call_the_token(wire) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=samples.model().model_dump_json())

    for use in (
        lambda c: c.models.approve("m:1", comment="x", deploy=True),
        lambda c: c.models.reject("m:1"),
        lambda c: c.models.rollback("m"),
        lambda c: c.models.set_alias("m", "challenger", "m:2"),
        lambda c: c.models.delete_alias("m", "challenger"),
    ):
        wire.run(handler, use)
    assert [(r.method, r.url.path) for r in wire.seen] == [
        ("PUT", "/models/m:1/approve"),
        ("PUT", "/models/m:1/reject"),
        ("POST", "/models/m/rollback"),
        ("PUT", "/models/m/aliases/challenger"),
        ("DELETE", "/models/m/aliases/challenger"),
    ]
    assert json.loads(wire.seen[0].content) == {"comment": "x", "deploy": True}
    assert len({request.headers["Idempotency-Key"] for request in wire.seen}) == 5
    assert {request.headers["Authorization"] for request in wire.seen} == {"Bearer secret"}
