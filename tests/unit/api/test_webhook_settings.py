"""Where alerts may go is judged when the settings are read."""

import base64

import pytest
from pydantic import ValidationError

from mlops_api.domain.webhooks import parse_webhook_secret, parse_webhook_url
from mlops_api.settings import Settings
from tests.support.notifiers import SECRET

URL = "https://hooks.example.com/mlops?room=ml"


def settings(url: str = URL, secret: str = SECRET, *, loopback: bool = False) -> Settings:
    return Settings(webhook_url=url, webhook_secret=secret, webhook_loopback=loopback)


def test_a_public_https_address_with_a_secret() -> None:
    assert settings().webhook_url == URL


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "hooks.example.com",
        "https://",
        "https://user:password@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:99999/",
        "https://hööks.example.com/",
        "http://127.0.0.1/",
        "https://hooks.example.com/\r\nX: y",
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="webhook's address"):
        settings(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/hook", "http://localhost/", "http://[::1]:9000/", URL])
def test_this_machine_where_it_is_allowed(url: str) -> None:
    assert settings(url, loopback=True).webhook_url == url


@pytest.mark.parametrize("url", ["http://hooks.example.com/", "http://10.0.0.1/", "http://127.0.0.1.example.com/"])
def test_plain_http_goes_to_this_machine_only(url: str) -> None:
    with pytest.raises(ValidationError):
        settings(url, loopback=True)


@pytest.mark.parametrize("size", [23, 65])
def test_a_secret_has_24_to_64_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="openssl"):
        parse_webhook_secret("whsec_" + base64.b64encode(b"x" * size).decode())


@pytest.mark.parametrize("secret", ["", "hunter2", SECRET.removeprefix("whsec_"), "whsec_not base64", "whsec_ä"])
def test_an_unsound_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValidationError, match="whsec_"):
        settings(secret=secret)


def test_the_secret_is_not_shown() -> None:
    assert SECRET not in repr(settings())
    assert SECRET not in settings().model_dump_json()


def test_the_parts_of_an_address() -> None:
    parts = parse_webhook_url(URL)
    assert (parts.hostname, parts.path, parts.query) == ("hooks.example.com", "/mlops", "room=ml")
