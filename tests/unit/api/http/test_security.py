"""Who may come in, from where, and with how much."""

import pytest

from tests.support.platform import HOST, TOKEN, World
from tests.support.web import AUTHORIZED, Web, raw, web

BEARER = ("authorization", f"Bearer {TOKEN}")
JSON = ("content-type", "application/json")


# ---- authentication


@pytest.mark.parametrize("path", ["/models", "/datasets/flights:1", "/docs", "/openapi.json", "/ui/", "/", "/nothing"])
def test_without_a_token_nothing_is_told(here: World, path: str) -> None:
    with web(here.app(), token=None) as site:
        answer = site.get(path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "server.json" in answer.json()["detail"]


@pytest.mark.parametrize(
    "header",
    [
        "Bearer wrong",
        "Bearer ",
        "Bearer",
        f"Basic {TOKEN}",
        TOKEN,
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer é",
    ],
)
def test_another_token_does_not_do(here: World, header: str) -> None:
    assert raw(here.app(), "GET", "/models", (("host", HOST), ("authorization", header))).status == 401


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
def test_the_token_opens(here: World, header: str) -> None:
    assert raw(here.app(), "GET", "/models", (("host", HOST), ("authorization", header))).status == 200


def test_the_cookie_opens(here: World) -> None:
    app = here.app()
    assert raw(app, "GET", "/models", (("host", HOST), ("cookie", f"a=b; mlops_token={TOKEN}"))).status == 200
    assert raw(app, "GET", "/models", (("host", HOST), ("cookie", "mlops_token=wrong"))).status == 401
    assert raw(app, "GET", "/models", (("host", HOST), ("cookie", 'x="\\; mlops_token'))).status == 401


def test_the_link_sets_a_cookie_that_scripts_cannot_read_and_drops_the_token_from_the_address(here: World) -> None:
    answer = raw(here.app(), "GET", "/", (("host", HOST),), query=f"token={TOKEN}")
    assert (answer.status, answer.headers["location"]) == (303, "/ui/")
    cookie = answer.headers["set-cookie"]
    assert cookie == f"mlops_token={TOKEN}; HttpOnly; SameSite=Strict; Path=/"
    followed = raw(here.app(), "GET", "/ui/", (("host", HOST), ("cookie", cookie.partition(";")[0])))
    assert followed.status == 200


def test_the_link_may_lead_to_the_api_docs(here: World) -> None:
    answer = raw(here.app(), "GET", "/docs", (("host", HOST),), query=f"token={TOKEN}")
    assert (answer.status, answer.headers["location"]) == (303, "/docs")
    assert answer.headers["set-cookie"].startswith(f"mlops_token={TOKEN};")


@pytest.mark.parametrize("query", ["token=wrong", "token=", "token=%FF", f"toke={TOKEN}"])
def test_a_wrong_link_is_refused(here: World, query: str) -> None:
    assert raw(here.app(), "GET", "/", (("host", HOST),), query=query).status == 401


def test_the_token_in_an_address_opens_nothing_else(here: World) -> None:
    assert raw(here.app(), "GET", "/models", (("host", HOST),), query=f"token={TOKEN}").status == 401


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_is_open(here: World, path: str) -> None:
    with web(here.app(), token=None) as site:
        assert site.get(path).json() == {"status": "ok"}


@pytest.mark.parametrize(
    "path", ["/health/live/../../models", "/health/live/", "/storage", "/storage/../models", "//models", "/storage/x"]
)
def test_no_path_leads_around_the_token(here: World, path: str) -> None:
    assert raw(here.app(), "GET", path, (("host", HOST),)).status in (401, 404)


def test_signed_urls_need_no_token_but_their_signature(here: World) -> None:
    version = here.ready().version
    url = here.platform.datasets.download(version).url
    with web(here.app(), token=None) as site:
        assert site.get(url).content == b"a,b\n1,2\n"
        assert site.get(url.replace("raw", "table/dataset.json")).status_code == 403


# ---- host and origin


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "127.0.0.1", "localhost:8000", "LOCALHOST", "[::1]", "[::1]:8000"])
def test_this_machines_names_are_answered(here: World, host: str) -> None:
    assert raw(here.app(), "GET", "/models", (("host", host), BEARER)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8000",
        "[::1]evil.example",
        "[::2]",
        "127.0.0.1:8000@evil.example",
        "127.0.0.1:8000:9000",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/models", "/health/live", "/storage/x"])
def test_another_host_is_refused_everywhere(here: World, host: str, path: str) -> None:
    answer = raw(here.app(), "GET", path, (("host", host), BEARER))
    assert answer.status == 403
    assert b"127.0.0.1 or localhost" in answer.body


def test_no_host_is_refused(here: World) -> None:
    assert raw(here.app(), "GET", "/models", (BEARER,)).status == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "", "http://127.0.0.1:9000", "http://[", "file://"])
def test_a_page_of_another_origin_cannot_change_anything(here: World, origin: str) -> None:
    headers = (*AUTHORIZED, ("origin", origin), JSON)
    answer = raw(here.app(), "POST", "/models/flights/rollback", headers, [b"{}"])
    assert answer.status == 403
    assert b"another origin" in answer.body


def test_a_page_of_this_origin_can(here: World) -> None:
    headers = (*AUTHORIZED, ("origin", f"http://{HOST}"), JSON)
    assert raw(here.app(), "POST", "/models/flights/rollback", headers, [b"{}"]).status == 404


# ---- body


def test_a_body_that_says_it_is_too_large_is_not_read(here: World) -> None:
    headers = (*AUTHORIZED, ("content-length", str(here.settings.max_body_bytes + 1)), JSON)
    answer = raw(here.app(), "POST", "/inference/predict", headers, [b"x"] * 3)
    assert (answer.status, answer.chunks_taken) == (413, 0)
    assert b"score them in batch" in answer.body


def test_a_body_without_a_length_is_counted_and_nothing_is_parsed(here: World) -> None:
    chunk = b"[" * (1 << 20)
    answer = raw(here.app(), "POST", "/datasets", (*AUTHORIZED, JSON), [chunk] * 50)
    assert (answer.status, answer.chunks_taken) == (413, 7)


def test_a_body_that_lied_about_its_length_is_counted_too(here: World) -> None:
    headers = (*AUTHORIZED, ("content-length", "10"), JSON)
    assert raw(here.app(), "POST", "/datasets", headers, [b"x" * (1 << 20)] * 10).status == 413


def test_a_body_just_as_large_as_allowed_is_read(here: World) -> None:
    body = b'{"model":"' + b"x" * (here.settings.max_body_bytes - 12) + b'"}'
    assert raw(here.app(), "POST", "/inference/predict", (*AUTHORIZED, JSON), [body]).status == 422
    assert raw(here.app(), "POST", "/inference/predict", (*AUTHORIZED, JSON), [body, b" "]).status == 413


@pytest.mark.parametrize("length", ["-1", "1e3", "", "0x10", "1 2", "²"])
def test_a_length_that_is_no_number_is_refused(here: World, length: str) -> None:
    assert raw(here.app(), "POST", "/datasets", (*AUTHORIZED, ("content-length", length))).status == 400


def test_a_request_whose_sender_went_away_has_no_effect(here: World) -> None:
    body = b'{"name":"a","filename":"f.csv","size_bytes":3,"sha256":"' + b"0" * 64 + b'"}'
    answer = raw(here.app(), "POST", "/datasets", (*AUTHORIZED, JSON), [body, b" "], vanishes=True)
    assert answer.status == 0
    assert here.platform.datasets.page(name=None, status=None, limit=5, token=None).datasets == []


def test_nobody_has_to_wait_for_a_body_without_a_token(here: World) -> None:
    answer = raw(here.app(), "POST", "/datasets", (("host", HOST), JSON), [b"x" * 1000] * 9)
    assert (answer.status, answer.chunks_taken) == (401, 0)


# ---- answers


@pytest.mark.parametrize("path", ["/models", "/nothing", "/health/live", "/docs", "/models/x"])
def test_every_answer_has_the_security_headers(site: Web, path: str) -> None:
    headers = site.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"].startswith("default-src 'self'")
    assert headers["X-Request-Id"]


def test_downloads_keep_their_stricter_policy(here: World, site: Web) -> None:
    headers = site.get(here.platform.datasets.download(here.ready().version).url).headers
    assert headers.get_list("Content-Security-Policy") == ["default-src 'none'; sandbox"]
    assert headers["Content-Disposition"].startswith("attachment")
