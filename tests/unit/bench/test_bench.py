"""The benchmark itself: it lists, measures, tells a figure that is short, and one that could not be measured."""

import json
import math
from pathlib import Path

import pytest

from bench import __main__ as program
from bench import predict, records, startup
from bench.figure import Row, Samples, at_most, informational
from bench.load import Plan, run
from bench.program import Failed
from bench.table import table
from bench.tables import CATEGORICAL, NUMERIC, TARGET, mixed
from bench.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(below=tmp_path)


def test_it_lists_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(program.FIGURES)
    assert all(module.ABOUT and callable(module.measure) for module in program.FIGURES.values())


def test_an_unknown_figure_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["predictions"])
    assert ended.value.code == 2
    assert "predict" in capsys.readouterr().err


def test_records_are_measured_at_both_sizes(world: World) -> None:
    with world:
        rows = records.measure(world, small=400, large=800, rounds=5)
        text = table(rows)
    assert [row.figure.split(",")[0] for row in rows] == [name.split(",")[0] for name in records.OPERATIONS]
    for row in rows:
        assert row.best is not None
        assert row.measured is not None
        assert row.peer is not None
        assert 0 < row.best <= row.measured
        assert row.ratio == pytest.approx(row.measured / row.peer)
        assert row.figure in text
    assert not list(world.scratch.parent.iterdir())


def test_a_median_over_its_limit_is_short() -> None:
    assert at_most("x", "s", Samples([1.0, 2.0, 9.0]), 2.0).state == "ok"
    short = at_most("x", "s", Samples([1.0, 2.1, 9.0]), 2.0)
    assert (short.state, short.measured, short.best) == ("short", 2.1, 1.0)
    assert short.ratio == pytest.approx(1.05)
    assert informational("x", "s", 9e9).state == "info"


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("info", 0), ("short", 1)])
def test_exit_code_and_json(
    state: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(records, "measure", lambda _: [Row("pages", "ms", 1.5, state)])  # type: ignore[arg-type] # str
    assert program.main(["records", "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert document["figures"][0] | {"figure": "pages", "state": state} == document["figures"][0]
    assert "Python" in document["machine"]


def test_a_figure_that_cannot_be_measured_does_not_hide_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: World) -> list[Row]:
        raise Failed("no server")

    monkeypatch.setattr(startup, "measure", broken)
    monkeypatch.setattr(records, "measure", lambda _: [Row("pages", "ms", 1.5, "ok")])
    assert program.main(["startup", "records"]) == 1
    out = capsys.readouterr().out
    assert "not measured: no server" in out
    assert "1.500 ms" in out


def test_load_counts_and_times_every_request(world: World) -> None:
    with world, startup.bare_app(world) as bare:
        plan = Plan(["127.0.0.1", bare.port], "/echo", {}, ['{"a":1}', '{"a":2}'], count=60, connections=4, warm=10)
        load = run(plan, world.scratch)
        assert len(load.seconds.values) == 60
        assert 0 < load.seconds.best <= load.seconds.median <= load.elapsed
        with pytest.raises(Failed, match="404"):
            run(Plan(plan.address, "/nowhere", {}, ["{}"], count=5), world.scratch)


def test_flight_rows_hold_features_only() -> None:
    rows = predict.flight_rows(count=20)
    assert len(rows) == 20
    assert rows[0]["carrier"] == "UA"
    assert rows[0]["distance"] == 1400.0
    assert not {"late", "date", "month"} & rows[0].keys()


def test_generated_tables_are_the_same_each_time_and_learnable() -> None:
    table_ = mixed(5_000, target=True)
    assert table_.num_columns == NUMERIC + CATEGORICAL + 1
    assert table_.equals(mixed(5_000, target=True))
    assert table_["number_0"].null_count > 0
    share = sum(table_[TARGET].to_pylist()) / 5_000
    assert 0.3 < share < 0.7
    assert math.isclose(mixed(10, target=False).num_columns, NUMERIC + CATEGORICAL)
