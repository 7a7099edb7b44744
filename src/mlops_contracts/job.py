"""A training job's configuration, carried as SageMaker's hyperparameters: a map string -> string.

Keys of the job itself start with `job_`, so they cannot collide with an algorithm's own names; every
value is JSON, so that a list, a number and a missing value survive the trip. SageMaker takes 2,500 characters a value
and 100 values: a longer one, such as many excluded columns, goes on under `name.1`, `name.2`, ...
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field

from mlops_contracts.base import Contract
from mlops_contracts.hyperparameters import HYPERPARAMETERS, AlgorithmName, Hyperparameters, ProblemType

_PREFIX = "job_"
_LONGEST = 2500

SplitName = Literal["auto", "hash"]
"""auto: by time where there is a time column, else drawn, stratified for classes. hash: by what a row holds."""


class JobConfig(Contract):
    """Everything `train` needs to know besides the data and the algorithm's hyperparameters."""

    algorithm: AlgorithmName
    model: str
    dataset: str = Field(description="Dataset version the data channel was filled from, such as flights:2.")
    dataset_sha256: str = ""
    target: str
    problem_type: ProblemType | None = Field(None, description="Empty: inferred from the target column.")
    exclude: tuple[str, ...] = ()
    time_column: str | None = Field(None, description="Split by time: the newest rows validate.")
    validation_fraction: float = Field(0.2, gt=0, lt=1)
    seed: int = Field(0, ge=0, le=2**31 - 1)
    split: SplitName = Field("auto", description="hash: rows held out once stay so in later versions of the dataset.")
    champion: str | None = Field(
        None, description="Model version in the channel `champion`, to be judged on the same rows, such as flights:3."
    )


def encode(config: JobConfig, hyperparameters: Hyperparameters) -> dict[str, str]:
    """Return the string -> string map that `decode` reads back to equal objects."""
    own = {_PREFIX + name: value for name, value in config.model_dump(mode="json").items()}
    values = own | hyperparameters.model_dump(mode="json")
    return {key: piece for name, value in values.items() for key, piece in _pieces(name, json.dumps(value))}


def decode(raw: Mapping[str, str]) -> tuple[JobConfig, Hyperparameters]:
    """Parse and bound every value.

    Raises:
        pydantic.ValidationError: a value is out of bounds, unknown or missing.
        ValueError: a value is not JSON.
    """
    values = {name: json.loads(text) for name, text in _joined(raw).items()}
    own = {name.removeprefix(_PREFIX): value for name, value in values.items() if name.startswith(_PREFIX)}
    config = JobConfig.model_validate(own)
    rest = {name: value for name, value in values.items() if not name.startswith(_PREFIX)}
    return config, HYPERPARAMETERS[config.algorithm].model_validate(rest)


def _pieces(name: str, text: str) -> Iterator[tuple[str, str]]:
    for number, start in enumerate(range(0, len(text), _LONGEST)):
        yield (f"{name}.{number}" if number else name), text[start : start + _LONGEST]


def _joined(raw: Mapping[str, str]) -> dict[str, str]:
    pieces: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for key, piece in raw.items():
        name, _, number = key.partition(".")
        pieces[name][int(number or 0)] = piece
    return {name: "".join(piece for _, piece in sorted(found.items())) for name, found in pieces.items()}
