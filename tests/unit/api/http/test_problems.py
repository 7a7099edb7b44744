"""Every refusal is problem+json with a request id, and tells nothing it should not."""

import json
import logging
import re

import httpx
import pytest

from mlops_api.domain.errors import StorageFull, Unavailable
from mlops_api.middleware.json_lines import JsonLines
from tests.support.platform import TOKEN, World
from tests.support.web import Web

CANARY = "canary-5f3a9c"


def problem(answer: httpx.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    document: dict[str, object] = answer.json()
    assert document["status"] == status
    assert document["request_id"] == answer.headers["X-Request-Id"]
    assert {"type", "title", "detail", "instance"} <= document.keys()
    return document


# ---- shape


def test_an_unknown_path(site: Web) -> None:
    document = problem(site.get("/nothing"), 404)
    assert "/docs" in str(document["detail"])
    assert document["instance"] == "/nothing"


def test_a_method_a_path_does_not_take(site: Web) -> None:
    answer = site("DELETE", "/models")
    problem(answer, 405)
    assert answer.headers["Allow"] == "GET"


def test_a_thing_that_is_not_there(site: Web) -> None:
    assert "flights:1" in str(problem(site.get("/models/flights:1"), 404)["detail"])


def test_a_conflict_carries_status_and_allowed(here: World, site: Web) -> None:
    version = here.approved().version
    document = problem(site.put(f"/models/{version}/approve", {}), 409)
    assert (document["status_now"], document["allowed"]) == ("Approved", ["Rejected"])


def test_complaints_name_their_field(site: Web) -> None:
    document = problem(site.post("/datasets", {"name": "-", "size_bytes": 0, "x": 1}), 422)
    fields = [item["field"] for item in document["errors"]]  # type: ignore[attr-defined] # JSON
    assert fields == ["name", "filename", "size_bytes", "sha256", "x"]
    assert str(document["detail"]).startswith("name: a name has letters, digits and single hyphens")
    assert "pattern" not in str(document["detail"])


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b"NaN", b"", b'"x"', b'{"name": "\\ud800"}'])
def test_a_body_that_cannot_be_read(site: Web, body: bytes) -> None:
    answer = site("POST", "/datasets", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    problem(answer, answer.status_code)


@pytest.mark.parametrize("body", [{"\ud800": 1}, {"hyperparameters": {"\ud800": 1}}, {"exclude": ["\ud800"]}])
def test_half_characters_are_refused_not_tripped_over(here: World, site: Web, body: dict[str, object]) -> None:
    whole = {"dataset": here.ready().version, "target": "late", "algorithm": "xgboost", "model": "m"} | body
    content = json.dumps(whole).encode()
    answer = site("POST", "/training/start", content=content, headers={"Content-Type": "application/json"})
    problem(answer, 422)


def test_a_bad_page_token(site: Web) -> None:
    problem(site.get("/models", params={"next_token": "x"}), 400)


@pytest.mark.parametrize("path", ["/models/..%2F..%2Fetc", "/datasets/%00", "/datasets/a%0Ab:1", "/models/é:1"])
def test_odd_paths_are_refused(site: Web, path: str) -> None:
    assert site.get(path).status_code in (404, 422)


def test_a_store_that_is_busy(here: World, site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(**_: object) -> None:
        raise Unavailable("The records are locked.", retry_after=3)

    monkeypatch.setattr(here.platform.registry, "page", busy)
    answer = site.get("/models")
    problem(answer, 503)
    assert answer.headers["Retry-After"] == "3"


def test_a_full_disk(here: World, site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StorageFull("No space left. Free some and try again.")

    monkeypatch.setattr(here.platform.datasets, "create", full)
    body = {"name": "a", "filename": "f", "size_bytes": 1, "sha256": "0" * 64}
    problem(site.post("/datasets", body), 507)


def test_a_fault_of_ours_tells_nothing_of_the_inside_but_is_logged(
    here: World, site: Web, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError(f"inside: {CANARY}")

    monkeypatch.setattr(here.platform.registry, "page", broken)
    answer = site.get("/models")
    document = problem(answer, 500)
    assert CANARY not in answer.text
    assert str(document["request_id"]) in str(document["detail"])
    assert CANARY in caplog.text


# ---- what must not be told


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/datasets", {"name": CANARY + " ", "filename": [CANARY], "size_bytes": CANARY, "sha256": CANARY}),
        ("/training/start", {"dataset": CANARY, "target": {CANARY: 1}, "algorithm": CANARY, "model": CANARY + "!"}),
        ("/inference/batch", {"model": {"a": CANARY}, "input": CANARY, "format": CANARY}),
        ("/models/flights/rollback", {"comment": [CANARY]}),
        ("/models/flights/rollback", CANARY),
    ],
)
def test_validation_never_echoes_what_was_sent(site: Web, path: str, body: object) -> None:
    answer = site.post(path, body)
    problem(answer, 422)
    assert CANARY not in answer.text


def test_large_input_is_not_sent_back(site: Web) -> None:
    names = {f"{'x' * 5000}{number}": 1 for number in range(500)}
    answer = site.post("/datasets", names)
    problem(answer, 422)
    assert len(answer.content) < 50_000


def test_large_hyperparameter_names_are_not_sent_back(here: World, site: Web) -> None:
    names = {f"{'x' * 5000}{number}": 1 for number in range(500)}
    whole = {"dataset": here.ready().version, "target": "late", "algorithm": "xgboost", "model": "m"}
    answer = site.post("/training/start", whole | {"hyperparameters": names, "exclude": list("x" * 5000)})
    problem(answer, 422)
    assert len(answer.content) < 100_000


# ---- request ids and logs


def test_a_request_id_is_taken_over_or_made(site: Web) -> None:
    assert site.get("/models", headers={"X-Request-Id": "mine-1"}).headers["X-Request-Id"] == "mine-1"
    made = [site.get("/models", headers={"X-Request-Id": bad}).headers["X-Request-Id"] for bad in ("", "a b", "x" * 65)]
    assert all(re.fullmatch(r"[0-9a-f]{16}", identity) for identity in made)
    assert len(set(made)) == 3


def test_no_log_line_holds_a_token_or_a_query(site: Web, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(JsonLines())
    with caplog.at_level(logging.INFO):
        site.get("/", params={"token": TOKEN})
        site.get("/models", headers={"Cookie": f"mlops_token={TOKEN}", "X-Request-Id": TOKEN + " "})
        site.get("/models", params={"next_token": TOKEN})
        site.post("/datasets", {"name": TOKEN})
        site.get("/nothing", headers={"Authorization": f"Bearer {TOKEN}"})
    lines = [caplog.handler.format(record) for record in caplog.records if record.name.startswith("mlops_api")]
    assert len(lines) >= 5
    assert TOKEN not in "".join(lines)


def test_a_log_line_is_one_json_object_whatever_the_path(site: Web, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(JsonLines())
    with caplog.at_level(logging.INFO, logger="mlops_api.requests"):
        site.get("/a%0Ab%0D%22%E2%80%A8")
    [line] = [line for line in caplog.text.split("\n") if '"mlops_api.requests"' in line]
    found = json.loads(line)
    assert (found["method"], found["path"], found["status"]) == ("GET", '/a\nb\r"\u2028', 404)
    assert found["ms"] >= 0


def test_a_trace_in_the_log_is_one_line_without_secrets(
    here: World, site: Web, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError(f"first\nsecond {CANARY}")

    caplog.handler.setFormatter(JsonLines([CANARY]))
    monkeypatch.setattr(here.platform.registry, "page", broken)
    site.get("/models")
    [line] = [caplog.handler.format(record) for record in caplog.records if record.levelname == "ERROR"]
    assert "\n" not in line
    assert CANARY not in line
    assert "first\nsecond [secret]" in json.loads(line)["trace"]


def test_not_ready_says_why(here: World, site: Web) -> None:
    (here.settings.data_dir / "records.sqlite3").unlink()
    document = problem(site.get("/health/ready"), 503)
    assert "gone" in str(document["detail"])
    assert site.get("/health/live").status_code == 200
