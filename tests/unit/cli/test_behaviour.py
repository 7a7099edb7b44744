"""What a person or a script sees: exit codes, lists, progress, the forms rows may take."""

import io
import json
import os
import sys
from pathlib import Path

import pytest

from mlops_api.cli import errors, options, output
from mlops_api.cli.endpoints import parse_variant
from mlops_api.cli.session import Session
from tests.support import samples
from tests.support.canned_api import CannedApi

START = ["train", "start", "--dataset", "flights:1", "--target", "late", "--algorithm", "xgboost"]


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 4), (401, 1), (403, 1), (404, 3), (409, 4), (413, 4), (415, 4), (422, 4), (500, 1), (507, 1)],
)
def test_exit_codes(api: CannedApi, mlops, status, code) -> None:
    problem = {"detail": "why", "request_id": "r-1", "errors": [{"row": 2, "column": "x", "message": "bad"}]}
    api.on("GET", "/models/.*", (status, problem))
    assert mlops("models", "show", "m:1") == (
        code, "", "mlops models show: why\n  row 2, column x: bad\nrequest id: r-1\n",
    )  # fmt: skip


def test_an_unreachable_server_is_5(mlops, monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLOPS_URL", raising=False)
    code, out, err = mlops("data", "list")
    assert (code, out) == (5, "")
    assert "mlops up" in err


@pytest.mark.parametrize(
    "line",
    [
        ["nothing"],
        ["train", "nothing"],
        ["train", "start"],
        ["train", "show"],
        ["data", "list", "--limit", "0"],
        ["data", "list", "--status", "Redy"],
        [*START, "--param", "max_depth"],
        ["predict", "flights"],
        ["predict", "flights", "--rows", "{}", "--stdin"],
        ["predict", "flights", "--rows", '{"a": '],
        ["models", "alias", "flights", "challenger"],
        ["models", "alias", "flights", "challenger", "flights:1", "--delete"],
        ["models", "approve", "flights:1", "--wait"],
        ["endpoints", "put", "flights", "--variant", "flights:1@much"],
    ],
)
def test_a_wrong_command_line_is_2_also_in_json(api, mlops, line) -> None:
    code, out, err = mlops(*line)
    assert (code, out) == (2, "")
    assert err
    code, out, err = mlops(*line, "--json")
    assert (code, err) == (2, "")
    assert json.loads(out)["error"]["code"] == "usage"
    assert not [one for one in api.asked if one.method != "GET"]


def test_a_job_that_fails_fails_the_command(api: CannedApi, mlops) -> None:
    api.on("GET", "/training/jobs/.*", samples.job(status="Failed", failure_reason="column dep_hour: no values"))
    code, out, err = mlops(*START, "--wait")
    assert (code, out) == (1, "")
    assert "column dep_hour: no values" in err
    code, out, _ = mlops(*START, "--wait", "--json")
    assert json.loads(out)["error"]["code"] == "job_failed"
    assert code == 1


@pytest.mark.parametrize("extra", [[], ["--json"]])
def test_an_interrupt_leaves_the_job_and_says_how_to_stop_it(api: CannedApi, mlops, monkeypatch, extra) -> None:
    api.on("GET", "/training/jobs/.*", samples.job("job-1", status="InProgress"))

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mlops_api.client.drivers.Blocking.__init__.__defaults__", (interrupt,), raising=False)
    code, out, err = mlops(*START, "--wait", *extra)
    assert code == 130
    assert "mlops train stop flights-xgboost-1" in out + err
    assert not api.calls("POST", "/training/jobs/flights-xgboost-1/stop")


def test_parameters_and_columns_are_sent_as_given(api: CannedApi, mlops) -> None:
    given = ["max_depth=6", "learning_rate=0.1", "class_weight=balanced", "max_features=null", 'x="6"']
    params = [word for pair in given for word in ("--param", pair)]
    assert mlops(*START, *params, "--exclude", "date", "--exclude", "month", "--seed", "3")[0] == 0
    sent = api.calls("POST", "/training/start")[0].json
    assert sent["hyperparameters"] == {
        "max_depth": 6, "learning_rate": 0.1, "class_weight": "balanced", "max_features": None, "x": "6",
    }  # fmt: skip
    assert (sent["exclude"], sent["seed"], sent["model"]) == (["date", "month"], 3, "flights")


def jobs(api: CannedApi, count: int) -> None:
    items = [samples.job(f"job-{number}").model_dump() for number in range(count)]

    def page(asked) -> dict:
        start, limit = int(asked.query.get("next_token", 0)), int(asked.query["limit"])
        end = start + limit
        return {"jobs": items[start:end], "next_token": str(end) if end < len(items) else None}

    api.on("GET", "/training/jobs", page)


@pytest.mark.parametrize(
    ("count", "words", "shown", "said"),
    [
        (20, [], 20, ""),
        (21, [], 20, "1 more: --all shows them"),
        (5, ["--limit", "2"], 2, "3 more: --all shows them"),
        (1500, [], 20, "more than 1000 more: --all shows them"),
        (450, ["--all"], 450, ""),
        (0, [], 0, "Start one: mlops train start"),
    ],
)
def test_a_list_is_never_cut_in_silence(api: CannedApi, mlops, count, words, shown, said) -> None:
    jobs(api, count)
    code, out, err = mlops("train", "list", *words)
    assert code == 0
    assert len(out.splitlines()) == (shown + 1 if shown else 0)
    assert said in err
    assert bool(err) == bool(said)
    data = json.loads(mlops("train", "list", *words, "--json")[1])["data"]
    assert len(data["jobs"]) == shown
    assert data["more"] == min(count - shown, 1000)
    assert data["more_is_exact"] == (count - shown <= 1000)


def test_csv_has_raw_values_and_no_formulas(api: CannedApi, mlops) -> None:
    wild = samples.job("job-1", created_by="=HYPERLINK(1)", dataset="-flights:1")
    api.on("GET", "/training/jobs", {"jobs": [wild.model_dump()]})
    _, out, _ = mlops("train", "list", "-o", "csv")
    header, line = out.splitlines()
    assert header == "job,status,algorithm,dataset,metrics,version,started,by"
    assert line == f"job-1,Completed,xgboost,'-flights:1,auc=0.7312,flights:1,{samples.NOW},'=HYPERLINK(1)"


@pytest.mark.parametrize(
    ("value", "safe"),
    [("=1", "'=1"), ("+1", "'+1"), ("-1", "'-1"), ("@x", "'@x"), ("\tx", "'\tx"), (-1.5, -1.5), ("a=1", "a=1")],
)
def test_only_text_that_begins_like_a_formula_is_escaped(value, safe) -> None:
    assert output.safe_cell(value) == safe


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.73121, "0.7312"), (39.1, "39.1"), (0.1, "0.1"), (172.0, "172"), (-1e-7, "-1e-07"),
     (123456789.5, "1.235e+08"), (True, "True"), (["a", "b"], "a, b"), ("\x1b[3mx\n", "\\x1b[3mx\\n"), ("é", "é")],
)  # fmt: skip
def test_cells(value, text) -> None:
    assert output.cell(value) == text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_table_and_names_cannot_style_it(monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    screen = Terminal()
    output.Printer(screen, no_color=True).table(["name"], [["[red]x[/red]"], ["\x1b[2J"]])
    text = screen.getvalue()
    assert "[red]x[/red]" in text
    assert "\\x1b[2J" in text
    assert "─" in text
    assert "\x1b[2J" not in text


@pytest.mark.parametrize("flag", ["argument", "environment"])
def test_colour_can_be_switched_off(monkeypatch, flag) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if flag == "environment":
        monkeypatch.setenv("NO_COLOR", "1")
    screen = Terminal()
    output.Printer(screen, no_color=flag == "argument").table(["name"], [["x"]])
    assert "\x1b[3" not in screen.getvalue()


def test_progress_is_for_terminals_only(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert Session("table").shows_progress
    assert not Session("json").shows_progress
    assert not Session("table", quiet=True).shows_progress
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not Session("table").shows_progress


def test_off_a_terminal_each_change_of_state_is_a_line(api: CannedApi, mlops, monkeypatch) -> None:
    monkeypatch.setattr("mlops_api.client.calls.FIRST_POLL", 0.001)
    phases = iter(["Downloading", "Training", "Training", "Uploading"])

    def state(_) -> object:
        phase = next(phases, None)
        return samples.job(status="InProgress", secondary_status=phase) if phase else samples.job()

    api.on("GET", "/training/jobs/.*", state)
    code, _, err = mlops(*START, "--wait")
    assert code == 0
    assert [line.partition(": ")[2] for line in err.splitlines()] == [
        "InProgress Downloading", "InProgress Training", "InProgress Uploading", "Completed Completed",
    ]  # fmt: skip
    phases = iter(["Training"])
    assert mlops(*START, "--wait", "-q")[2] == ""


@pytest.mark.parametrize(
    ("words", "stdin", "sent"),
    [
        (["--json", '{"a": 1}'], b"", [{"a": 1}]),
        (["--json", '[{"a": 1}, {"a": 2}]', "--json"], b"", [{"a": 1}, {"a": 2}]),
        (["--file", "rows.csv"], b"", b"a,b\n1,2\n"),
        (["--file", "rows.json"], b"", [{"a": 3}]),
        (["--file", "rows.jsonl"], b"", [{"a": 3}, {"a": 4}]),
        (["--stdin"], b"\xef\xbb\xbfa\n5\n", b"\xef\xbb\xbfa\n5\n"),
        (["--stdin"], b' {"a": 6}', [{"a": 6}]),
    ],
)
def test_rows_may_come_in_every_form(api: CannedApi, mlops, tmp_path: Path, monkeypatch, words, stdin, sent) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    (tmp_path / "rows.json").write_text('[{"a": 3}]')
    (tmp_path / "rows.jsonl").write_text('{"a": 3}\n\n{"a": 4}\n')
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    code, out, _ = mlops("predict", "flights", *words)
    assert code == 0
    assert out.startswith("{") == (words[-1] == "--json")
    asked = api.calls("POST", "/inference/predict")[0]
    if isinstance(sent, bytes):
        assert (asked.headers["content-type"], asked.query, asked.body) == ("text/csv", {"model": "flights"}, sent)
    else:
        assert asked.headers["content-type"] == "application/json"
        assert asked.json == {"model": "flights", "instances": sent}


def test_variants() -> None:
    assert parse_variant("flights:3@0.9") == {"variant": "v3", "model_version": "flights:3", "weight": 0.9}
    assert parse_variant("flights:champion") == {
        "variant": "champion",
        "model_version": "flights:champion",
        "weight": 1.0,
    }
    with pytest.raises(errors.UsageProblem):
        parse_variant("flights")


def test_values_are_json_or_else_text() -> None:
    assert options.parameters(["a=1", "b=x", "c=[1]", "d=", "e=a=b"]) == {
        "a": 1,
        "b": "x",
        "c": [1],
        "d": "",
        "e": "a=b",
    }


def test_the_upload_sends_the_file(api: CannedApi, mlops, tmp_path: Path) -> None:
    (tmp_path / "flights.csv").write_text("a,b\n1,2\n")
    assert mlops("data", "upload", "flights.csv")[0] == 0
    assert api.calls("PUT", "/signed/part")[0].body == b"a,b\n1,2\n"
    assert "authorization" not in api.calls("PUT", "/signed/part")[0].headers
    assert api.calls("POST", "/datasets/flights:1/complete")[0].json == {"parts": [{"part_number": 1, "etag": '"8"'}]}


def test_verbose_tells_requests_and_hides_the_token(api: CannedApi) -> None:
    import subprocess

    run = subprocess.run(
        [sys.executable, "-m", "mlops_api", "data", "list", "-v"], capture_output=True, text=True, check=True
    )
    assert "GET" in run.stderr
    assert "/datasets" in run.stderr
    assert api.token not in run.stderr
    assert os.environ["MLOPS_URL"] in run.stderr


def test_a_reader_that_goes_away_is_no_accident(api: CannedApi) -> None:
    import subprocess

    jobs(api, 2000)
    command = f"{sys.executable} -m mlops_api train list --all | head -1"
    run = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("job")
    assert run.stderr == ""


def test_the_version(mlops) -> None:
    code, out, _ = mlops("--version")
    assert code == 0
    assert out.startswith("mlops 0.")


def test_exit_codes_are_in_the_help(mlops) -> None:
    _, out, _ = mlops("--help")
    for code, _ in errors.EXIT_CODES:
        assert f" {code} " in out


def test_the_doctor_knows_what_is_missing(mlops, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLOPS_URL", raising=False)
    code, out, _ = mlops("doctor", "--json")
    checks = {check["name"]: check["verdict"] for check in json.loads(out)["data"]["checks"]}
    assert (code, checks["server"], checks["ML libraries"]) == (5, "failed", "ok")
    monkeypatch.setattr("mlops_api.cli.doctor._ML_PACKAGES", ("numpy", "no-such-package"))
    code, out, _ = mlops("doctor")
    assert code == 1
    assert "missing: no-such-package" in out


def test_the_doctor_sees_a_wrong_token(api: CannedApi, mlops, monkeypatch) -> None:
    monkeypatch.setenv("MLOPS_TOKEN", "wrong")
    code, out, _ = mlops("doctor")
    assert code == 1
    assert "wrong token" in out
