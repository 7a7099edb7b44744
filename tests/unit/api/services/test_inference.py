"""Predictions: the request is relayed, the container's answer comes back in the platform's words."""

import json

import orjson
import pytest

from mlops_api.domain.errors import (
    BadRequest,
    Conflict,
    Invalid,
    NotFound,
    PlatformError,
    TooLarge,
    Unavailable,
    UnsupportedMedia,
)
from mlops_api.domain.inference import PutEndpoint
from mlops_api.domain.models import SetAlias
from mlops_api.ports import VariantSpec
from mlops_api.services.inference import UpstreamFailed
from tests.support.platform import ANN, World

ROW = {"carrier": "UA", "distance": 3}


def predict(here: World, body: bytes | dict[str, object], kind: str = "application/json", model: str | None = None):
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return orjson.loads(here.platform.inference.predict(content, kind, model))


def rows(model: str = "flights") -> dict[str, object]:
    return {"model": model, "instances": [ROW]}


def seen(here: World) -> list[tuple[str, bytes, str]]:
    """What the container gets, from now on."""
    found: list[tuple[str, bytes, str]] = []

    def answer(spec: VariantSpec, body: bytes, kind: str) -> tuple[int, bytes]:
        found.append((spec.variant, body, kind))
        return 200, b' {"predictions":[{"label":"1","probabilities":{"0":0.2,"1":0.8}}]}'

    here.host.answer = answer
    return found


def test_the_rows_are_relayed_and_the_answer_names_its_version(here: World) -> None:
    here.approved(deploy=True)
    found = seen(here)
    answer = predict(here, rows())
    assert answer["model_version"] == "flights:1"
    assert len(answer["prediction_id"]) == 24
    assert answer["predictions"] == [{"label": "1", "probabilities": {"0": 0.2, "1": 0.8}}]
    [(variant, body, kind)] = found
    assert (variant, json.loads(body), kind) == ("v1", {"instances": [ROW]}, "application/json")


def test_every_answer_has_its_own_id(here: World) -> None:
    here.approved(deploy=True)
    assert predict(here, rows())["prediction_id"] != predict(here, rows())["prediction_id"]


def test_columns_and_rows_are_relayed(here: World) -> None:
    here.approved(deploy=True)
    found = seen(here)
    predict(here, {"model": "flights", "columns": ["carrier"], "rows": [["UA"]]})
    assert json.loads(found[0][1]) == {"columns": ["carrier"], "rows": [["UA"]]}


def test_csv_is_relayed_untouched_with_its_header_announced(here: World) -> None:
    here.approved(deploy=True)
    found = seen(here)
    body = "carrier,distance\nUÄ,3\n".encode()
    predict(here, body, "text/csv; charset=utf-8", "flights")
    assert found == [("v1", body, "text/csv; header=present")]
    with pytest.raises(BadRequest, match="model=flights"):
        predict(here, body, "text/csv")


def two_variants(here: World) -> None:
    for _ in range(2):
        here.approved(deploy=True)
    variants = [
        {"variant": "old", "model_version": "flights:1", "weight": 9},
        {"variant": "champion", "model_version": "flights:2", "weight": 1},
    ]
    here.platform.endpoints.put(ANN, "flights", PutEndpoint.model_validate({"variants": variants}))
    here.host.loaded("flights")
    here.tell("endpoint", "flights")


def test_a_name_leaves_the_choice_to_the_weights_and_a_version_or_alias_does_not(here: World) -> None:
    two_variants(here)
    here.platform.registry.set_alias(ANN, "flights", "challenger", SetAlias(version="flights:2"))
    found = seen(here)
    answers = [predict(here, rows(name))["model_version"] for name in ("flights", "flights:2", "flights:challenger")]
    assert answers == ["flights:1", "flights:2", "flights:2"]
    assert [variant for variant, _, _ in found] == ["old", "champion", "champion"]


def test_the_champion_alias_is_never_answered_by_another_version(here: World) -> None:
    two_variants(here)
    crowned = here.platform.registry.get("flights:champion").version
    for _ in range(5):
        assert predict(here, rows("flights:champion"))["model_version"] == crowned


def test_a_version_that_does_not_serve_says_what_does(here: World) -> None:
    here.approved(deploy=True)
    here.approved(deploy=True)
    with pytest.raises(Conflict, match=r"flights:1 is not behind.*serving: flights:2") as refused:
        predict(here, rows("flights:1"))
    assert refused.value.extra["serving"] == ["flights:2"]


@pytest.mark.parametrize("model", ["nobody", "nobody:3", "nobody:champion", "flights:9", "flights:challenger"])
def test_what_does_not_exist_is_not_found(here: World, model: str) -> None:
    here.approved(deploy=True)
    with pytest.raises(NotFound):
        predict(here, rows(model))


def test_a_version_that_does_not_exist_is_not_found_without_an_endpoint_either(here: World) -> None:
    here.approved()
    with pytest.raises(NotFound, match="flights:9"):
        predict(here, rows("flights:9"))


def test_a_model_without_a_champion_says_how_to_get_one(here: World) -> None:
    here.trained()
    with pytest.raises(NotFound, match="mlops models approve flights:NUMBER --deploy"):
        predict(here, rows())


def test_an_approved_version_without_an_endpoint_says_how_to_deploy_it(here: World) -> None:
    here.approved()
    with pytest.raises(Conflict, match="PUT /inference/endpoints/flights"):
        predict(here, rows("flights:1"))


# ---- what is wrong with the request


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", BadRequest),
        (b"{", BadRequest),
        (b'{"model":"\xff"}', BadRequest),
        (b"[" * 100_000, BadRequest),
        (b'{"model":' * 5000, BadRequest),
        (b"[]", Invalid),
        (b'"x"', Invalid),
        (b"{}", Invalid),
        (b'{"model":7}', Invalid),
        (b'{"model":""}', Invalid),
        (b'{"model":"a b"}', Invalid),
        (b'{"model":"flights","instances":[],"threshold":1}', Invalid),
    ],
)
def test_a_bad_body_is_refused_before_the_container(here: World, body: bytes, error: type[PlatformError]) -> None:
    here.approved(deploy=True)
    found = seen(here)
    with pytest.raises(error):
        predict(here, body)
    assert found == []


@pytest.mark.parametrize("cell", [b"NaN", b"-Infinity", b"1e999", b'"\\ud800"'])
def test_what_is_not_strict_json_goes_to_the_container_as_it_came(here: World, cell: bytes) -> None:
    """It names row and column; nothing is turned into a missing value on the way."""
    here.approved(deploy=True)
    found = seen(here)
    body = b'{"model":"flights","instances":[{"distance":' + cell + b"}]}"
    predict(here, body)
    assert [sent for _, sent, _ in found] == [body]


def test_an_unknown_key_is_named_but_not_at_length(here: World) -> None:
    here.approved(deploy=True)
    with pytest.raises(Invalid, match="known: columns, instances, model, rows") as refused:
        predict(here, {"model": "flights", "x" * 100_000: 1})
    assert len(refused.value.detail) < 300
    assert all(len(item["field"]) < 100 for item in refused.value.extra["errors"])


@pytest.mark.parametrize("kind", ["text/plain", "application/x-parquet", "multipart/form-data"])
def test_other_content_types_are_refused(here: World, kind: str) -> None:
    with pytest.raises(UnsupportedMedia, match="text/csv"):
        predict(here, b"x", kind, "flights")


# ---- what the container answers


def answering(here: World, status: int, body: bytes) -> None:
    here.approved(deploy=True)
    here.host.answer = lambda *_: (status, body)


def test_the_containers_complaints_come_with_row_and_column(here: World) -> None:
    errors = [{"row": 3, "column": "carrier", "message": "missing"}]
    answering(here, 422, orjson.dumps({"error": "row 3: carrier: missing", "errors": errors}))
    with pytest.raises(Invalid, match="row 3") as refused:
        predict(here, rows())
    assert refused.value.extra == {"errors": errors, "model_version": "flights:1"}


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadRequest),
        (406, BadRequest),
        (413, TooLarge),
        (415, UnsupportedMedia),
        (503, Unavailable),
        (500, UpstreamFailed),
        (404, UpstreamFailed),
        (302, UpstreamFailed),
    ],
)
def test_the_containers_refusals_keep_their_meaning(here: World, status: int, error: type[PlatformError]) -> None:
    answering(here, status, b'{"error":"say why"}')
    with pytest.raises(error) as refused:
        predict(here, rows())
    assert refused.value.detail == "say why" if error is not UpstreamFailed else "flights:1" in refused.value.detail


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error":null}'])
def test_a_refusal_without_words_still_says_something(here: World, body: bytes) -> None:
    answering(here, 400, body)
    with pytest.raises(BadRequest, match="refused the request"):
        predict(here, rows())


def test_a_busy_host_says_when_to_come_again(here: World) -> None:
    here.approved(deploy=True)
    here.host.busy = True
    with pytest.raises(Unavailable) as refused:
        predict(here, rows())
    assert refused.value.headers["Retry-After"] == "2"


def test_requests_are_counted_by_how_they_ended(here: World) -> None:
    answering(here, 200, b'{"predictions":[]}')
    predict(here, rows())
    here.host.answer = lambda *_: (500, b"")
    with pytest.raises(UpstreamFailed):
        predict(here, rows())
    with pytest.raises(Invalid):
        predict(here, b"{}")
    serving = here.platform.dashboard.stats().serving
    assert {name: serving[name].value for name in ("requests", "refused", "failed")} == {
        "requests": 3,
        "refused": 1,
        "failed": 1,
    }
    assert 0 < serving["p50"].value <= serving["p95"].value
