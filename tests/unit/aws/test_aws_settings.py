"""The aws mode from the environment, and what is made when."""

import threading

import pytest
from pydantic import ValidationError

from mlops_api.adapters.aws.stack import Later
from mlops_api.bootstrap import aws_platform
from mlops_api.services.identity import GatewayIdentity
from mlops_api.settings import Settings
from tests.support.aws import CREDENTIALS, NEEDED
from tests.support.platform import at_once


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in (CREDENTIALS | NEEDED | {"MLOPS_MODE": "aws"}).items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_lists_are_separated_by_commas(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MLOPS_ALLOWED_ORIGINS", "https://a.example.com")
    settings = Settings()
    assert settings.allowed_hosts == {"api.example.com", "other.example.com"}
    assert settings.allowed_origins == {"https://a.example.com"}


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_what_is_missing_is_named(environment: pytest.MonkeyPatch, name: str) -> None:
    environment.setenv(name, "")
    with pytest.raises(ValidationError, match=f"MLOPS_MODE=aws set also {name}\\."):
        Settings()


def test_the_local_mode_needs_none_of_it() -> None:
    assert Settings(mode="local").table == ""


def test_the_platform_is_built_without_a_call(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    environment.setenv("MLOPS_IDENTITY_CLAIM", "client_id")
    platform = aws_platform(Settings())
    assert isinstance(platform.identity, GatewayIdentity)
    assert platform.allowed_hosts == {"api.example.com", "other.example.com"}
    assert platform.mounts == {}


def test_later_is_made_once_when_first_asked() -> None:
    made: list[int] = []

    def make() -> list[str]:
        made.append(threading.get_ident())
        return ["x"]

    later = Later(make)
    assert made == []
    assert at_once(*[lambda: later.index("x")] * 8) == [0] * 8
    assert len(made) == 1
