"""What is repeated, how often, after which pause, and under which key."""

import httpx
import pytest

from mlops_api.client import RetryPolicy, ServerError, Timeout, Unreachable
from mlops_api.client.effects import Exchange, Reply, Request, Sleep
from mlops_api.client.retry import exchange
from tests.support import samples

START = {"dataset": "flights:1", "target": "late", "algorithm": "xgboost"}


def failing(times: int, answer):
    """A handler that fails so many times before it answers with a job."""
    left = [times]

    def handler(request: httpx.Request) -> httpx.Response:
        if left[0]:
            left[0] -= 1
            return answer(request)
        return httpx.Response(202, content=samples.job().model_dump_json())

    return handler


def raising(error: type[httpx.TransportError]):
    def answer(request: httpx.Request) -> httpx.Response:
        raise error("broken", request=request)

    return answer


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_create_is_repeated_under_the_same_key(wire, status) -> None:
    job = wire.run(failing(3, lambda _: httpx.Response(status)), lambda c: c.training.start(**START))
    assert job.status == "Completed"
    keys = {request.headers["Idempotency-Key"] for request in wire.seen}
    assert len(wire.seen) == 4
    assert len(keys) == 1
    assert {request.content for request in wire.seen} == {wire.seen[0].content}


def test_two_creates_have_two_keys(wire) -> None:
    for _ in range(2):
        wire.run(failing(0, None), lambda c: c.training.start(**START))
    assert len({request.headers["Idempotency-Key"] for request in wire.seen}) == 2


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError, httpx.ReadTimeout])
def test_a_broken_connection_is_tried_again(wire, error) -> None:
    assert wire.run(failing(2, raising(error)), lambda c: c.training.start(**START)).job
    assert len(wire.seen) == 3


def test_pauses_grow_and_end(wire) -> None:
    with pytest.raises(ServerError):
        wire.run(failing(99, lambda _: httpx.Response(503)), lambda c: c.training.get("x"))
    assert wire.slept == [0.5, 1.0, 2.0]
    assert len(wire.seen) == 4


def test_retry_after_is_honoured(wire) -> None:
    wait = httpx.Response(429, headers={"Retry-After": "7"})
    assert wire.run(failing(1, lambda _: wait), lambda c: c.training.get("x")).job
    assert wire.slept == [7.0]


def test_a_server_that_asks_for_too_long_a_pause_is_not_waited_for(wire) -> None:
    wait = httpx.Response(503, headers={"Retry-After": "3600"})
    with pytest.raises(ServerError):
        wire.run(failing(9, lambda _: wait), lambda c: c.training.get("x"))
    assert (wire.slept, len(wire.seen)) == ([], 1)


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 422, 500, 507])
def test_what_cannot_help_is_not_repeated(wire, status) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - which one is test_errors' subject
        wire.run(failing(9, lambda _: httpx.Response(status)), lambda c: c.training.get("x"))
    assert len(wire.seen) == 1


def test_the_last_failure_is_raised(wire) -> None:
    with pytest.raises(Unreachable, match="mlops up"):
        wire.run(failing(9, raising(httpx.ConnectError)), lambda c: c.health())
    with pytest.raises(Timeout):
        wire.run(failing(9, raising(httpx.ReadTimeout)), lambda c: c.health())


def test_a_request_that_must_not_be_repeated_is_sent_once() -> None:
    flow = exchange(Request("POST", "/x", repeatable=False), RetryPolicy())
    assert isinstance(next(flow), Exchange)
    with pytest.raises(ServerError):
        flow.send(Reply(503, {}, b""))


def test_jitter_is_drawn_between_nothing_and_the_growing_bound() -> None:
    drawn = []
    policy = RetryPolicy(attempts=9, longest_wait=5, uniform=lambda low, high: drawn.append((low, high)) or 0.0)
    flow = exchange(Request("GET", "/x"), policy)
    effect = next(flow)
    while len(drawn) < 6:
        effect = flow.send(Reply(503, {}, b"") if isinstance(effect, Exchange) else None)
        assert isinstance(effect, Exchange | Sleep)
    assert drawn == [(0, 0.5), (0, 1.0), (0, 2.0), (0, 4.0), (0, 5), (0, 5)]
