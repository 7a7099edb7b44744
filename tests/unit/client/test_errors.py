"""Each status has its exception, with all that the answer said."""

import httpx
import pytest

from mlops_api.client import (
    AuthError,
    Conflict,
    MLOpsError,
    NotFound,
    ServerError,
    TooLarge,
    Validation,
)
from mlops_api.client.calls import path
from mlops_api.client.errors import describe

CASES = [
    (400, Validation),
    (401, AuthError),
    (403, AuthError),
    (404, NotFound),
    (405, MLOpsError),
    (409, Conflict),
    (412, Conflict),
    (413, TooLarge),
    (415, Validation),
    (422, Validation),
    (429, ServerError),
    (500, ServerError),
    (503, ServerError),
    (507, ServerError),
]


@pytest.mark.parametrize(("status", "kind"), CASES)
def test_a_problem_becomes_its_exception(wire, status, kind) -> None:
    problem = {
        "type": "about:blank", "title": "T", "status": status, "detail": "what to do", "instance": "/x",
        "request_id": "r-7", "errors": [{"row": 3, "column": "dep_hour", "message": "not a number"}], "allowed": ["A"],
    }  # fmt: skip
    with pytest.raises(MLOpsError) as caught:
        wire.run(lambda _: httpx.Response(status, json=problem), lambda c: c.datasets.get("flights:1"))
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.detail, error.request_id) == (status, "what to do", "r-7")
    assert error.errors == [{"row": 3, "column": "dep_hour", "message": "not a number"}]
    assert error.extra == {"allowed": ["A"]}
    assert str(error) == "what to do\n  row 3, column dep_hour: not a number"


def test_an_answer_that_is_no_problem_document_still_says_something(wire) -> None:
    broken = httpx.Response(500, text="<html>proxy</html>", headers={"X-Request-Id": "r-9"})
    with pytest.raises(ServerError, match="500: <html>proxy") as caught:
        wire.run(lambda _: broken, lambda c: c.datasets.get("flights:1"))
    assert caught.value.request_id == "r-9"


def test_an_answer_of_another_kind_of_server_is_named(wire) -> None:
    with pytest.raises(ServerError, match="address of an MLOps server"):
        wire.run(lambda _: httpx.Response(200, text="<html>hello</html>"), lambda c: c.datasets.get("flights:1"))


def test_keys_of_a_newer_server_are_ignored(wire) -> None:
    answer = {"columns": ["a"], "rows": [[1]], "added_later": True}
    assert wire.run(lambda _: httpx.Response(200, json=answer), lambda c: c.datasets.preview("a:1")).columns == ("a",)


def test_a_request_that_cannot_be_right_is_refused_before_it_is_sent(wire) -> None:
    with pytest.raises(Validation) as caught:
        wire.run(
            lambda _: httpx.Response(500),
            lambda c: c.training.start(dataset="flights", target="late", algorithm="svm", validation_fraction=2),
        )
    assert {error["field"] for error in caught.value.errors} == {"dataset", "algorithm", "validation_fraction"}
    assert wire.seen == []


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_change_the_path_is_refused(name) -> None:
    with pytest.raises(Validation):
        path("models", name)


def test_names_are_quoted() -> None:
    assert path("models", "a/b?c#d:1") == "/models/a%2Fb%3Fc%23d:1"


def test_row_zero_is_a_row() -> None:
    assert describe({"row": 0, "column": "x", "message": "m"}) == "row 0, column x: m"
