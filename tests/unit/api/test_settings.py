"""Settings come from the environment and from arguments."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from mlops_api.settings import Settings


def test_the_environment_is_read_when_settings_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_DATA_DIR", "/elsewhere")
    monkeypatch.setenv("MLOPS_ADOPT_JOBS", "false")
    monkeypatch.setenv("MLOPS_TRAINING_SLOTS", "3")
    monkeypatch.setenv("MLOPS_NO_SUCH_SETTING", "x")
    settings = Settings()
    assert (settings.data_dir, settings.adopt_jobs, settings.training_slots) == (Path("/elsewhere"), False, 3)


def test_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_USER", "ann")
    assert (Settings().user, Settings(user="bob").user) == ("ann", "bob")


def test_a_value_that_is_none_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_TRAINING_SLOTS", "many")
    with pytest.raises(ValidationError, match="training_slots"):
        Settings()


def test_settings_do_not_change() -> None:
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.user = "eve"
