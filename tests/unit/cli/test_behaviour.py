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
from mlops_api.domain.pipelines import Step
from tests.support import samples
from tests.support.canned_api import CannedApi

START = ["train", "start", "--dataset", "flights:1", "--target", "late", "--algorithm", "xgboost"]


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 4), (403, 1), (404, 3), (409, 4), (413, 4), (415, 4), (422, 4), (500, 1), (507, 1)],
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
        "InProgress Downloading", "InProgress Training", "InProgress Uploading", "Completed",
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
    (tmp_path / "mlops-data").mkdir()
    (tmp_path / "mlops-data" / "server.json").write_text('{"url": "http://127.0.0.1:9", "token": "t", "pid": 1}')
    checks = json.loads(mlops("doctor", "--json")[1])["data"]["checks"]
    assert [check["name"] for check in checks][-2:] == ["disk", "server"]
    monkeypatch.setattr("mlops_api.cli.doctor._ML_PACKAGES", ("numpy", "no-such-package"))
    code, out, _ = mlops("doctor")
    assert code == 1
    assert "missing: no-such-package" in out


def test_the_doctor_sees_a_wrong_token(api: CannedApi, mlops, monkeypatch) -> None:
    monkeypatch.setenv("MLOPS_TOKEN", "wrong")
    code, out, _ = mlops("doctor")
    assert code == 1
    assert "Wrong token: the server refused the one from MLOPS_TOKEN." in out


@pytest.mark.parametrize(
    ("words", "environ", "source"),
    [(["--token", "x"], "y", "from --token"), ([], "y", "from MLOPS_TOKEN"), ([], "", "No token was sent")],
)
def test_a_refused_token_is_named_and_the_right_one_located(
    api: CannedApi, mlops, monkeypatch, words, environ, source
) -> None:
    monkeypatch.setenv("MLOPS_TOKEN", environ)
    code, out, err = mlops("data", "list", *words)
    assert (code, out) == (1, "")
    assert source in err
    assert "server.json in the data folder" in err
    assert json.loads(mlops("data", "list", *words, "--json")[1])["error"]["status"] == 401


def test_the_server_file_of_a_folder_may_hold_an_old_token(api: CannedApi, mlops, tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text(json.dumps({"url": api.url, "token": "old", "pid": 1}))
    assert "from server.json" in mlops("data", "list", "--data-dir", str(tmp_path))[2]


@pytest.mark.parametrize("url", ["foo", "127.0.0.1:8000", "ftp://x", "http://", "http://h:port"])
def test_an_address_that_is_none_is_said_to_be_none(mlops, monkeypatch, url) -> None:
    monkeypatch.setenv("MLOPS_URL", url)
    code, _, err = mlops("data", "list")
    assert code == 5
    assert f"MLOPS_URL {url!r} is not a valid URL" in err
    assert f"the address {url!r} is not a valid URL" in mlops("data", "list", "--url", url)[2]


def test_no_command_is_a_wish_for_help(mlops) -> None:
    code, out, err = mlops()
    assert code in (0, 2)
    assert "Usage: mlops" in out + err
    assert "demo" in out + err


@pytest.mark.parametrize(
    "line",
    [
        ["--json", "data", "list"],
        ["-o", "json", "data", "list"],
        ["--quiet", "--json", "data", "list", "--limit", "3"],
        ["--json", "predict", "flights", "--rows", "{}"],
    ],
)
def test_common_options_may_come_first(api: CannedApi, mlops, line) -> None:
    code, out, err = mlops(*line)
    assert (code, err) == (0, "")
    assert json.loads(out)["schema_version"] == 1


@pytest.mark.parametrize(
    ("path", "words", "said"),
    [
        ("/datasets", ["data", "list", "--status", "Rejected"], "No dataset with status Rejected."),
        ("/datasets", ["data", "list"], "No dataset yet. Upload one: mlops data upload FILE --name NAME"),
        ("/models", ["models", "list", "--model", "m", "--status", "Approved"],
         "No model version with model m and status Approved."),
        ("/training/jobs", ["train", "list", "--model", "m"], "No training job with model m."),
        ("/inference/batch", ["batch", "list", "--status", "Failed"], "No batch job with status Failed."),
    ],
)  # fmt: skip
def test_an_empty_list_says_which_filter_left_nothing(api: CannedApi, mlops, path, words, said) -> None:
    api.on("GET", path, {name: [] for name in ("datasets", "models", "jobs", "transform_jobs")})
    assert mlops(*words) == (0, "", said + "\n")


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [("Flüge 2024", "Fluge-2024"), ("a_b.c", "a-b-c"), ("--", "flights"), ("x" * 60, "x" * 48), ("a--b", "a-b")],
)
def test_a_bad_name_is_explained_and_a_good_one_proposed(api: CannedApi, mlops, tmp_path, name, suggestion) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n")
    code, _, err = mlops("data", "upload", "t.csv", f"--name={name}")
    assert code == 4
    assert "letters, digits and single hyphens between them, at most 48 characters" in err
    assert f"such as {suggestion}." in err
    assert "pattern" not in err
    assert len(err.splitlines()) == 1


def test_a_bad_version_is_explained_too(api: CannedApi, mlops) -> None:
    code, _, err = mlops("train", "start", "--dataset", "flights", "--target", "t", "--algorithm", "xgboost")
    assert code == 4
    assert "'flights' is not a version: write name:number or name:alias, such as flights:1." in err


@pytest.mark.parametrize("target", ["missing.csv", "."])
def test_rows_that_cannot_be_read(api: CannedApi, mlops, target) -> None:
    code, _, err = mlops("predict", "flights", "--file", target)
    assert code == 4
    assert f"Cannot read {target}:" in err
    assert "Errno" not in err


def test_verbose_keeps_the_traceback_for_what_nobody_expected(api: CannedApi, mlops, monkeypatch) -> None:
    api.on("POST", "/inference/predict", (422, {"detail": "no"}))
    assert "Traceback" not in mlops("predict", "flights", "--rows", "{}", "-v")[2]
    monkeypatch.setattr("mlops_api.client.models._get", lambda _: 1 / 0)
    assert "ZeroDivisionError" in mlops("models", "show", "m:1")[2]


def test_a_complaint_is_told_once(api: CannedApi, mlops) -> None:
    errors = [{"row": 0, "column": "a", "message": "unknown column"},
              {"row": 10, "column": "a", "message": "unknown column"}]  # fmt: skip
    problem = {"detail": 'row 0: column "a": unknown column (and 1 more)', "errors": errors}
    api.on("POST", "/inference/predict", (422, problem))
    assert mlops("predict", "flights", "--rows", "{}")[2].splitlines() == [
        'mlops predict: row 0: column "a": unknown column (and 1 more)', "  row 10, column a: unknown column",
    ]  # fmt: skip
    api.on("POST", "/inference/predict", (422, {"detail": "no rows", "errors": [{"row": None, "message": "no rows"}]}))
    assert mlops("predict", "flights", "--rows", "{}")[2] == "mlops predict: no rows\n"


def test_a_refused_upload_shows_its_warnings_too(api: CannedApi, mlops, tmp_path: Path) -> None:
    (tmp_path / "flights.csv").write_text("a,b\n1,2\n")
    quality = {"violations": [{"code": "ragged_row", "message": "3 cells, not 2", "row": 7}], "violation_count": 1,
               "warnings": [{"code": "constant_column", "message": "one value", "column": "a"}]}  # fmt: skip
    api.on("GET", "/datasets/flights:1", samples.dataset().model_dump() | {"status": "Rejected", "quality": quality})
    code, _, err = mlops("data", "upload", "flights.csv")
    assert code == 4
    assert err.splitlines()[1:] == [
        "mlops data upload: flights:1 was refused: 1 violation.", "  row 7: 3 cells, not 2",
        "  warning: column a: one value",
    ]  # fmt: skip


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("mlops_api.client.sources.Source.sha256", "Nothing has been sent yet"),
        ("mlops_api.client.sources.Source.read", "mlops data upload FILE --resume flights:1"),
        ("mlops_api.client.datasets._validated", "its validation goes on. See how it went: mlops data show flights:1"),
    ],
)
def test_an_interrupted_upload_says_how_to_go_on(api, mlops, tmp_path, monkeypatch, target, said) -> None:
    (tmp_path / "flights.csv").write_text("a,b\n1,2\n")
    monkeypatch.setattr(target, interrupted)
    code, _, err = mlops("data", "upload", "flights.csv")
    assert code == 130
    assert said in err
    assert err.count("Interrupted.") == 1


@pytest.mark.parametrize("line", [["train", "logs", "-f", "job-1"], [*START, "--wait"]])
def test_a_server_that_goes_away_leaves_the_job(api: CannedApi, mlops, monkeypatch, line) -> None:
    from mlops_api.client.errors import Unreachable

    def gone(_: object) -> None:
        raise Unreachable("nobody answers")

    api.on("GET", "/training/jobs/.*", gone)
    monkeypatch.setattr("mlops_api.client.calls.get", lambda *_, **__: gone(_))
    code, _, err = mlops(*line)
    assert code == 5
    assert "A job that runs goes on without its server." in err
    assert "mlops train logs -f " in err


def test_a_job_is_shown_without_its_own_course_and_with_its_second_attempt(api: CannedApi, mlops) -> None:
    metrics = {"validation:auc": 0.7, "progress": 1.0, "round": 3.0}
    api.on("GET", "/training/jobs/.*", samples.job(metrics=metrics, attempt=2, hyperparameters={"depth": None}))
    lines = [line.split() for line in mlops("train", "show", "job-1")[1].splitlines()]
    assert ["status", "Completed"] in lines
    assert ["attempt", "2"] in lines
    assert ["hyperparameters", "depth=none"] in lines
    assert not [line for line in lines if line[:1] in (["progress"], ["round"])]
    api.on("GET", "/training/jobs/.*", samples.job())
    assert "attempt" not in mlops("train", "show", "job-1")[1]


def test_figures_are_for_reading(api: CannedApi, mlops) -> None:
    figures = {"models": (26061, "bytes"), "requests": (1, "requests since start"), "failed": (0, "requests"),
               "training": (1.0849, "seconds in 30 days"), "long": (4711.3, "seconds")}  # fmt: skip
    storage = {name: {"value": value, "unit": unit, "path": "/x"} for name, (value, unit) in figures.items()}
    api.on("GET", "/dashboard/stats", samples.stats().model_dump() | {"storage": storage})
    out = mlops("stats")[1]
    for text in ("26.1 kB", "1 request since start", "0 requests", "1.1 seconds in 30 days", "4711 seconds"):
        assert f"  {text} " in out


def test_a_preview_has_short_times_and_plain_booleans(api: CannedApi, mlops) -> None:
    row = [True, "2013-01-01T00:00:00", "2013-01-01T05:15:00Z", "T", 1.5, None]
    api.on("GET", "/datasets/.*/preview", {"columns": list("abcdef"), "rows": [row]})
    assert mlops("data", "preview", "m:1")[1].splitlines()[1].split("  ") == [
        "true", "2013-01-01", "2013-01-01 05:15:00Z", "T", "1.5", "-",
    ]  # fmt: skip


def test_a_profile_names_the_most_frequent_numbers(api: CannedApi, mlops) -> None:
    def column(*histogram: tuple[float, float, int]) -> dict:
        buckets = [{"lower": low, "upper": high, "count": count} for low, high, count in histogram]
        numeric = {"min": 0, "max": 9, "mean": 1, "std": 1, "quantiles": {}, "histogram": buckets}
        return {"name": "x", "type": "numeric", "missing": 0, "distinct": 2, "numeric": numeric}

    columns = [column((1, 1, 3), (2, 2, 7)), column((0, 4.5, 6), (4.5, 9, 4))]
    api.on("GET", "/datasets/.*/profile", {"rows": 10, "columns": columns})
    _, _, values, ranges = mlops("data", "profile", "m:1")[1].splitlines()
    assert values.endswith("2 (70.0 %), 1 (30.0 %)")
    assert ranges.endswith("0 to 4.5 (60.0 %)")


def test_a_download_does_not_overwrite_and_names_the_options(api: CannedApi, mlops, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    code, _, err = mlops("data", "download", "flights:1", "--to", "taken")
    assert code == 4
    assert "--to" in err
    assert "--force" in err
    assert (tmp_path / "taken").read_text() == "mine"


# ---- pipelines and recipes


def test_an_execution_shows_its_steps_and_why_it_failed(api: CannedApi, mlops) -> None:
    cause = "flights:2 was refused: ragged_row at column b, row 7: it has 3 cells, not 2."
    steps = [
        Step(name="Preprocess", status="SUCCEEDED", entered_at=samples.NOW, exited_at=samples.NOW),
        Step(name="CheckQuality", status="FAILED", entered_at=samples.NOW, error="DatasetRejected", cause=cause),
        Step(name="Train", status="PENDING"),
    ]
    failed = samples.execution(
        "FAILED", error="DatasetRejected", cause=cause, steps=steps, candidates=[], comparison=None
    )
    api.on("GET", "/pipelines/.*", failed)
    code, out, err = mlops("pipelines", "show", "flights-v2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert next(line for line in lines if line.startswith("cause")).endswith(cause)
    assert [line.split()[:2] for line in lines[-3:]] == [
        ["Preprocess", "SUCCEEDED"], ["CheckQuality", "FAILED"], ["Train", "PENDING"],
    ]  # fmt: skip


def test_watching_tells_each_step_once_and_fails_with_the_execution(api: CannedApi, mlops) -> None:
    running = Step(name="Train", status="RUNNING", entered_at=samples.NOW)
    done = running.model_copy(update={"status": "SUCCEEDED", "exited_at": samples.NOW})
    states = [
        samples.execution("RUNNING", steps=[running]),
        samples.execution("RUNNING", steps=[running]),
        samples.execution("FAILED", steps=[done], error="NoCandidate", cause="diverged"),
    ]
    api.on("GET", "/pipelines/.*", lambda _: states.pop(0))
    code, out, err = mlops("pipelines", "watch", "flights-v1")
    assert (code, out) == (1, "")
    assert err.splitlines()[:2] == ["flights-v1: Train RUNNING", "flights-v1: Train SUCCEEDED"]
    assert "flights-v1 is FAILED: NoCandidate diverged" in err


def test_what_cannot_be_retried_says_what_can_be_done(api: CannedApi, mlops) -> None:
    api.on(
        "POST", "/pipelines/.*/retry", (409, {"detail": "flights-v1 is RUNNING and cannot retry; possible now: stop."})
    )
    code, _, err = mlops("pipelines", "retry", "flights-v1")
    assert code == 4
    assert "possible now: stop" in err


def test_a_recipe_is_sent_as_it_was_said(api: CannedApi, mlops) -> None:
    code, _, _ = mlops(
        "data", "recipe", "set", "flights", "--target", "late", "--algorithm", "xgboost", "--exclude", "date",
        "--param", "xgboost.subsample=0.5", "--search", "xgboost.max_depth=[4, 6]", "--margin", "0.01",
        "--auto-approve", "--deploy", "--if-revision", "3",
    )  # fmt: skip
    assert code == 0
    [asked] = api.calls("PUT", "/datasets/flights/recipe")
    assert asked.headers["if-match"] == "3"
    said = {name: asked.json[name] for name in ("target", "algorithms", "exclude", "hyperparameters", "search", "gate")}
    assert said == {
        "target": "late", "algorithms": ["xgboost"], "exclude": ["date"],
        "hyperparameters": {"xgboost": {"subsample": 0.5}}, "search": {"xgboost": {"max_depth": [4, 6]}},
        "gate": {"metric": None, "margin": 0.01, "auto_approve": True, "deploy": True},
    }  # fmt: skip


def test_a_recipe_that_was_shown_can_be_set(api: CannedApi, mlops, tmp_path: Path) -> None:
    _, out, _ = mlops("data", "recipe", "show", "flights", "--json")
    (tmp_path / "recipe.json").write_text(out)
    assert mlops("data", "recipe", "set", "flights", "--file", str(tmp_path / "recipe.json"))[0] == 0
    assert api.calls("PUT", "/datasets/flights/recipe")[0].json == samples.recipe().recipe.model_dump()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--target", "late", "--file", "x.json"],
        ["--target", "late", "--param", "max_depth=6"],
        ["--target", "late", "--search", "xgboost.max_depth"],
    ],
)
def test_a_recipe_that_cannot_be_read_is_a_usage_problem(api: CannedApi, mlops, arguments) -> None:
    assert mlops("data", "recipe", "set", "flights", *arguments)[0] == 2
    assert api.asked == []


def test_a_recipe_out_of_bounds_is_refused_before_it_is_sent(api: CannedApi, mlops) -> None:
    code, _, err = mlops("data", "recipe", "set", "flights", "--target", "late", "--deploy")
    assert code == 4
    assert "deploy needs auto_approve" in err
