"""The figures of the aws mode: they measure, and what was promised for memory and for the routes asked most holds."""

from pathlib import Path

import pytest

from bench import dynamodb_calls, dynamodb_requests, lambda_cold_start
from bench.program import Failed
from bench.world import World


def test_the_cold_start_is_measured(tmp_path: Path) -> None:
    with World(below=tmp_path) as world:
        rows = lambda_cold_start.measure(world, times=1)
    assert len(rows) == 3 * len(lambda_cold_start.OURS)
    for seconds, memory in zip(rows[::3], rows[1::3], strict=True):
        assert seconds.measured is not None
        assert seconds.peer is not None
        assert 0 < seconds.peer < seconds.measured
        assert memory.state == "ok"


@pytest.mark.slow
def test_dynamodb_is_asked_as_often_as_promised(tmp_path: Path) -> None:
    with World(below=tmp_path) as world:
        rows = {row.figure: row for row in dynamodb_calls.measure(world)}
    assert {route for route, row in rows.items() if row.state != "ok"} == set()
    assert rows["POST /inference/predict"].measured == 0


def test_a_route_without_a_request_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamodb_requests, "_inference_requests", lambda _: {})
    with World(below=tmp_path) as world, pytest.raises(Failed, match="POST /inference/predict"):
        dynamodb_calls.measure(world)
