"""A job's configuration survives the trip through SageMaker's hyperparameters, within their limits."""

import pytest

from mlops_contracts.hyperparameters import XGBoostHyperparameters
from mlops_contracts.job import JobConfig, decode, encode

PARAMETERS = XGBoostHyperparameters(n_estimators=7, learning_rate=0.25)


def config(*exclude: str) -> JobConfig:
    return JobConfig(
        algorithm="xgboost", model="flights", dataset="flights:1", target='la"te\N{SNOWMAN}', exclude=exclude
    )


@pytest.mark.parametrize("columns", [0, 1, 100, 2000])
def test_what_is_encoded_is_decoded(columns: int) -> None:
    given = config(*(f"column {number} \N{SNOWMAN}" for number in range(columns)))
    raw = encode(given, PARAMETERS)
    assert decode(raw) == (given, PARAMETERS)
    assert decode(dict(reversed(raw.items()))) == (given, PARAMETERS)
    assert max(map(len, raw.values())) <= 2500
    assert len(raw) <= 100


def test_short_values_keep_their_plain_names() -> None:
    raw = encode(config("a", "b"), PARAMETERS)
    assert raw["job_exclude"] == '["a", "b"]'
    assert raw["n_estimators"] == "7"
    assert not [name for name in raw if "." in name]


def test_a_value_that_lost_a_piece_is_refused() -> None:
    raw = encode(config(*(f"column {number}" for number in range(500))), PARAMETERS)
    del raw["job_exclude.1"]
    with pytest.raises(ValueError, match=r"delimiter|Expecting|Unterminated"):
        decode(raw)
