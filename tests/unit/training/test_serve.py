"""The model server as a real process: SageMaker's serving contract, errors and SIGTERM included."""

import csv
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.small_bundles import manifest, write_binary, write_boosted, write_multiclass, write_overflowing
from training import bundle
from training.features import columns_from_table
from training.responses import NOT_FINITE, NotAcceptable, decide, negotiate
from training.serving.app import LoadedModel, ModelServer
from training.serving.messages import Answer, Request

ROWS = [
    {"dep_hour": 8, "distance": 1200.5, "weekend": True, "carrier": "AA"},
    {"dep_hour": 21.5, "distance": None, "weekend": False, "carrier": "ZZ"},
    {"dep_hour": 0, "distance": 90, "weekend": None, "carrier": "=1+1"},
]
JSON, LINES, CSV, PARQUET = "application/json", "application/jsonlines", "text/csv", "application/x-parquet"


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    process: subprocess.Popen[str]
    port: int
    root: Path

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        connection = self.connect()
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        reply = Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        connection.close()
        return reply

    def invoke(self, body: Any, content_type: str = JSON, accept: str = JSON) -> Reply:
        return self.call("POST", "/invocations", body, content_type=content_type, accept=accept)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + 30
        while self.call("GET", "/ping").status != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def start(root: Path, *, fd: int | None = None, **environment: str) -> subprocess.Popen[str]:
    inherited = {} if fd is None else {"MLOPS_LISTEN_FD": str(fd)}
    return subprocess.Popen(
        [sys.executable, "-m", "training", "serve"],
        env={**os.environ, "MLOPS_ML_ROOT": str(root), **inherited, **environment},
        pass_fds=() if fd is None else (fd,),
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def served(root: Path, **environment: str) -> Iterator[Served]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        process = start(root, fd=listening.fileno(), **environment)
        server = Served(process, listening.getsockname()[1], root)
    try:
        server.wait_until_ready()
        yield server
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    root = tmp_path_factory.mktemp("binary")
    write_binary(root / "model")
    with served(root) as server:
        yield server


def expected(root: Path) -> list[Any]:
    model = bundle.load(root / "model")
    return model.scores(columns_from_table(pa.Table.from_pylist(ROWS), model.manifest.features)).tolist()


def encoded(content_type: str) -> bytes:
    if content_type == PARQUET:
        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(ROWS), out)
        return out.getvalue()
    if content_type == LINES:
        return "\n".join(map(json.dumps, ROWS)).encode()
    if content_type.startswith(CSV):
        lines = [
            ",".join("" if v is None else str(v).lower() if v in (True, False) else str(v) for v in row.values())
            for row in ROWS
        ]
        return "\n".join([",".join(ROWS[0])] * ("header" in content_type) + lines).encode()
    return json.dumps({"instances": ROWS}).encode()


def test_ping_and_execution_parameters(binary):
    assert binary.call("GET", "/ping").status == 200
    parameters = binary.call("GET", "/execution-parameters").json
    assert parameters == {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}


@pytest.mark.parametrize("content_type", [JSON, LINES, CSV, f"{CSV}; header=present", PARQUET])
def test_answers_are_the_bundles_scores_in_row_order(binary, content_type):
    reply = binary.invoke(encoded(content_type), content_type)
    assert (reply.status, reply.headers["content-type"]) == (200, JSON)
    assert reply.json == {
        "predictions": [
            {"label": "1" if positive >= 0.4 else "0", "probabilities": {"0": negative, "1": positive}}
            for negative, positive in expected(binary.root)
        ]
    }


def test_other_answer_formats(binary):
    scores = expected(binary.root)
    lines = binary.invoke(encoded(JSON), accept=LINES)
    assert lines.headers["content-type"] == LINES
    assert [json.loads(line)["probabilities"]["1"] for line in lines.body.splitlines()] == [row[1] for row in scores]
    table = binary.invoke(encoded(JSON), accept="text/csv; q=0.9, image/png")
    assert table.headers["content-type"] == CSV
    rows = list(csv.reader(io.StringIO(table.body.decode())))
    assert [[float(cell) for cell in row[1:]] for row in rows] == scores
    assert [row[0] for row in rows] == ["1" if row[1] >= 0.4 else "0" for row in scores]


def test_multiclass_takes_the_likeliest_and_quotes_labels(tmp_path):
    write_multiclass(tmp_path / "model")
    with served(tmp_path) as server:
        found = server.invoke(encoded(JSON)).json["predictions"]
        rows = list(csv.reader(io.StringIO(server.invoke(encoded(JSON), accept=CSV).body.decode())))
    scores = expected(tmp_path)
    assert [list(each["probabilities"].values()) for each in found] == scores
    for each, row in zip(found, rows, strict=True):
        assert each["label"] == max(each["probabilities"], key=each["probabilities"].__getitem__) == row[0]


def test_regression_gives_values(tmp_path):
    write_boosted(tmp_path / "model", regression=True)
    with served(tmp_path) as server:
        found = server.invoke(encoded(JSON)).json
        assert found == {"predictions": [{"value": value} for value in expected(tmp_path)]}
        assert server.invoke(encoded(CSV), CSV, CSV).body.decode().splitlines() == [str(v) for v in expected(tmp_path)]


@pytest.mark.parametrize(
    ("call", "status", "says"),
    [
        (("GET", "/nowhere"), 404, "/invocations"),
        (("POST", "/ping"), 405, "use GET"),
        (("GET", "/invocations"), 405, "use POST"),
        (("POST", "/invocations", b"{"), 400, "not JSON"),
        (("POST", "/invocations", b""), 400, "empty"),
    ],
)
def test_errors_are_json(binary, call, status, says):
    reply = binary.call(*call)
    assert (reply.status, reply.headers["content-type"]) == (status, JSON)
    assert says in reply.json["error"]


def test_content_negotiation_errors(binary):
    assert binary.invoke(b"a=1", "application/x-www-form-urlencoded").status == 415
    refused = binary.invoke(encoded(JSON), accept="image/png")
    assert (refused.status, "text/csv" in refused.json["error"]) == (406, True)
    packed = binary.call("POST", "/invocations", b"x", content_type=JSON, content_encoding="gzip")
    assert packed.status == 415


def test_bad_rows_are_named(binary):
    reply = binary.invoke(json.dumps({"instances": [ROWS[0], {"dep_hour": "x", "carier": "AA"}]}))
    assert reply.status == 422
    assert reply.json["error_count"] == 3
    assert reply.json["errors"] == [
        {"row": 1, "column": "carier", "message": "unknown column; did you mean 'carrier'?"},
        {"row": 1, "column": "dep_hour", "message": 'expected a number, got "x"'},
        {"row": 1, "column": "carrier", "message": "missing: this column is required, a string"},
    ]


@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_over_six_megabytes_are_refused_and_the_connection_lives_on(binary, chunked):
    connection = binary.connect()
    body = b" " * (6 * 2**20 + 1)
    connection.request(
        "POST", "/invocations", iter([body[:4000000], body[4000000:]]) if chunked else body, {"Content-Type": JSON}
    )
    answer = connection.getresponse()
    assert (answer.status, b"batch scoring" in answer.read()) == (413, True)
    connection.request("GET", "/ping")
    assert connection.getresponse().status == 200
    connection.close()


def test_a_large_request_gives_the_same_as_small_ones_and_ping_answers_meanwhile(binary):
    body = json.dumps({"instances": ROWS * 15_000})
    waits: list[float] = []
    done = threading.Event()

    def ping() -> None:
        while not done.is_set():
            began = time.monotonic()
            assert binary.call("GET", "/ping").status == 200
            waits.append(time.monotonic() - began)

    pinging = threading.Thread(target=ping)
    pinging.start()
    reply = binary.invoke(body)
    done.set()
    pinging.join()
    scores = [list(each["probabilities"].values()) for each in reply.json["predictions"]]
    assert scores == expected(binary.root) * 15_000
    assert len(waits) > 1
    assert max(waits) < 2.0  # SageMaker's limit


def test_rows_without_a_finite_score_are_refused(tmp_path):
    write_overflowing(tmp_path / "model")
    huge = {**ROWS[0], "dep_hour": 1e300, "distance": 1e300}
    with served(tmp_path) as server:
        reply = server.invoke(json.dumps({"instances": [ROWS[0], huge]}))
        assert reply.status == 422
        assert reply.json["errors"] == [{"row": 1, "column": None, "message": NOT_FINITE}]
        assert server.invoke(json.dumps({"instances": [ROWS[0]]})).status == 200


def test_two_classes_are_decided_by_the_threshold_more_by_the_likeliest():
    probabilities = np.array([[0.65, 0.35], [0.6, 0.4], [0.45, 0.55]])
    assert decide(manifest(threshold=0.4), probabilities).tolist() == [0, 1, 1]
    assert decide(manifest(threshold=None), probabilities).tolist() == [0, 0, 1]


def test_batch_transform_names_lines_without_a_finite_score(tmp_path):
    write_overflowing(tmp_path)
    model = LoadedModel(bundle.load(tmp_path), batch=True)
    parsed = model.read(b"1,1,true,AA\n1e300,1e300,true,AA\nx,1,true,AA", CSV)
    rows = list(csv.reader(io.StringIO(model.predict(parsed, CSV, CSV).body.decode())))
    assert [row[3] for row in rows] == ["", NOT_FINITE, 'dep_hour: expected a finite number, got "x"']
    assert [bool(row[0]) for row in rows] == [True, False, False]


def test_batch_transform_answers_each_line(tmp_path):
    write_binary(tmp_path / "model")
    with served(tmp_path, SAGEMAKER_BATCH="true") as server:
        reply = server.invoke(b"8,1200.5,true,AA\nx,,,AA\n1,2\n8,1200.5,true,AA\n", CSV, "")
        lines = server.invoke(b'{"dep_hour": 8, "carrier": "AA"}\n{"dep_hour": "x", "carrier": "AA"}\n', LINES, "")
    assert reply.headers["content-type"] == CSV
    rows = list(csv.reader(io.StringIO(reply.body.decode())))
    assert [len(row) for row in rows] == [4, 4, 4, 4]
    assert rows[0] == rows[3]
    assert rows[0][3] == ""
    assert rows[1] == ["", "", "", 'dep_hour: expected a finite number, got "x"']
    assert rows[2] == ["", "", "", "expected 4 values, got 2"]
    assert [sorted(json.loads(line)) for line in lines.body.splitlines()] == [["label", "probabilities"], ["error"]]


def test_sigterm_answers_what_is_under_way_and_exits_0(tmp_path):
    write_binary(tmp_path / "model")
    body = encoded(JSON)
    with served(tmp_path) as server, socket.create_connection(("127.0.0.1", server.port), timeout=10) as link:
        idle = server.connect()
        idle.request("GET", "/ping")
        idle.getresponse().read()
        head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: {JSON}\r\nContent-Length: {len(body)}\r\n\r\n"
        link.sendall(head.encode() + body[:10])
        server.call("GET", "/ping")  # by its answer the server has read the head above
        server.process.send_signal(signal.SIGTERM)
        wait_until_refused(server.port)
        link.sendall(body[10:])
        answer = http.client.HTTPResponse(link)
        answer.begin()
        assert answer.status == 200
        assert len(json.loads(answer.read())["predictions"]) == 3
        assert server.process.wait(10) == 0
        idle.close()


def wait_until_refused(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    pytest.fail("it still accepts connections after SIGTERM")


def test_a_bundle_that_cannot_be_loaded_ends_the_server(tmp_path):
    write_binary(tmp_path / "model")
    (tmp_path / "model" / "linear.json").write_text("{}")
    process = start(tmp_path, SAGEMAKER_BIND_TO_PORT="0", MLOPS_BIND_HOST="127.0.0.1")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert errors.count("\n") == 1
    assert "the model cannot be loaded: linear.json: sha256" in errors
    assert "linear.json" in (tmp_path / "output" / "failure").read_text()


def test_a_port_that_is_taken_is_named(tmp_path):
    write_binary(tmp_path / "model")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start(tmp_path, SAGEMAKER_BIND_TO_PORT=str(taken.getsockname()[1]), MLOPS_BIND_HOST="127.0.0.1")
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "SAGEMAKER_BIND_TO_PORT" in errors


def test_host_and_port_come_from_the_environment(tmp_path):
    write_binary(tmp_path / "model")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = start(tmp_path, SAGEMAKER_BIND_TO_PORT=str(port), MLOPS_BIND_HOST="127.0.0.1")
    server = Served(process, port, tmp_path)
    try:
        deadline = time.monotonic() + 30
        while not answers(server):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0


def answers(server: Served) -> bool:
    try:
        return server.call("GET", "/ping").status == 200
    except ConnectionRefusedError:
        return False


# --------------------------------------------------------------------------- the application alone


def request(path: str = "/invocations", method: str = "POST", body: bytes = b"") -> Request:
    return Request(method, path, {b"content-type": JSON.encode()}, body)


def answer_of(app: ModelServer, asked: Request) -> Answer:
    answer = app.handle(asked)
    assert isinstance(answer, Answer)
    return answer


def test_503_while_the_model_is_loading():
    app = ModelServer()
    for asked in (request("/ping", "GET"), request()):
        answer = answer_of(app, asked)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")


def test_beyond_the_bounded_queue_503(tmp_path):
    app = ModelServer(max_waiting=2)
    app.model = LoadedModel(bundle.load(write_binary(tmp_path)))
    assert [app.admit("POST", {}) for _ in range(2)] == [None, None]
    refused = app.admit("POST", {})
    assert refused is not None
    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    assert app.admit("GET", {}) is None
    app.leave()
    app.leave()
    assert app.admit("POST", {}) is None
    assert answer_of(app, request(body=encoded(JSON))).status == 200


def test_a_fault_in_scoring_is_a_500_with_the_trace_in_the_log(tmp_path, capsys, monkeypatch):
    app = ModelServer()
    app.model = LoadedModel(bundle.load(write_binary(tmp_path)))
    monkeypatch.setattr(bundle.Bundle, "scores", lambda self, columns: 1 / 0)
    answer = answer_of(app, request(body=encoded(JSON)))
    assert answer.status == 500
    assert b"ZeroDivisionError" in answer.body
    assert "1 / 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", JSON), ("*/*", JSON), ("application/*", JSON), ("text/*", CSV), ("TEXT/CSV", CSV),
        ("text/csv;q=0.1, */*;q=0.9", JSON),
        ("text/html, application/jsonlines;q=0.5", LINES), ("application/json;q=0, text/csv", CSV),
    ],
)  # fmt: skip
def test_negotiate(accept, kind):
    assert negotiate(accept) == kind


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0", "text/csv;q=oops"])
def test_negotiate_refuses(accept):
    with pytest.raises(NotAcceptable, match="application/jsonlines"):
        negotiate(accept)
